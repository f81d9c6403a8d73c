"""What requests of agents have in common, whatever their format: whose they are, what they may use, how they end."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from ecpmon.agents.arriving import MAX_NAMED, Arriving, milliseconds
from ecpmon.agents.encodings import TooLarge, declared, unpacked
from ecpmon.agents.evidence import Choice, choices_of
from ecpmon.agents.memory import Memory, Whose
from ecpmon.agents.protobuf import Malformed
from ecpmon.agents.series import LeftOut
from ecpmon.api.auth import tenant_share
from ecpmon.api.bodies import receive_packed
from ecpmon.api.common import backend_of, now_of
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.errors import error_response
from ecpmon.api.limits import HELD, LARGE_BODY, LIMITS, SHARES
from ecpmon.api.pushing import SAMPLES_PER_REQUEST, part_of
from ecpmon.errors import BadRequest, TenantNotFound, UnsupportedEncoding
from ecpmon.model.ingest import Batch, Rejection
from ecpmon.model.samples import FUTURE, Entry
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.slices import Slices

_TENANT_ID: Final = re.compile(TENANT_ID_PATTERN)
TENANT_HEADER: Final = "X-Scope-OrgID"
# What is unpacked apart from the event loop, in bytes.
LONG: Final = 2**20
# Choices of profiles count here so much later.
CHOICES_HOLD: Final = timedelta(seconds=5)
# By the name of the database: when they were read, and what they were.
Choices = dict[str, tuple[datetime, Mapping[str, Sequence[Choice]]]]
CHOICES: Final = web.AppKey("choices", Choices)
MEMORY: Final = web.AppKey("agents", list[Memory])


async def read_encoded(request: web.Request, encodings: Collection[str]) -> bytes:
    """The body without its encoding, which without a header is the first of `encodings`.

    Raises UnsupportedEncoding, PayloadTooLarge, BadRequest, and what `receive_packed` raises.
    """
    named = request.headers.get("Content-Encoding", "").strip().lower()
    encoding = next(iter(encodings)) if named == "" else named
    if encoding not in encodings:
        raise UnsupportedEncoding(
            f"Content-Encoding {named[:100]!a} is not known here; send {' or '.join(encodings)}"
        )
    packed, most = await receive_packed(request), request.app[CONTEXT].settings.max_body_bytes
    if not packed:
        return b""
    try:
        size = declared(encoding, packed)
        if size <= most and HELD in request:
            request[HELD].grow(size)
        if size > LONG:
            return await asyncio.to_thread(unpacked, encoding, packed, most)
        return unpacked(encoding, packed, most)
    except TooLarge:
        text = f"the body is larger than {most} bytes once unpacked; send fewer samples at once"
        raise BadRequest(text, details={"reason": "too_large"}) from None
    except Malformed as error:
        raise BadRequest(f"the body cannot be read: {error}", details={"reason": "malformed"}) from error


def memory_of(app: web.Application) -> Memory:
    """What the process remembers of agents' series."""
    held = app[MEMORY]
    if held[0].full:
        held[0] = Memory()
    return held[0]


