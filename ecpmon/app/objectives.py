"""Counting and evaluating the objectives of one database.

Figures end at the last whole minute: a tenant's are evaluated when its counts up to there, or the tenant itself have
changed, and else every `AT_REST`, as the windows move on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.stores import Stores, Surroundings
from ecpmon.isolation import Isolation
from ecpmon.jobs import Job
from ecpmon.model.leadership import Claim
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.objectives import RatioResult, StoredObjective
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.leading import leading
from ecpmon.ports.roster import Standing
from ecpmon.sla import openslo, yamlstream
from ecpmon.sla.counters import minute_of
from ecpmon.sla.openslo import Promise
from ecpmon.sla.ratios import Before, Holes, Stretch, cuts, edges, standing, stretch
from ecpmon.sla.terms import terms_of
from ecpmon.slices import in_slices
from ecpmon.storage.database import Database
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.slots import JOB as SLOTS_JOB
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.tenantlines import Figures
from ecpmon.workers import TenantWorkers

P = ParamSpec("P")
T = TypeVar("T")


# Tenants whose objectives are evaluated in one turn of a thread.
_SLICE: Final = 50
AT_REST: Final = timedelta(minutes=1)
# At rest they take turns, so that not all are evaluated at once.
_GROUPS: Final = 3
Named = dict[str, dict[str, list[RatioResult]]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a tenant was when it was evaluated, and when it is to be evaluated again. None: when it was changed."""

    standing: Standing
    due: datetime | None

    def is_of(self, standing: Standing) -> bool:
        """Whether its rules are all that may have changed."""
        return self.standing.tenant is standing.tenant and self.standing.planned is standing.planned


class Objectives:
    """The objectives of one database. The jobs run on the leader only."""

    def __init__(
        self,
        stores: Stores,
        around: Surroundings,
        workers: TenantWorkers,
        counted: Callable[[datetime], Awaitable[None]] | None = None,
    ) -> None:
        """`counted` is called once all minutes that are over have been counted."""
        self._around = around
        self._then = counted
        self._workers = workers
        self._roster = stores.roster
        self._maintenance = stores.maintenance
        self.store = stores.objective_store
        self._upkeep = Upkeep(stores.database)
        self._installing = Isolation(stores.quarantine, "objective_defaults")
        self._isolation = Isolation(stores.quarantine, SLOTS_JOB)
        self._slots = SlotKeeper(stores.database, stores.intervals)
        # Of a term: the last minute in which open buckets were counted, and by tenant who has the defaults, what was
        # evaluated, and what it gave.
        self._claim: Claim | None = None
        self._counted: datetime | None = None
        self._renewed = False
        self._installed: dict[str, Tenant] = {}
        self._seen: dict[str, _Seen] = {}
        self._figures: dict[str, dict[tuple[str, str], Figures]] = {}

    def jobs(self) -> list[Job]:
        return [
            Job(SLOTS_JOB, 20, self.turn),
            Job("objective_retention", 3600, self.retain),
        ]

    async def turn(self) -> None:
        """Counts of buckets that are not over are brought up to date once a minute: no figure shows more of them."""
        self._begin_term()
        minute = minute_of(self._around.clock.now())
        await self.roll(open_buckets=minute != self._counted)
        self._counted = minute

    async def roll(self, *, open_buckets: bool = True) -> None:
        """Bring the counts up to date, evaluate the objectives whose figures may have changed, keep the result."""
        self._begin_term()
        standings = await self._roster.standings()
        tenants = {name: s.tenant for name, s in standings.items() if s.tenant is not None}
        now = self._around.clock.now()
        await self._install(tenants, now)
        if not self._renewed:
            await self._slots.renew()
            self._renewed = True
        touched = await self.count(open_buckets=open_buckets)
        due = [n for n, t in tenants.items() if t.key in touched or self._is_due(standings[n], now)]
        found = await self._evaluated({name: tenants[name] for name in due}, now)
        await self._note(due, found, standings, now)
        await self._show(open_buckets)
        if open_buckets and self._then is not None:
            await self._then(now)

    def _begin_term(self) -> None:
        """Another process may have led meanwhile."""
        if self._claim != leading.get():
            self._claim = leading.get()
            self._counted = None
            self._renewed = False
            for memory in (self._installed, self._seen, self._figures):
                memory.clear()

    async def _install(self, tenants: Mapping[str, Tenant], now: datetime) -> None:
        """Defaults for who was not seen before as it is."""
        fresh = {name: t for name, t in tenants.items() if self._installed.get(name) is not t}

        async def work(names: list[str]) -> dict[str, None]:
            await self.store.install_defaults(now, [fresh[name] for name in names])
            return dict.fromkeys(names)

        done = await self._installing.together(fresh, work, now) if fresh else {}
        self._installed = {name: t for name, t in tenants.items() if name not in fresh or name in done}

    async def count(self, *, open_buckets: bool = True) -> set[int]:
        """One batch after the other; pulls and pushes get in between. The tenants of whom figures change by it."""
        now = self._around.clock.now()
        oldest = now - timedelta(days=self._around.settings.raw_retention_days)
        # The rollups say where a series was seen last: without a backlog of theirs that is quickly found.
        while open_buckets and await self._upkeep.roll_up(self._around.clock.now()):
            pass
        while await self._slots.refresh(oldest, now, open_buckets=open_buckets):
            pass
        return self._slots.take_touched()

    def _is_due(self, standing: Standing, now: datetime) -> bool:
        seen = self._seen.get(standing.tenant_id)
        if seen is None or not seen.is_of(standing):
            return True
        return seen.due is not None and not seen.due - AT_REST <= now < seen.due

    async def _note(
        self, due: Sequence[str], found: Named, standings: Mapping[str, Standing], now: datetime
    ) -> None:
        async for name in in_slices(due):
            standing, own = standings[name], found.get(name)
            if own is None or standing.tenant is None:
                self._seen.pop(name, None)
                self._figures.pop(name, None)
                continue
            rest = (
                AT_REST * (1 - standing.tenant.key % _GROUPS / _GROUPS) if name not in self._seen else AT_REST
            )
            counted = any(w.eligible > 0 for windows in own.values() for w in windows)
            self._seen[name] = _Seen(standing, now + rest if counted else None)
            self._figures[name] = _figures(own)
        for name in self._seen.keys() - standings.keys():
            del self._seen[name], self._figures[name]

    async def _show(self, backlog: bool) -> None:
        telemetry = self._around.gauges
        if telemetry is None:
            return
        telemetry.tenants.objectives(dict(self._figures))
        if backlog:
            telemetry.objective_backlog.set(await self._slots.backlog())

    async def _evaluated(self, tenants: Mapping[str, Tenant], now: datetime) -> Named:
        """tenant -> objective -> its windows, all of them stored; without whom it cannot be done for."""

        async def work(names: list[str]) -> Named:
            return await self._evaluate([tenants[name] for name in names], now)

        return await self._isolation.together(tenants, work, now) if tenants else {}

    async def _evaluate(self, tenants: Sequence[Tenant], now: datetime) -> Named:
        names = [t.tenant_id for t in tenants]
        objectives, statuses = await self.store.of_all(names), await self.store.statuses(*tenants)
        planned = await self._maintenance.of_tenants(tenants)
        by_name = {t.tenant_id: t for t in tenants}
        results: dict[int, list[RatioResult]] = {}
        named: Named = {name: {} for name in names}
        for first in range(0, len(names), _SLICE):
            part = [
                (by_name[n], objectives.get(n, []), planned.get(n, ())) for n in names[first : first + _SLICE]
            ]
            asked = await self._apart(_asked, part, now)
            before = await self.store.sums({edge for own in asked for edge in own.edges})
            holes = await self.store.holes({cut for own in asked for cut in own.cuts})
            results |= await self._apart(_standing, asked, before, statuses, holes)
            for own in asked:
                named[own.tenant_id] = {s.objective.name: results[s.key] for s in own.objectives}
        await self.store.store_current(results, now)
        return named

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._workers.run_for(SLOTS_JOB, function, *args, **kwargs)

    async def retain(self) -> None:
        now = self._around.clock.now()
        await self.store.retain(now - timedelta(days=self._around.settings.sla_retention_days))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one tenant's objectives are measured over, and where the sums, and holes, have to be looked up."""

    tenant_id: str
    objectives: Sequence[StoredObjective]
    spans: Mapping[str, Stretch]
    accounting: Accounting
    edges: Collection[tuple[int, datetime]]
    cuts: Collection[tuple[int, datetime]]


