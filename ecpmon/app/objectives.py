"""Counting and evaluating the objectives of one database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.stores import Stores, Surroundings
from ecpmon.isolation import Isolation
from ecpmon.jobs import Job
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.objectives import RatioResult, StoredObjective
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus
from ecpmon.sla import openslo, yamlstream
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.openslo import Promise
from ecpmon.sla.ratios import Before, Stretch, edges, standing, stretch
from ecpmon.sla.terms import terms_of
from ecpmon.storage.database import Database
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.slots import JOB as SLOTS_JOB
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.tenantseries import Figures, ObjectiveFigures
from ecpmon.workers import TenantWorkers

P = ParamSpec("P")
T = TypeVar("T")


# Tenants whose objectives are evaluated in one turn of a thread.
_SLICE: Final = 50


class Objectives:
    """The objectives of one database. The jobs run on the leader only."""

    def __init__(self, stores: Stores, around: Surroundings, workers: TenantWorkers) -> None:
        self._around = around
        self._workers = workers
        self._tenants = stores.tenants
        self._maintenance = stores.maintenance
        self._intervals = stores.intervals
        self.store = stores.objective_store
        self._upkeep = Upkeep(stores.database)
        self._installing = Isolation(stores.quarantine, "objective_defaults")
        self._isolation = Isolation(stores.quarantine, SLOTS_JOB)
        self._slots = SlotKeeper(stores.database, stores.intervals)

    def jobs(self) -> list[Job]:
        return [
            Job(SLOTS_JOB, 20, self.roll),
            Job("objective_retention", 3600, self.retain),
        ]

    async def roll(self) -> None:
        """Bring the counts up to date, evaluate every window of every objective, keep the result."""
        tenants = await self._tenants.live()
        await self._install(tenants, self._around.clock.now())
        await self.count()
        await self.evaluate(self._around.clock.now(), tenants)

    async def _install(self, live: Sequence[Tenant], now: datetime) -> None:
        tenants = {t.tenant_id: t for t in live}

        async def work(names: list[str]) -> dict[str, None]:
            await self.store.install_defaults(now, [tenants[name] for name in names])
            return dict.fromkeys(names)

        await self._installing.together(tenants, work, now)

    async def count(self) -> None:
        """One batch after the other; pulls and pushes get in between."""
        now = self._around.clock.now()
        oldest = now - timedelta(days=self._around.settings.raw_retention_days)
        # The rollups say where a series was seen last: without a backlog of theirs that is quickly found.
        while await self._upkeep.roll_up(self._around.clock.now()):
            pass
        while await self._slots.refresh(oldest, now):
            pass

    async def evaluate(
        self, now: datetime, live: Sequence[Tenant] | None = None
    ) -> dict[tuple[str, str], list[RatioResult]]:
        """(tenant, objective) -> its windows, all of them stored and shown as metrics; `live` None: ask who is."""
        tenants = {t.tenant_id: t for t in (await self._tenants.live() if live is None else live)}

        async def work(names: list[str]) -> dict[str, dict[str, list[RatioResult]]]:
            return await self._evaluate([tenants[name] for name in names], now)

        found = await self._isolation.together(tenants, work, now)
        named = {(name, objective): w for name, own in found.items() for objective, w in own.items()}
        if (telemetry := self._around.gauges) is not None:
            telemetry.tenants.objectives(_figures(named))
            telemetry.objective_backlog.set(await self._slots.backlog())
        return named

    async def _evaluate(
        self, tenants: Sequence[Tenant], now: datetime
    ) -> dict[str, dict[str, list[RatioResult]]]:
        """Of these tenants: tenant -> objective -> its windows, all of them stored."""
        names = [t.tenant_id for t in tenants]
        objectives, statuses = await self.store.of_all(names), await self.store.statuses()
        planned = await self._maintenance.of_tenants(tenants)
        by_name = {t.tenant_id: t for t in tenants}
        results: dict[int, list[RatioResult]] = {}
        named: dict[str, dict[str, list[RatioResult]]] = {name: {} for name in names}
        for first in range(0, len(names), _SLICE):
            part = [
                (by_name[n], objectives.get(n, []), planned.get(n, ())) for n in names[first : first + _SLICE]
            ]
            asked = await self._apart(_asked, part, now, self._intervals)
            before = await self.store.sums({edge for own in asked for edge in own.edges})
            results |= await self._apart(_standing, asked, before, statuses)
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
    """What one tenant's objectives are measured over, and where the sums have to be looked up."""

    tenant_id: str
    objectives: Sequence[StoredObjective]
    spans: Mapping[str, Stretch]
    accounting: Accounting
    edges: Collection[tuple[int, datetime]]


def _standing(
    asked: Sequence[_Asked], before: Before, statuses: Mapping[tuple[int, str], SlaStatus]
) -> dict[int, list[RatioResult]]:
    """Objective's key -> its windows."""
    return {
        s.key: standing(s, [own.spans[w] for w in s.objective.windows], before, own.accounting, statuses)
        for own in asked
        for s in own.objectives
    }


def _asked(
    tenants: Sequence[tuple[Tenant, Sequence[StoredObjective], Sequence[Maintenance]]],
    now: datetime,
    intervals: Intervals,
) -> list[_Asked]:
    found = []
    for tenant, objectives, planned in tenants:
        terms = terms_of(tenant, planned, now, intervals)
        names = {w for stored in objectives for w in stored.objective.windows}
        spans = {name: stretch(name, now, terms) for name in names}
        wanted = {e for s in objectives for e in edges(s.key, [spans[w] for w in s.objective.windows])}
        found.append(_Asked(tenant.tenant_id, objectives, spans, terms.accounting, wanted))
    return found


def _figures(results: dict[tuple[str, str], list[RatioResult]]) -> ObjectiveFigures:
    found: dict[str, dict[tuple[str, str], Figures]] = {}
    for (tenant_id, name), windows in results.items():
        of_tenant = found.setdefault(tenant_id, {})
        for r in windows:
            of_tenant[name, r.window] = {
                "ratio": r.ratio,
                "coverage": r.coverage,
                "burn_rate": r.burn_rate,
                "budget": r.budget.remaining_fraction,
            }
    return found


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
