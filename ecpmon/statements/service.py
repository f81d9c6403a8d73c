"""Closing a month once, and restating it when its inputs have changed since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.statements import Contract, CreditTier
from ecpmon.model.tenants import Tenant
from ecpmon.ports.sla import AvailabilityStore, ClosedStatement, MaintenanceStore, StatementStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.statements import contract_from, contract_of, difference, document, month_period, statement
from ecpmon.workers import TenantWorkers

# Late pushes are taken for the raw retention, so a month is closed some days after its end.
CLOSE_AFTER: Final = timedelta(days=3)
# The job that drops old spans may be a little ahead of us.
_DROPPING: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """Version and credit tiers of the contracts here, from `rules/credits.yaml`."""

    version: str
    tiers: tuple[CreditTier, ...]


class StatementService:
    """`report` answers people, `restate` is called by a job. `kept`: how long spans are."""

    def __init__(
        self,
        availability: AvailabilityStore,
        maintenance: MaintenanceStore,
        statements: StatementStore,
        terms: Terms,
        intervals: Intervals,
        tenants: TenantStore,
        kept: timedelta,
        workers: TenantWorkers,
    ) -> None:
        self._availability = availability
        self._maintenance = maintenance
        self._statements = statements
        self._terms = terms
        self._intervals = intervals
        self._tenants = tenants
        self._kept = kept
        self._workers = workers

    async def report(
        self, tenant: Tenant, month: str, now: datetime, revision: int | None = None
    ) -> dict[str, Any] | None:
        """The statement as data; None when that revision does not exist.

        A month that is over is closed by the first call after `CLOSE_AFTER`; before that it is preliminary. One
        that ended before there was the tenant, or whose spans may be gone, is never closed.
        """
        closed = await self._brought_up_to_date(
            tenant, month, await self._statements.revisions(tenant, month), now
        )
        if not closed:
            contract = await self._contract(tenant, month)
            preliminary = await self._compute(tenant, month, now, contract)
            return {**preliminary, "state": "preliminary"} if revision is None else None
        wanted = [c for c in closed if revision is None or c.revision == revision]
        return _shown(wanted[-1], len(closed)) if wanted else None

    async def restate(self, tenant: Tenant, month: str, now: datetime) -> bool:
        """Make a new revision when late data or maintenance changed a closed month; whether one was made."""
        closed = await self._statements.revisions(tenant, month)
        return len(await self._brought_up_to_date(tenant, month, closed, now)) > len(closed)

    async def _brought_up_to_date(
        self, tenant: Tenant, month: str, closed: list[ClosedStatement], now: datetime
    ) -> list[ClosedStatement]:
        # A closed month keeps the contract that it was closed under: new terms are for the months to come.
        contract = contract_from(closed[-1].document) if closed else await self._contract(tenant, month)
        period = month_period(month, contract.time_zone)
        # What retention has taken away is no correction.
        if period.start < now - self._kept + _DROPPING or (not closed and now < period.end + CLOSE_AFTER):
            return closed
        if closed and period.start >= now:  # a clock that was ahead closed it: wait until it is right
            return closed
        fresh = await self._compute(tenant, month, now, contract)
        if closed and closed[-1].digest == fresh["digest"]:
            return closed
        if not closed and not fresh["eligible_minutes"] and period.end <= tenant.created_at:
            return closed
        changes = (
            await self._workers.run(tenant.key, difference, closed[-1].document, fresh) if closed else None
        )
        await self._statements.close(tenant, month, len(closed) + 1, fresh, changes, now)
        return await self._statements.revisions(tenant, month)

    async def _compute(self, tenant: Tenant, month: str, now: datetime, contract: Contract) -> dict[str, Any]:
        period = month_period(month, contract.time_zone)
        end = min(period.end, now)
        spans = await self._availability.timeline(tenant, period.start, max(end, period.start), reasons=True)
        planned = await self._maintenance.of_tenant(tenant)
        doubt = self._intervals.doubt(tenant)
        withdrawn = await self._maintenance.withdrawn(tenant)

        def computed() -> dict[str, Any]:
            return document(statement(tenant, month, contract, spans, planned, now, doubt, withdrawn))

        return await self._workers.run(tenant.key, computed)

    async def _contract(self, tenant: Tenant, month: str) -> Contract:
        """What was promised when the month began: a target changed later applies from the next one."""
        then = await self._tenants.as_of(tenant, month_period(month, tenant.time_zone).start)
        return contract_of(then, self._terms.version, self._terms.tiers)


def _shown(closed: ClosedStatement, revisions: int) -> dict[str, Any]:
    return {
        **closed.document,
        "revision": closed.revision,
        "revisions": revisions,
        "closed_at": closed.closed_at.isoformat().replace("+00:00", "Z"),
        "restates": closed.changes,
    }
