"""Closing a month once, and restating it when its inputs have changed since; quarters and years with their months."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson

from ecpmon.errors import ValidationFailed
from ecpmon.memory import Memory
from ecpmon.model.maintenance import Interval, Maintenance, Withdrawn
from ecpmon.model.statements import Contract
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.sla import (
    AvailabilityStore,
    ClosedStatement,
    MaintenanceStore,
    PackedSpans,
    StatementStore,
    WindowSums,
)
from ecpmon.sla import contracts
from ecpmon.sla.combined import combined, digest_of
from ecpmon.sla.periods import Period
from ecpmon.sla.statement_document import coming_document, difference, document
from ecpmon.sla.statements import (
    contract_from,
    contract_of,
    is_month,
    label_of,
    months_of,
    period_of,
    promised,
    statement,
)
from ecpmon.statements.terms import Terms, terms_of
from ecpmon.workers import TenantWorkers

# Late pushes are taken for the raw retention, so a month is closed some days after its end.
CLOSE_AFTER: Final = timedelta(days=3)
# The job that drops old spans may be a little ahead of us.
# Longer than any observation holds: what is seen then may have begun before.
_AFTERWARDS: Final = timedelta(days=3)
_DROPPING: Final = timedelta(days=1)
_AROUND: Final = timedelta(days=1)
# For a quarter or a year, a closed month is not worked out again for so long (seconds) while what it follows from looks
# the same. A correction that moves an outage and changes no total is seen then.
_LOOKED: Final = 600.0
# What a closed month follows from, as far as one question tells: totals, what is planned, what was withdrawn.
_Inputs = tuple[Tally | None, tuple[Maintenance, ...], tuple[Withdrawn, ...]]


@dataclass(frozen=True, slots=True)
class Told:
    """A statement: its document as JSON, and what is said of it besides. `data` is both; a large one takes a while.

    `measured`: whether anything of it was eligible.
    """

    document: bytes
    more: Mapping[str, Any]
    measured: bool = True

    def data(self) -> dict[str, Any]:
        return {**orjson.loads(self.document), **self.more}


@dataclass(frozen=True, slots=True)
class _Computed:
    document: bytes
    digest: str
    eligible_minutes: float
    # When the first incident began that the month has a part of, or the month.
    since: datetime


@dataclass(frozen=True, slots=True)
class _Parts:
    """The months of a period as they are told: document, and state and revision.

    `ahead`: those that have not begun, with their contracts, and what is `planned` for them.
    """

    months: Sequence[tuple[bytes, Mapping[str, Any]]]
    ahead: Sequence[tuple[str, Contract]]
    planned: Sequence[Maintenance]
    end: datetime
    final: bool


class StatementService:
    """`report` answers people, `restate` is called by a job. `kept`: how long spans are. `sums`: by which closed months
    that have not changed are told; None: each is worked out whenever somebody asks."""

    def __init__(
        self,
        availability: AvailabilityStore,
        maintenance: MaintenanceStore,
        statements: StatementStore,
        terms: Terms,
        kept: timedelta,
        workers: TenantWorkers,
        sums: WindowSums | None = None,
    ) -> None:
        self._sums = sums
        # By number of the tenant and month: the digest that was found, and from what.
        self._looked: Memory[tuple[int, str], tuple[str, _Inputs]] = Memory(_LOOKED)
        self._availability = availability
        self._maintenance = maintenance
        self._statements = statements
        self._terms = terms
        self._kept = kept
        self._workers = workers

    def by(self, workers: TenantWorkers) -> StatementService:
        """The same, with what it computes done by others."""
        other = copy(self)
        other._workers = workers
        return other

    async def report(
        self, tenant: Tenant, name: str, now: datetime, revision: int | None = None
    ) -> Told | None:
        """The statement of a month, a quarter or a year; None when that revision does not exist.

        A month that is over is closed by the first call after `CLOSE_AFTER`; before that it is preliminary. One
        that ended before there was the tenant, or whose spans may be gone, is never closed. A month ends with its
        tenant. A quarter or a year is closed when its months are, and restated with them.
        """
        months = months_of(name)
        if months != [name]:
            told = await self._period(tenant, name, months, now, revision)
        else:
            told = await self._month(tenant, name, now, revision)
        return None if told is None else await self._marked(tenant, told)

    async def _marked(self, tenant: Tenant, told: Told) -> Told:
        """With what of the period was imported, where something was: no figure follows from it."""
        if not (imported := await self._statements.imported(tenant)):
            return told
        period = told.data()["period"]
        start, end = (datetime.fromisoformat(period[which]) for which in ("start", "end"))
        within = [(max(i.start, start), min(i.end, end)) for i in imported if i.start < end and i.end > start]
        if not within:
            return told
        more = [{"start": _rfc3339(begins), "end": _rfc3339(ends)} for begins, ends in within]
        return replace(told, more={**told.more, "imported": more})

    async def _month(
        self,
        tenant: Tenant,
        month: str,
        now: datetime,
        revision: int | None = None,
        inputs: _Inputs | None = None,
    ) -> Told | None:
        closed = await self._brought_up_to_date(
            tenant, month, await self._statements.revisions(tenant, month), now, inputs
        )
        if not closed:
            contract = self._contract(tenant, month)
            preliminary = await self._compute(tenant, month, now, contract)
            more = {"state": "preliminary", "as_of": _rfc3339(now)}
            measured = preliminary.eligible_minutes > 0
            return Told(preliminary.document, more, measured) if revision is None else None
        wanted = [c for c in closed if revision is None or c.revision == revision]
        return _shown(wanted[-1], len(closed)) if wanted else None

    async def _period(
        self, tenant: Tenant, name: str, months: Sequence[str], now: datetime, revision: int | None
    ) -> Told | None:
        parts = await self._parts(tenant, name, months, now)
        made = await self._workers.run(tenant.key, _combined, name, parts)
        closed = await self._statements.revisions(tenant, name)
        if parts.final and (not closed or closed[-1].digest != made.digest):
            await self._close(tenant, name, closed, made, now)
            closed = await self._statements.revisions(tenant, name)
        if not closed:
            more = {"state": "preliminary", "as_of": _rfc3339(now)}
            return Told(made.document, more) if revision is None else None
        wanted = [c for c in closed if revision is None or c.revision == revision]
        return _shown(wanted[-1], len(closed)) if wanted else None

    async def _parts(self, tenant: Tenant, name: str, months: Sequence[str], now: datetime) -> _Parts:
        """The months of a period, brought up to date. Raises ValidationFailed where there are none."""
        told, ahead, end, closed = list[Told](), list[tuple[str, Contract]](), now, True
        inputs = await self._inputs(tenant, months, now)
        for month in months:
            contract = self._contract(tenant, month)
            whole = period_of(month, contract)
            if tenant.deleted_at is not None and tenant.deleted_at <= whole.start:
                break
            end = min(whole.end, tenant.deleted_at or whole.end)
            if whole.start >= now:
                ahead.append((month, contract))
                continue
            found = await self._month(tenant, month, now, inputs=inputs.get(month))
            if found is None or (not found.measured and whole.end <= tenant.created_at):
                continue  # there was no tenant, and nothing was measured of it
            told.append(found)
            closed = closed and "revision" in found.more
        if not told:
            message = "there was no tenant in it" if end <= now else "has not begun"
            raise ValidationFailed(f"period: {message}", fields=[{"field": "period", "message": message}])
        parts = [(t.document, {k: t.more[k] for k in ("state", "revision") if k in t.more}) for t in told]
        planned = await self._maintenance.of_tenant(tenant) if ahead else ()
        return _Parts(parts, ahead, planned, end, closed and not ahead)

    async def _inputs(self, tenant: Tenant, months: Sequence[str], now: datetime) -> dict[str, _Inputs]:
        """Of months that have begun. None of a deleted tenant: others may bear its name."""
        if self._sums is None or tenant.deleted_at is not None:
            return {}
        around = {
            month: Interval(whole.start - _AROUND, whole.end + _AROUND)
            for month in months
            if (whole := period_of(month, self._contract(tenant, month))).start < now
        }
        found = await self._sums.tallies({tenant.tenant_id: set(around.values())}, now)
        totals = found.get(tenant.tenant_id, {})
        planned = tuple(await self._maintenance.of_tenant(tenant))
        withdrawn = tuple(await self._maintenance.withdrawn(tenant))
        return {month: (totals.get(interval), planned, withdrawn) for month, interval in around.items()}

    async def _is_behind(self, tenant: Tenant, name: str, now: datetime) -> bool:
        """Whether a quarter or a year may have to be closed, or to be restated, as far as its closed months tell."""
        months = months_of(name)
        known = await self._statements.digests(tenant, [*months, name])
        own = [(m, known[m]) for m in months if m in known]
        if name in known:
            return known[name] != digest_of(tenant.tenant_id, name, own)
        last = months[-1]
        if tenant.deleted_at is not None:
            label = contracts.label_at(tenant.contract_versions, tenant.deleted_at)
            last = min(last, contracts.name_of(label))
        return last in known

    async def stored(self, tenant: Tenant, month: str, revision: int) -> Told | None:
        """A revision as it is; None when there is none of that number."""
        closed = await self._statements.revisions(tenant, month)
        found = next((_shown(c, len(closed)) for c in closed if c.revision == revision), None)
        return None if found is None else await self._marked(tenant, found)

    async def restate(self, tenant: Tenant, month: str, now: datetime) -> bool:
        """Make a new revision when late data or maintenance changed a closed month; whether one was made.

        Also of a quarter or a year, whose months were looked at before.
        """
        if not is_month(month):
            if not await self._is_behind(tenant, month, now):
                return False
            before = len(await self._statements.revisions(tenant, month))
            await self.report(tenant, month, now)
            return len(await self._statements.revisions(tenant, month)) > before
        closed = await self._statements.revisions(tenant, month)
        return len(await self._brought_up_to_date(tenant, month, closed, now)) > len(closed)

    async def _brought_up_to_date(
        self,
        tenant: Tenant,
        month: str,
        closed: list[ClosedStatement],
        now: datetime,
        inputs: _Inputs | None = None,
    ) -> list[ClosedStatement]:
        key, mark = (tenant.key, month), self._looked.mark()
        if closed and inputs is not None and self._looked.get(key) == (closed[-1].digest, inputs):
            return closed
        # A closed month keeps the contract that it was closed under: new terms are for the months to come.
        contract = contract_from(closed[-1].contract) if closed else self._contract(tenant, month)
        period = promised(month, contract, tenant.deleted_at)
        # What retention has taken away is no correction.
        if period.start < now - self._kept + _DROPPING or (not closed and now < period.end + CLOSE_AFTER):
            return closed
        if closed and period.start >= now:  # a clock that was ahead closed it: wait until it is right
            return closed
        fresh = await self._compute(tenant, month, now, contract)
        if inputs is not None:
            self._looked.put(key, (fresh.digest, inputs), mark)
        if closed and (closed[-1].digest == fresh.digest or fresh.since < now - self._kept + _DROPPING):
            return closed
        if not closed and not fresh.eligible_minutes and period.end <= tenant.created_at:
            return closed
        await self._close(tenant, month, closed, fresh, now)
        return await self._statements.revisions(tenant, month)

    async def _close(
        self, tenant: Tenant, name: str, closed: Sequence[ClosedStatement], fresh: _Computed, now: datetime
    ) -> None:
        changes = (
            await self._workers.run(tenant.key, _changes, closed[-1].document, fresh.document)
            if closed
            else None
        )
        revision = len(closed) + 1
        await self._statements.close(tenant, name, revision, fresh.digest, fresh.document, changes, now)

    async def _compute(self, tenant: Tenant, month: str, now: datetime, contract: Contract) -> _Computed:
        period = promised(month, contract, tenant.deleted_at)
        known = max(min(period.end + _AFTERWARDS, now), period.start)
        whole = await self._availability.reach(tenant, period.start, min(period.end, known), now)
        known = max(known, whole.end)
        spans = await self._availability.packed(
            tenant, whole.start, known, reasons=True, present=now < period.end
        )
        planned = await self._maintenance.of_tenant(tenant)
        withdrawn = await self._maintenance.withdrawn(tenant)
        coarse = await self._availability.coarse_days(tenant, period.start, known)
        return await self._workers.run(
            tenant.key,
            _computed,
            tenant,
            month,
            contract,
            spans,
            planned,
            now,
            withdrawn,
            coarse,
            whole.start,
        )

    def period(self, tenant: Tenant, month: str) -> Period:
        """A month of the contract, as far as there was the tenant. Raises ValidationFailed."""
        return promised(month, self._contract(tenant, month), tenant.deleted_at)

    def _contract(self, tenant: Tenant, month: str) -> Contract:
        """What the version says that was in force when the month began: a later one is for the months to come."""
        judged = contracts.month(tenant.contract_versions, label_of(month))
        own = judged.version.credits
        terms = self._terms if own is None else terms_of(own)
        return contract_of(judged, terms.version, terms.tiers)


def _computed(
    tenant: Tenant,
    month: str,
    contract: Contract,
    spans: PackedSpans,
    planned: Sequence[Maintenance],
    now: datetime,
    withdrawn: Sequence[Withdrawn],
    coarse: Collection[date],
    since: datetime,
) -> _Computed:
    made = document(statement(tenant, month, contract, spans.open(), planned, now, withdrawn, coarse))
    return _Computed(orjson.dumps(made), made["digest"], made["eligible_minutes"], since)


def _combined(name: str, parts: _Parts) -> _Computed:
    months = [{**orjson.loads(document), **more} for document, more in parts.months]
    end = parts.end.isoformat().replace("+00:00", "Z")
    ahead = [coming_document(month, contract, parts.planned) for month, contract in parts.ahead]
    made = combined(name, months, end, ahead=ahead, final=parts.final)
    return _Computed(orjson.dumps(made), made["digest"], made["eligible_minutes"], parts.end)


def _changes(before: bytes, after: bytes) -> bytes:
    return orjson.dumps(difference(orjson.loads(before), orjson.loads(after)))


def _shown(closed: ClosedStatement, revisions: int) -> Told:
    more = {
        "revision": closed.revision,
        "revisions": revisions,
        "closed_at": _rfc3339(closed.closed_at),
        "restates": closed.changes,
    }
    return Told(closed.document, more)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
