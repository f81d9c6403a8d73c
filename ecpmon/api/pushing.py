"""Pushed measurements (api.md §3): taken apart, checked and committed a little at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from ecpmon.api.bodies import read_body
from ecpmon.api.common import backend_of, bad_field, known_tenant, now_of, reply
from ecpmon.api.context import CONTEXT
from ecpmon.api.entries import entries_of, small_entries
from ecpmon.api.limits import LARGE_BODY, LIMITS, SHARES
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import parse_time
from ecpmon.errors import PayloadTooLarge
from ecpmon.memory import Interned
from ecpmon.model.ingest import Batch, Rejection, Rejections, cost_of
from ecpmon.model.samples import (
    FUTURE,
    Columns,
    Frame,
    Sample,
    SeriesKey,
    Shape,
    Shapes,
    Source,
    all_in_range,
    in_range,
    is_number,
)
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import series_key
from ecpmon.slices import Slices
from ecpmon.wire import encodable

routes = Routes()
MAX_NAME: Final = 100
# Names that are looked at before the time is.
NAMES_AT_ONCE: Final = 250
ENTRIES_AT_ONCE: Final = 32
# What a request costs apart from its samples: about as much as so many of them (`bench.push`).
SAMPLES_PER_REQUEST: Final = 100


@routes.post("/api/v1/tenants/{tenant_id}/monitoring", Permission.INGEST)
async def push(request: web.Request) -> web.Response:
    """Take measurements; the reply is sent after they are committed."""
    tenant, now = await known_tenant(request), now_of(request)
    body, pushed = await read_body(request), Pushed(request, tenant, now)
    if len(body) > LARGE_BODY:
        async with request.app[LIMITS].large.turn(request.get(SHARES, (tenant.tenant_id,))[-1]):
            await pushed.take_apart(body)
            del body
            accepted = await pushed.commit()
    else:
        await pushed.take_apart(body)
        accepted = await pushed.commit()
    return reply(
        {
            "accepted": accepted,
            "rejected": [{"metric": r.metric, "reason": r.reason.value} for r in pushed.rejections.named],
            "rejected_count": pushed.rejections.counts.total(),
            "timestamp": pushed.newest,
        },
        202,
    )


class Pushed:
    """What one request brings. Nothing is committed before all of it has been read and found in order."""

    def __init__(self, request: web.Request, tenant: Tenant, now: datetime) -> None:
        settings = request.app[CONTEXT].settings
        self._request = request
        self._tenant = tenant
        self._now = now
        self._oldest = now - timedelta(days=settings.raw_retention_days)
        self._max_batch = settings.max_batch
        self._names: dict[str, SeriesKey] = {}
        self._frames: list[Frame] = []
        self.rejections = Rejections()

    @property
    def newest(self) -> datetime:
        return max((f.ts for f in self._frames), default=self._now)

    async def take_apart(self, body: bytes) -> None:
        """Raises BadRequest, ValidationFailed, PayloadTooLarge."""
        listed, slices, taken = body.lstrip().startswith(b"["), Slices(), 0
        small = small_entries(body)
        if small is not None:
            taken = await self._take_all(small, 0, listed, slices)
        else:
            async for entries in entries_of(body):
                taken = await self._take_all(entries, taken, listed, slices)
                await slices.pause()
        if not taken:
            raise bad_field("", "the batch is empty")

    async def _take_all(self, entries: list[Any], index: int, listed: bool, slices: Slices) -> int:
        """Entries from `index` on; the index after them."""
        for entry in entries:
            if index >= self._max_batch:
                raise PayloadTooLarge(f"at most {self._max_batch} entries at once; send them in parts")
            metrics, ts, problem = self._read(entry, f"{index}." if listed else "")
            shape = known_shape(metrics) if problem is None else None
            if shape is not None and are_plain(values := [*metrics.values()]):
                self._add(ts, Columns(shape, [*map(float, values)]))
            elif samples := await self._samples(metrics, problem, slices):
                self._add(ts, samples)
            index += 1
            if not index % ENTRIES_AT_ONCE:
                await slices.pause()
        return index

    def _read(self, entry: Any, where: str) -> tuple[dict[str, Any], datetime, Rejection | None]:
        if not isinstance(entry, dict):
            raise bad_field(where, "must be an object with `metrics`")
        metrics = entry.get("metrics")
        if not isinstance(metrics, dict) or not metrics:
            raise bad_field(f"{where}metrics", "must be an object of numbers by name, with at least one")
        ts, problem = timestamp_of(entry.get("timestamp"), self._now, self._oldest)
        return metrics, ts or self._now, problem

    def _add(self, ts: datetime, samples: Sequence[Sample]) -> None:
        self._frames.append(Frame(self._tenant.tenant_id, Source.PUSH, ts, samples, self._tenant.key))

    async def _samples(
        self, metrics: dict[str, Any], problem: Rejection | None, slices: Slices
    ) -> tuple[Sample, ...]:
        """The samples of an entry, looked at one by one. Of two names of one series the last wins."""
        kept: dict[SeriesKey, float] = {}
        for count, (name, value) in enumerate(metrics.items(), 1):
            reason = problem or name_problem(name) or _value_problem(value)
            if reason is None:
                kept[self._key(name)] = float(value)
            elif self.rejections.full:
                self.rejections.counts[reason] += 1
            else:
                self.rejections.add(self._tenant.tenant_id, encodable(name[:MAX_NAME]), reason)
            if not count % NAMES_AT_ONCE:
                await slices.pause()
        return tuple(Sample(key, value) for key, value in kept.items())

    def _key(self, name: str) -> SeriesKey:
        """One object per name, however often it comes."""
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = series_key(name)
        return key

    async def commit(self) -> int:
        """Commit everything; the number of samples accepted.

        In parts, so that other tenants' commits come in between and nothing holds the loop.
        Raises what the writer raises: then some parts may be committed, and sending all again changes nothing.
        """
        self._charge()
        accepted, begin, writer = 0, 0, backend_of(self._request).writer
        while begin < len(self._frames):
            end = _end_of_part(self._frames, begin, writer.part)
            result = await writer.write(Batch(frames=tuple(self._frames[begin:end])))
            begin, accepted = end, accepted + result.accepted
            self.rejections.include(result)
        return accepted

    def _charge(self) -> None:
        """Count the samples for their sender, the refused ones as well."""
        app, now = self._request.app, self._now
        samples = sum(len(f.samples) for f in self._frames) + self.rejections.counts.total()
        for share in self._request.get(SHARES, ()):
            app[LIMITS].samples.charge(share, samples + SAMPLES_PER_REQUEST, now)
        for reason, count in self.rejections.counts.items():
            app[CONTEXT].telemetry.rejected.labels(reason.value).inc(count)


def _end_of_part(frames: list[Frame], begin: int, most: int) -> int:
    """Where the part ends that begins at `begin` and costs no more than `most`, or is one frame."""
    size, end = 0, begin
    while end < len(frames):
        size += cost_of(frames[end])
        if size > most and end > begin:
            break
        end += 1
    return end


# What is sent again and again under the same names is looked at once.
_SHAPES: Final = Shapes()
_BY_NAMES: Final[Interned[str, Shape]] = Interned()
_NUMBERS: Final = {int, float}


def known_shape(metrics: dict[str, Any]) -> Shape | None:
    """The shape of all these names; None when there are many, or something is wrong with one of them."""
    names = tuple(metrics)
    shape = _BY_NAMES.get(names)
    if shape is None and len(names) <= NAMES_AT_ONCE and not any(map(name_problem, names)):
        keys = tuple(dict.fromkeys(map(series_key, names)))
        if len(keys) == len(names):
            shape = _BY_NAMES.put(names, _SHAPES.of(keys))
    return shape


def are_plain(values: list[Any]) -> bool:
    """Whether all of them are numbers that are stored; quick. None of JSON's is of another class than these."""
    return _NUMBERS.issuperset(map(type, values)) and all_in_range(values)


def timestamp_of(given: Any, now: datetime, oldest: datetime) -> tuple[datetime | None, Rejection | None]:
    """The instant of an entry, or why it is not taken."""
    if given is None:
        return now, None
    try:
        # RFC 3339 allows `t` and `z`, Python does not.
        ts = parse_time(given.upper())
    except (AttributeError, ValueError):
        return None, Rejection.BAD_TIMESTAMP
    if ts > now + FUTURE:
        return None, Rejection.IN_THE_FUTURE
    return (None, Rejection.TOO_OLD) if ts < oldest else (ts, None)


def name_problem(name: str) -> Rejection | None:
    return None if 0 < len(name) <= MAX_NAME and name.isprintable() else Rejection.BAD_NAME


def _value_problem(value: Any) -> Rejection | None:
    if not is_number(value):
        return Rejection.NOT_A_NUMBER
    return None if in_range(value) else Rejection.OUT_OF_RANGE
