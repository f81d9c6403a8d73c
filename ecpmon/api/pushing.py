"""Pushed measurements (api.md §3): taken apart, checked and committed a little at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web
from orjson import JSONDecodeError, loads

from ecpmon.api.answers.monitoring import PushAnswer, PushEntry
from ecpmon.api.bodies import read_body
from ecpmon.api.common import backend_of, bad_field, known_tenant, now_of
from ecpmon.api.context import CONTEXT, Backend
from ecpmon.api.entries import entries_of, small_entries
from ecpmon.api.hints import Hint, Hints
from ecpmon.api.limits import LARGE_BODY, LIMITS, SHARES, Limits
from ecpmon.api.rejections import rejected_metrics
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import parse_time
from ecpmon.errors import PayloadTooLarge
from ecpmon.korean.messages import said_to
from ecpmon.memory import Interned
from ecpmon.model.ingest import Batch, Rejection, Rejections, cost_of
from ecpmon.model.samples import (
    FUTURE,
    MOST_ROWS,
    Block,
    Columns,
    Entry,
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
from ecpmon.names import EVIDENCE_METRICS
from ecpmon.ports.samples import SampleWriter
from ecpmon.settings import Settings
from ecpmon.sla.evidence import series_key
from ecpmon.slices import Slices
from ecpmon.telemetry import Telemetry
from ecpmon.wire import dumps, encodable, rfc3339

routes = Routes()
MAX_NAME: Final = 100
# Bytes of a body that is parsed at once.
SMALL: Final = 16 * 1024
# Names that are looked at before the time is, and that a frame has at most.
NAMES_AT_ONCE: Final = 250
# Entries that are looked at together, and so many alike that columns pay.
ENTRIES_AT_ONCE: Final = 100
FEW: Final = 4
# So little ahead of our clock is nearly everybody's: such a push waits for its time. What comes later is left to a job.
SHORTLY: Final = timedelta(milliseconds=50)
# What a request costs apart from its samples: about as much as so many of them (`bench.push`).
SAMPLES_PER_REQUEST: Final = 100
# What a sample costs that is looked at by itself, as its names are very many or something is wrong with one of them.
ONE_BY_ONE: Final = 4


@routes.post(
    "/api/v1/tenants/{tenant_id}/monitoring",
    Permission.INGEST,
    body=PushEntry | list[PushEntry],
    answers={202: PushAnswer},
)
async def push(request: web.Request) -> web.Response:
    """Take measurements; the reply is sent after they are committed."""
    tenant, now = await known_tenant(request), now_of(request)
    desk, shares = Desk.of(request.app, backend_of(request)), request.get(SHARES, ())
    body, pushed = await read_body(request), Pushed(desk, tenant, shares, now)
    if len(body) > LARGE_BODY:
        async with request.app[LIMITS].large.turn((shares or (tenant.tenant_id,))[-1]):
            await pushed.take_apart(body)
            del body
            accepted = await pushed.commit()
    else:
        await pushed.take_apart(body)
        accepted = await pushed.commit()
    return web.Response(
        body=pushed.told(accepted, request.headers), status=202, content_type="application/json"
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """What takes the pushes of one database, and counts them."""

    settings: Settings
    limits: Limits
    telemetry: Telemetry
    writer: SampleWriter
    hints: Hints | None = None

    @classmethod
    def of(cls, app: web.Application, backend: Backend) -> Desk:
        context = app[CONTEXT]
        return cls(context.settings, app[LIMITS], context.telemetry, backend.writer, backend.hints)


class Pushed:
    """What one request brings. Nothing is committed before all of it has been read and found in order.

    `shares`: whom it is counted for.
    """

    def __init__(self, desk: Desk, tenant: Tenant, shares: tuple[str, ...], now: datetime) -> None:
        self._desk = desk
        self._tenant = tenant
        self.shares = shares
        self.now = now
        self._oldest = now - timedelta(days=desk.settings.raw_retention_days)
        self._latest = now + FUTURE
        self._max_batch = desk.settings.max_batch
        self._names: dict[str, SeriesKey] = {}
        self._entries: list[Entry] = []
        self._refused: Rejections | None = None
        self._one_by_one = 0
        self._hint: Hint | None = None

    @property
    def rejections(self) -> Rejections:
        """What was refused up to now."""
        if self._refused is None:
            self._refused = Rejections()
        return self._refused

    @property
    def newest(self) -> datetime:
        return max([max(entry.instants) for entry in self._entries], default=self.now)

    def told(self, accepted: int, headers: Mapping[str, str]) -> bytes:
        """The answer to a request with these headers, a `PushAnswer`, as JSON."""
        refused, newest, hint = self._refused, self.newest, self._hint
        if refused is None and hint is None:
            said = (
                f'{{"accepted":{accepted},"rejected":[],"rejected_count":0,"timestamp":"{rfc3339(newest)}"}}'
            )
            return said.encode()
        named = () if refused is None else refused.named
        answer: PushAnswer = {
            "accepted": accepted,
            "rejected": rejected_metrics(named, headers),
            "rejected_count": 0 if refused is None else refused.counts.total(),
            "timestamp": newest,
        }
        if hint is not None:
            answer["hint"] = {"code": hint.code, "message": said_to(headers, hint.message)}
        return dumps(answer)

    async def take_apart(self, body: bytes) -> None:
        """Raises BadRequest, ValidationFailed, PayloadTooLarge."""
        if self._take_plain(body):
            return
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

    def _take_plain(self, body: bytes) -> bool:
        """Whether it was one entry without a time, with nothing in it that has to be looked at: what most are."""
        if len(body) > SMALL:
            return False
        try:
            entry = loads(body)
        except JSONDecodeError:
            return False
        metrics = entry.get("metrics") if type(entry) is dict else None
        if type(metrics) is not dict or not metrics or entry.get("timestamp") is not None:
            return False
        shape, values = known_shape(tuple(metrics)), [*metrics.values()]
        if shape is None or not are_plain(values):
            return False
        self._add(self.now, Columns(shape, [*map(float, values)]))
        return True

    async def _take_all(self, entries: list[Any], index: int, listed: bool, slices: Slices) -> int:
        """Entries from `index` on; the index after them."""
        at = 0
        while at < len(entries):
            taken, whole = 1, False
            if len(entries) - at >= FEW:
                taken, whole = self._take_alike(entries[at : at + ENTRIES_AT_ONCE], self._max_batch - index)
            for entry in () if whole else entries[at : at + taken]:
                if index >= self._max_batch:
                    raise PayloadTooLarge(f"at most {self._max_batch} entries at once; send them in parts")
                await self._take_one(entry, f"{index}." if listed else "", slices)
                index += 1
            at, index = at + taken, index + taken * whole
            await slices.pause()
        return index

    def _take_alike(self, entries: list[Any], most: int) -> tuple[int, bool]:
        """How many are alike from the first one on, at least one: plain, and with the same names. Whether they are
        taken: they are several, and there is nothing in them that has to be looked at one by one."""
        names: tuple[str, ...] | None = None
        instants: list[datetime] = []
        rows: list[Sequence[float]] = []
        for entry in entries[:most]:
            metrics = entry.get("metrics") if type(entry) is dict else None
            if type(metrics) is not dict or (names is not None and tuple(metrics) != names):
                break
            ts, _ = timestamp_of(entry.get("timestamp"), self.now, self._oldest, self._latest)
            if ts is None:
                break
            names = names or tuple(metrics)
            instants.append(ts)
            rows.append([*metrics.values()])
        shape = known_shape(names) if names and len(rows) >= FEW else None
        return len(rows) or 1, shape is not None and self._add_rows(shape, instants, rows)

    def _add_rows(self, shape: Shape, instants: Sequence[datetime], rows: Sequence[Sequence[float]]) -> bool:
        """To the last block, or to a new one; False: there is something in them that is not stored."""
        last = self._entries[-1] if self._entries else None
        if isinstance(last, Block) and last.shape is shape and len(last) + len(rows) <= MOST_ROWS:
            return last.extend(instants, rows)
        made = Block(self._tenant.tenant_id, Source.PUSH, shape, self._tenant.key)
        if not made.extend(instants, rows):
            return False
        self._entries.append(made)
        return True

    async def _take_one(self, entry: Any, where: str, slices: Slices) -> None:
        metrics, ts, problem = self._read(entry, where)
        shape = known_shape(tuple(metrics)) if problem is None else None
        if shape is not None and are_plain(values := [*metrics.values()]):
            self._add(ts, Columns(shape, [*map(float, values)]))
        elif samples := await self._samples(metrics, problem, slices):
            self._add(ts, samples)

    def _read(self, entry: Any, where: str) -> tuple[dict[str, Any], datetime, Rejection | None]:
        if not isinstance(entry, dict):
            raise bad_field(where, "must be an object with `metrics`")
        metrics = entry.get("metrics")
        if not isinstance(metrics, dict) or not metrics:
            raise bad_field(f"{where}metrics", "must be an object of numbers by name, with at least one")
        ts, problem = timestamp_of(entry.get("timestamp"), self.now, self._oldest, self._latest)
        return metrics, ts or self.now, problem

    def _add(self, ts: datetime, samples: Sequence[Sample]) -> None:
        """As one frame, or as several when they are very many: a frame is the least that a commit takes at once."""
        if len(samples) > NAMES_AT_ONCE:
            # What decides whether the tenant is up stays together, in the first one.
            samples = sorted(samples, key=lambda sample: sample.key.metric_name not in EVIDENCE_METRICS)
        for at in range(0, len(samples), NAMES_AT_ONCE):
            part = samples[at : at + NAMES_AT_ONCE] if len(samples) > NAMES_AT_ONCE else samples
            self._entries.append(Frame(self._tenant.tenant_id, Source.PUSH, ts, part, self._tenant.key))

    async def _samples(
        self, metrics: dict[str, Any], problem: Rejection | None, slices: Slices
    ) -> tuple[Sample, ...]:
        """The samples of an entry, looked at one by one. Of two names of one series the last wins."""
        self._one_by_one += len(metrics)
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
        ahead = self.newest - self.now
        if timedelta() < ahead <= SHORTLY:
            await asyncio.sleep(ahead.total_seconds())
        accepted, rest, writer = 0, deque(self._entries), self._desk.writer
        while rest:
            part = (
                (rest.popleft(),)
                if len(rest) == 1 and isinstance(rest[0], Frame)
                else part_of(rest, writer.part)
            )
            result = await writer.write(Batch(frames=part))
            accepted += result.accepted
            if result.refused:
                self.rejections.include(result)
        hints = self._desk.hints
        if hints is not None and self._tenant.key not in hints.quiet and self._entries:
            self._hint = await hints.of(self._tenant, self._entries, self.now)
        return accepted

    def _charge(self) -> None:
        """Count the samples for their sender, the refused ones as well."""
        samples = sum([entry.size for entry in self._entries])
        if self._refused is not None:
            samples += self._refused.counts.total()
            for reason, count in self._refused.counts.items():
                self._desk.telemetry.rejected.labels(reason.value).inc(count)
        cost = samples + self._one_by_one * (ONE_BY_ONE - 1) + SAMPLES_PER_REQUEST
        for share in self.shares:
            self._desk.limits.samples.charge(share, cost, self.now)


def part_of(rest: deque[Entry], most: int) -> tuple[Entry, ...]:
    """Take what costs no more than `most` from the beginning of `rest`, or is one frame."""
    taken: list[Entry] = []
    while rest:
        entry, cost = rest[0], cost_of(rest[0])
        if cost <= most:
            taken.append(rest.popleft())
            most -= cost
            continue
        rows = most * len(entry.instants) // cost
        if not taken:
            rows = max(1, rows)
        if isinstance(entry, Block) and 0 < rows < len(entry):
            taken.append(entry.part(0, rows))
            rest[0] = entry.part(rows, len(entry))
        elif not taken:
            taken.append(rest.popleft())
        break
    return tuple(taken)


# What is sent again and again under the same names is looked at once.
_SHAPES: Final = Shapes()
_BY_NAMES: Final[Interned[str, Shape]] = Interned()
_NUMBERS: Final = {int, float}


def known_shape(names: tuple[str, ...]) -> Shape | None:
    """The shape of all these names; None when there are many, or something is wrong with one of them."""
    shape = _BY_NAMES.get(names)
    if shape is None and len(names) <= NAMES_AT_ONCE and not any(map(name_problem, names)):
        keys = tuple(dict.fromkeys(map(series_key, names)))
        if len(keys) == len(names):
            shape = _BY_NAMES.put(names, _SHAPES.of(keys))
    return shape


def are_plain(values: list[Any]) -> bool:
    """Whether all of them are numbers that are stored; quick. None of JSON's is of another class than these."""
    return _NUMBERS.issuperset(map(type, values)) and all_in_range(values)


def timestamp_of(
    given: Any, now: datetime, oldest: datetime, latest: datetime
) -> tuple[datetime | None, Rejection | None]:
    """The instant of an entry, or why it is not taken."""
    if given is None:
        return now, None
    try:
        # RFC 3339 allows `t` and `z`, Python does not.
        ts = parse_time(given.upper())
    except (AttributeError, ValueError):
        return None, Rejection.BAD_TIMESTAMP
    if ts > latest:
        return None, Rejection.IN_THE_FUTURE
    return (None, Rejection.TOO_OLD) if ts < oldest else (ts, None)


def name_problem(name: str) -> Rejection | None:
    return None if 0 < len(name) <= MAX_NAME and name.isprintable() else Rejection.BAD_NAME


def _value_problem(value: Any) -> Rejection | None:
    if not is_number(value):
        return Rejection.NOT_A_NUMBER
    return None if in_range(value) else Rejection.OUT_OF_RANGE
