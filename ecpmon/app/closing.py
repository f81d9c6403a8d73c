"""The job that closes the statements of what is over, and restates those whose inputs have changed.

Of each month is remembered, in the database, what its statement followed from when it was looked at last
(`ecpmon/statements/looks.py`). What may have changed since is told by a few questions about all tenants; a month is
looked at when it has, or when it is over for long enough to be closed. Quarters and years follow from their months'
statements, and are looked at after these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.isolation import Isolation, is_passing, reason_of
from ecpmon.jobs import Job
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.roster import Roster, Standing
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import Look, StatementStore, WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.contracts import label_at, name_of
from ecpmon.sla.statements import is_month, month_period, periods_with
from ecpmon.slices import few, in_slices
from ecpmon.statements.looks import Inputs, is_old, span_digests
from ecpmon.statements.service import CLOSE_AFTER, StatementService

# Months end with their tenant, and are closed soon; this long, should nobody have been there.
LOOK_BACK: Final = timedelta(days=62)
# Of those who are there: as many months may have ended while nobody was.
MONTHS_BACK: Final = 3
JOB: Final = "statements"
# No time zone is further from UTC.
_ANYWHERE: Final = timedelta(days=1)
# Tenants whose spans are read by one statement, and months after which is noted which were looked at.
_TENANTS: Final = 100
_MONTHS: Final = 50
# At once; of most months nothing but that they are as they were.
_NOTES: Final = 1_000
_log = structlog.get_logger(__name__)


# (tenant, month)
_Key = tuple[str, str]
_Months = Mapping[str, Sequence[str]]


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
        self._quarantine = quarantine
        self._isolation = Isolation(quarantine, JOB)
        self._statements = statements
        self._closed = closed
        self._tenants = tenants
        self._roster = roster
        self._window_sums = window_sums
        self._clock = clock
        # Deleted tenants of whom nothing is left to be closed.
        self._ended: set[int] = set()

    def job(self) -> Job:
        return Job(JOB, 3600, self.run_once)

    async def run_once(self) -> None:
        now = self._clock.now()
        live = {n: s for n, s in (await self._roster.standings()).items() if s.tenant is not None}
        closed, periods = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for tenant_id, name in await self._closed.closed_months():
            (closed if is_month(name) else periods)[tenant_id].add(name)
        tenants = {name: s.tenant for name, s in live.items() if s.tenant is not None}
        months = {n: self._over(t, closed[n], now) async for n, t in in_slices(tenants.items())}
        inputs = await self._inputs(live, months, closed, now)
        due, found = await self._due(tenants, months, inputs, now)
        for name, _ in await self._quarantine.held(JOB):
            # Who is in quarantine may be well, and have nothing to be looked at.
            if name in tenants:
                due.setdefault(name, [])

        looked: list[tuple[Tenant, str, Look]] = []

        async def work(names: list[str]) -> dict[str, None]:
            for name in names:
                await self._look(tenants[name], due[name], closed[name], now)
                await self._look(tenants[name], _with_months(due[name], periods[name]), periods[name], now)
                looked.extend((tenants[name], m, found[name, m]) for m in due[name] if (name, m) in found)
            # A turn may be long: who leads after a leader that ended in the midst of it goes on from there.
            if len(looked) >= _MONTHS:
                await self._note(looked, now)
                looked.clear()
            return dict.fromkeys(names)

        await self._isolation.one_by_one(due, work, now)
        await self._note(looked, now)
        await self._close_deleted(now)

    def _over(self, tenant: Tenant, closed: Collection[str], now: datetime) -> list[str]:
        """Its months that are closed, or over for long enough. "" where its row is odd: who looks finds out."""
        try:
            months = _ended_months(tenant, now)
            coming = [m for m in months if now < self._statements.period(tenant, m).end + CLOSE_AFTER]
        except (EcpError, ValueError, OverflowError):
            return [*sorted(closed), ""]
        return sorted({*closed, *months} - ({*coming} - {*closed}))

    async def _inputs(
        self,
        live: Mapping[str, Standing],
        months: _Months,
        closed: Mapping[str, Collection[str]],
        now: datetime,
    ) -> dict[_Key, bytes | None]:
        """What can be told of them in one question about all; None: nothing is to be looked at. Without whom it cannot
        be told of."""
        asked = {n: {i for m in own if (i := _around(m)) is not None} for n, own in months.items()}
        try:
            totals = await self._window_sums.tallies({n: own for n, own in asked.items() if own}, now)
        except Exception as error:
            if not await self._isolation.is_own(error):
                raise
            _log.warning("months_not_compared", error=reason_of(error))
            return {}
        found: dict[_Key, bytes | None] = {}
        async for name, own in in_slices(months.items()):
            standing, told = live[name], totals.get(name, {})
            if standing.tenant is None or standing.planned is None:
                continue
            inputs = Inputs(standing.tenant, standing.planned)
            for month in own:
                if (interval := _around(month)) is None:
                    continue
                total = told.get(interval)
                nobody = month not in closed[name] and self._was_nobody(standing.tenant, month, total)
                found[name, month] = None if nobody else inputs.of(total)
        return found

    def _was_nobody(self, tenant: Tenant, month: str, total: Tally | None) -> bool:
        """Whether a month ended before there was the tenant, and nothing was measured in it: it is never closed."""
        measured = total is not None and total.eligible > 0
        return not measured and self._statements.period(tenant, month).end <= tenant.created_at

    async def _due(
        self,
        tenants: Mapping[str, Tenant],
        months: _Months,
        inputs: Mapping[_Key, bytes | None],
        now: datetime,
    ) -> tuple[dict[str, list[str]], dict[_Key, Look]]:
        """Whose months are to be looked at, and what to note of them then."""
        looks = await self._closed.looks()
        due, old = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        async for name, month in in_slices([(n, m) for n, own in months.items() for m in own]):
            look, own = looks.get((name, month)), inputs.get((name, month), b"")
            if own is None:
                continue
            if look is None or look.inputs != own:
                due[name].append(month)
            elif is_old(name, look, now):
                old[name].append(month)
        spans = await self._spans(tenants, {n: [*due[n], *old[n]] for n in {**due, **old}})
        for name, month in [(n, m) for n, own in old.items() for m in own]:
            if spans.get((name, month)) != looks[name, month].spans:
                due[name].append(month)
        found = {key: Look(now, own, of) for key, of in spans.items() if (own := inputs.get(key)) is not None}
        same = [(n, m) for n, own in old.items() for m in own if m not in due[n]]
        await self._note([(tenants[n], m, found[n, m]) for n, m in same], now)
        return {name: own for name, own in due.items() if own}, found

    async def _spans(self, tenants: Mapping[str, Tenant], months: _Months) -> dict[_Key, bytes]:
        found: dict[_Key, bytes] = {}
        for names in few(list(months), _TENANTS):
            try:
                sums = await self._closed.span_sums([tenants[name] for name in names])
            except Exception as error:
                if not await self._isolation.is_own(error):
                    raise
                _log.warning("spans_not_compared", error=reason_of(error))
                continue
            async for name in in_slices(names):
                digests = span_digests(sums.get(name, ()), [m for m in months[name] if is_month(m)])
                found.update({(name, month): digest for month, digest in digests.items()})
        return found

    async def _note(self, looks: Sequence[tuple[Tenant, str, Look]], now: datetime) -> None:
        for part in few(looks, _NOTES):
            await self._closed.note_looks(part, now)

    async def _close_deleted(self, now: datetime) -> None:
        deleted = await self._tenants.deleted_since(now - LOOK_BACK)
        self._ended &= {gone.key for gone in deleted}
        for gone in deleted:
            if gone.key in self._ended:
                continue
            try:
                names = _names_of_end(gone)
                # Nothing comes late for who is not there.
                done = await self._closed.digests(gone, names)
                await self._look(gone, [n for n in names if n not in done], (), now)
                if now >= (gone.deleted_at or gone.updated_at) + CLOSE_AFTER:
                    self._ended.add(gone.key)
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


def _ended_months(tenant: Tenant, now: datetime) -> list[str]:
    """Months that may have to be closed: the last one, and those before it in which there was the tenant."""
    last, *before = _months_over(tenant, now, MONTHS_BACK)
    made = name_of(label_at(tenant.contract_versions, tenant.created_at))
    return [last, *(month for month in before if month >= made)]


@lru_cache(maxsize=512)
def _around(month: str) -> Interval | None:
    """The month in whatever time zone; None for what is none."""
    try:
        whole = month_period(month, "UTC")
    except EcpError:
        return None
    return Interval(whole.start - _ANYWHERE, whole.end + _ANYWHERE)