def _standing(
    asked: Sequence[_Asked], before: Before, statuses: Mapping[tuple[int, str], SlaStatus], holes: Holes
) -> dict[int, list[RatioResult]]:
    """Objective's key -> its windows."""
    return {
        s.key: standing(
            s, [own.spans[w] for w in s.objective.windows], before, own.accounting, statuses, holes
        )
        for own in asked
        for s in own.objectives
    }


def _asked(
    tenants: Sequence[tuple[Tenant, Sequence[StoredObjective], Sequence[Maintenance]]],
    now: datetime,
) -> list[_Asked]:
    found = []
    for tenant, objectives, planned in tenants:
        terms = terms_of(tenant, planned, now)
        names = {w for stored in objectives for w in stored.objective.windows}
        spans = {name: stretch(name, now, terms) for name in names}
        wanted = {e for s in objectives for e in edges(s.key, [spans[w] for w in s.objective.windows])}
        cut = {c for s in objectives for c in cuts(s, [spans[w] for w in s.objective.windows])}
        found.append(_Asked(tenant.tenant_id, objectives, spans, terms.accounting, wanted, cut))
    return found


def _figures(results: Mapping[str, Sequence[RatioResult]]) -> dict[tuple[str, str], Figures]:
    """Of a tenant's objectives by name."""
    return {
        (name, r.window): {
            "ratio": r.ratio,
            "coverage": r.coverage,
            "burn_rate": r.burn_rate,
            "budget": r.budget.remaining_fraction,
        }
        for name, windows in results.items()
        for r in windows
    }


async def export(database_url: str, tenant_id: str) -> str:
    """The tenant's objectives as an OpenSLO v1 stream. Raises TenantNotFound, DatabaseUnavailable."""
    database = Database(database_url, name="ecpmon-export")
    try:
        tenant = await PgTenantStore(database).get(tenant_id)
        stored = await PgObjectiveStore(database, load_objectives()).of_tenant(tenant)
    finally:
        await database.close()
    promise = Promise(tenant.tenant_id, tenant.sla_target.fraction, tenant.time_zone)
    return yamlstream.dump(openslo.documents(promise, [s.objective for s in stored]))