class Delivery:
    """One request under way: taken apart, then committed."""

    def __init__(self, request: web.Request) -> None:
        settings, now = request.app[CONTEXT].settings, now_of(request)
        self._request = request
        self._shares: tuple[str, ...] = request[SHARES]
        self._now = now
        self.arriving = Arriving(
            memory_of(request.app),
            whose(request),
            settings.remote_write_tenant_label,
            milliseconds(now - timedelta(days=settings.raw_retention_days)),
            milliseconds(now + FUTURE),
        )
        # Samples that the commit refused.
        self.refused = 0
        self.accepted = 0

    async def take_apart(self, steps: Iterator[None]) -> None:
        """Raises BadRequest: it is no such message, and nothing of it is stored."""
        slices = Slices()
        try:
            for _ in steps:
                await slices.pause()
        except Malformed as error:
            text = f"the body cannot be read: {error}"
            raise BadRequest(text, details={"reason": "malformed"}) from error

    async def commit(self) -> None:
        """Raises TenantNotFound (named for all), RateLimited, and what the writer raises: send it again."""
        arriving, named = self.arriving, self.arriving.whose.named
        tenants = await self._tenants(arriving.tenants | ({named} if named else set()))
        if named and named not in tenants:
            raise TenantNotFound(named[:100])
        size = arriving.size
        arriving.keep(tenants)
        self._charge(size, tenants)
        arriving.judge(await self._choices())
        entries, slices = deque[Entry](), Slices()
        for entry in arriving.entries(tenants):
            entries.append(entry)
            await slices.pause()
        if size > LARGE_BODY // 8:
            async with self._request.app[LIMITS].large.turn(self._shares[0]):
                await self._write(entries)
        else:
            await self._write(entries)
        self._count()

    async def _tenants(self, names: Collection[str]) -> Mapping[str, Tenant]:
        """Those that are live, and the caller's."""
        backend, caller = backend_of(self._request), self._request[CALLER]
        held, found, missing = backend.tenants.held, dict[str, Tenant](), list[str]()
        for name in filter(caller.may_know, names):
            if (tenant := held(name)) is not None:
                found[name] = tenant
            elif _TENANT_ID.fullmatch(name):
                missing.append(name)
        if missing:
            found |= {tenant.tenant_id: tenant for tenant in await backend.tenants.live_of(missing)}
        return {name: tenant for name, tenant in found.items() if caller.may_see(tenant)}

    async def _choices(self) -> Mapping[str, Sequence[Choice]]:
        """Evidence profiles, as they were some seconds ago."""
        held, backend = self._request.app[CHOICES], backend_of(self._request)
        known = held.get(backend.name)
        if known is None or not timedelta() <= self._now - known[0] < CHOICES_HOLD:
            known = held[backend.name] = self._now, choices_of(await backend.profiles.chosen())
        return known[1]

    def _charge(self, size: int, tenants: Mapping[str, Tenant]) -> None:
        """Count the samples for the caller, and for the tenant where all is one tenant's. Raises RateLimited."""
        limits, caller = self._request.app[LIMITS], self._request[CALLER]
        shares = list(self._shares)
        if len(tenants) == 1:
            [name] = tenants
            own = tenant_share(caller, name, demo=backend_of(self._request).demo)
            limits.samples.check(own, self._now)
            shares.append(own)
        for share in shares:
            limits.samples.charge(share, size + SAMPLES_PER_REQUEST, self._now)

    async def _write(self, rest: deque[Entry]) -> None:
        writer, left_out = backend_of(self._request).writer, self.arriving.left_out
        while rest:
            # What was taken lies within the bounds (`agents.taking`, `Arriving`).
            result = await writer.write(Batch(frames=part_of(rest, writer.part), sound=True))
            self.accepted += result.accepted
            for why, count in result.refused.items():
                left_out[LeftOut(why.value)] += count
                self.refused += count if why is not Rejection.UNKNOWN_TENANT else 0
            self.arriving.names += [sample.metric for sample in result.rejected]

    def _count(self) -> None:
        rejected = self._request.app[CONTEXT].telemetry.rejected
        for why, count in self.arriving.left_out.items():
            if count:
                rejected.labels(why.value).inc(count)


def whose(request: web.Request) -> Whose:
    """By the header, by labels, or by what the caller holds."""
    if given := request.headers.get(TENANT_HEADER, "").strip():
        return Whose(named=given)
    caller = request[CALLER]
    one = caller.tenants is not None and len(caller.tenants) == 1 and len(caller.names) == 1
    return Whose(usual=next(iter(caller.names)) if one else None)


def partly_refused(request: web.Request, delivery: Delivery) -> web.Response | None:
    """What is answered when some samples will never do; the others are stored. None: there were none."""
    arriving = delivery.arriving
    if not arriving.refused:
        return None
    details = {
        "reason": "partly_refused",
        "accepted": delivery.accepted,
        "left_out": _counts(arriving),
        "metrics": [*dict.fromkeys(arriving.names)][:MAX_NAMED],
    }
    return error_response(request, BadRequest(refused_text(delivery), details=details))


def refused_text(delivery: Delivery) -> str:
    """How much was taken, and what was not, by why."""
    told = ", ".join(f"{count} {why}" for why, count in _counts(delivery.arriving).items())
    return f"{delivery.accepted} samples were taken, others were not: {told}"


def _counts(arriving: Arriving) -> dict[str, int]:
    return {why.value: count for why, count in sorted(arriving.left_out.items()) if count}
