"""The job that closes the statements of what is over, and restates those whose inputs have changed.

A statement follows from its tenant's row and maintenance, and from the timeline of its month. One question about all
tenants tells whose totals of which months are not as they were when it was last looked at; that a correction changed
a month and left its totals as they were is seen when all are looked at, once in `ANYWAY`. Quarters and years follow
from their months' statements, and are looked at after these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.isolation import Isolation, is_passing, reason_of
from ecpmon.jobs import Job
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.roster import Roster
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import StatementStore, WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.contracts import label_at, name_of
from ecpmon.sla.statements import is_month, month_period, periods_with
from ecpmon.statements.service import CLOSE_AFTER, StatementService

# Months end with their tenant, and are closed soon; this long, should nobody have been there.
LOOK_BACK: Final = timedelta(days=62)
# Of those who are there: as many months may have ended while nobody was.
MONTHS_BACK: Final = 3
JOB: Final = "statements"
ANYWAY: Final = timedelta(days=1)
# No time zone is further from UTC.
_ANYWHERE: Final = timedelta(days=1)
_log = structlog.get_logger(__name__)


# (tenant, month)
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a statement followed from. `totals` None: nothing is known of it."""

    tenant: Tenant
    planned: Sequence[Maintenance]
    totals: Tally | None
    closed: bool


class StatementClosing:
    def __init__(
        self,
        statements: StatementService,
        closed: StatementStore,
        tenants: TenantStore,
        roster: Roster,
        window_sums: WindowSums,
        clock: Clock,
        quarantine: Quarantine,
    ) -> None:
        self._isolation = Isolation(quarantine, JOB)
        self._statements = statements
        self._closed = closed
        self._tenants = tenants
        self._roster = roster
        self._window_sums = window_sums
        self._clock = clock
        self._seen: dict[_Key, _Inputs] = {}
        self._all_at: datetime | None = None

    def job(self) -> Job:
        return Job(JOB, 3600, self.run_once)

    async def run_once(self) -> None:
        now = self._clock.now()
        if self._all_at is None or not timedelta(0) <= now - self._all_at < ANYWAY:
            self._seen, self._all_at = {}, now
        tenants = {t.tenant_id: t for t in await self._roster.live()}
        closed, periods = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for tenant_id, name in await self._closed.closed_months():
            (closed if is_month(name) else periods)[tenant_id].add(name)
        months = {name: sorted(closed[name].union(_over_or_none(t, now))) for name, t in tenants.items()}
        inputs = await self._inputs(months, closed, now)
        due = {
            name: own
            for name, asked in months.items()
            if (own := [m for m in asked if self._is_due((name, m), inputs, m in closed[name], now)])
        }

        async def work(names: list[str]) -> dict[str, None]:
            for name in names:
                await self._look(tenants[name], due[name], closed[name], now)
                await self._look(tenants[name], _with_months(due[name], periods[name]), periods[name], now)
            return dict.fromkeys(names)

        done = await self._isolation.one_by_one(due, work, now)
        fresh = {(name, month) for name in done for month in due[name]}
        self._seen = {k: v for k, v in inputs.items() if k in fresh or (k[0] not in due and k in self._seen)}
        await self._close_deleted(now)

    async def _inputs(
        self, months: Mapping[str, Sequence[str]], closed: Mapping[str, Collection[str]], now: datetime
    ) -> dict[_Key, _Inputs]:
        """What can be told of them in one question about all; without whom it cannot be told of."""
        standings = await self._roster.standings()
        whole = {(n, m): Interval(*span) for n, own in months.items() for m in own if (span := _around(m))}
        asked: dict[str, set[Interval]] = defaultdict(set)
        for (name, _), interval in whole.items():
            asked[name].add(interval)
        try:
            totals = await self._window_sums.tallies(asked, now)
        except Exception as error:
            if not await self._isolation.is_own(error):
                raise
            _log.warning("months_not_compared", error=reason_of(error))
            return {}
        return {
            (name, month): _Inputs(
                s.tenant, s.planned, totals.get(name, {}).get(interval), month in closed[name]
            )
            for (name, month), interval in whole.items()
            if (s := standings.get(name)) is not None and s.tenant is not None and s.planned is not None
        }

    def _is_due(self, key: _Key, inputs: Mapping[_Key, _Inputs], closed: bool, now: datetime) -> bool:
        """Whether the statement may be another than when it was looked at, or its month may just be closed."""
        own, span = inputs.get(key), _around(key[1])
        if own is None or span is None or self._seen.get(key) != own:
            return True
        return not closed and now < span[1] + CLOSE_AFTER

    async def _close_deleted(self, now: datetime) -> None:
        for gone in await self._tenants.deleted_since(now - LOOK_BACK):
            try:
                names = _names_of_end(gone)
                # Nothing comes late for who is not there.
                done = await self._closed.digests(gone, names)
                await self._look(gone, [n for n in names if n not in done], (), now)
            except Exception as error:
                if is_passing(error):
                    raise
                _log.exception("statement_not_closed", tenant=gone.tenant_id, deleted_at=gone.deleted_at)

    async def _look(
        self, tenant: Tenant, months: Sequence[str], closed: Collection[str], now: datetime
    ) -> None:
        for month in months:
            fresh = await self._statements.restate(tenant, month or last_month(tenant, now), now)
            if fresh and month in closed:
                _log.warning("statement_restated", tenant=tenant.tenant_id, month=month)


def last_month(tenant: Tenant, now: datetime) -> str:
    """The last one of its contract that is over."""
    return _months_over(tenant, now, 1)[0]


def _months_over(tenant: Tenant, now: datetime, count: int) -> list[str]:
    """The last so many of its contract that are over, the newest first."""
    year, month = label_at(tenant.contract_versions, now)
    before = (divmod(12 * year + month - 1 - n, 12) for n in range(1, count + 1))
    return [name_of((y, m + 1)) for y, m in before]


def _names_of_end(gone: Tenant) -> list[str]:
    """What ended with a deleted tenant, and the month before, which may not have been closed then."""
    end = (gone.deleted_at or gone.updated_at) - timedelta(microseconds=1)
    last = name_of(label_at(gone.contract_versions, end))
    return [last_month(gone, end), last, *periods_with(last)]


def _with_months(months: Sequence[str], closed: Collection[str]) -> list[str]:
    """The quarters and years that these months are of, and those that are closed."""
    return sorted({*closed, *(name for month in months if is_month(month) for name in periods_with(month))})


def _over_or_none(tenant: Tenant, now: datetime) -> list[str]:
    """Months that may have to be closed: the last one, and those before it in which there was the tenant.

    "" for a tenant whose row is odd: who looks at it finds out.
    """
    try:
        last, *before = _months_over(tenant, now, MONTHS_BACK)
        made = name_of(label_at(tenant.contract_versions, tenant.created_at))
        return [last, *(month for month in before if month >= made)]
    except (EcpError, ValueError, OverflowError):
        return [""]


def _around(month: str) -> tuple[datetime, datetime] | None:
    """The month in whatever time zone; None for what is none."""
    try:
        whole = month_period(month, "UTC")
    except EcpError:
        return None
    return whole.start - _ANYWHERE, whole.end + _ANYWHERE
