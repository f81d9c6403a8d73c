"""The job that keeps every tenant's rolling SLA: evaluate all windows, store the result, set the gauges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from ecpmon.isolation import Isolation
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import WindowFigures
from ecpmon.ports.quarantine import ROLLING_SLA, Quarantine
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore, WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla import sums
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import is_within
from ecpmon.sla.terms import terms_of
from ecpmon.sla.windows import Terms
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers

P = ParamSpec("P")
T = TypeVar("T")


_INSTANT: Final = timedelta(microseconds=1)
# Tenants whose terms are worked out in one turn of a thread.
_SLICE: Final = 100


class RollingSla:
    """Reads totals only, so a run costs the same whatever happened in the windows. `telemetry` None: no gauges."""

    def __init__(
        self,
        tenants: TenantStore,
        window_sums: WindowSums,
        availability: AvailabilityStore,
        maintenance: MaintenanceStore,
        intervals: Intervals,
        clock: Clock,
        telemetry: Telemetry | None,
        quarantine: Quarantine,
        workers: TenantWorkers,
    ) -> None:
        self._workers = workers
        self._isolation = Isolation(quarantine, ROLLING_SLA)
        self._tenants = tenants
        self._sums = window_sums
        self._availability = availability
        self._maintenance = maintenance
        self._intervals = intervals
        self._clock = clock
        self._telemetry = telemetry

    async def run_once(self) -> None:
        now = self._clock.now()
        tenants = {t.tenant_id: t for t in await self._tenants.live()}

        async def work(names: list[str]) -> dict[str, tuple[Terms, list[WindowFigures]]]:
            planned = await self._maintenance.of_tenants([tenants[name] for name in names])
            terms: dict[str, Terms] = {}
            results: dict[str, list[WindowFigures]] = {}
            for part in _parts(names):
                own = {name: tenants[name] for name in part}
                terms |= await self._apart(_terms, own, planned, now, self._intervals)
                results |= await self._evaluate(own, terms, now)
            await self._availability.store_current(results, now)
            return {n: (terms[n], results[n]) for n in names}

        found = await self._isolation.together(tenants, work, now)
        if self._telemetry is not None:
            self._telemetry.tenants.keep_only({name: t.key for name, t in tenants.items()})
            _show(self._telemetry, tenants, found, now)

    async def _evaluate(
        self, tenants: Mapping[str, Tenant], terms: Mapping[str, Terms], now: datetime
    ) -> dict[str, list[WindowFigures]]:
        """Of a few tenants."""

        def asked() -> dict[str, set[Interval]]:
            return {name: sums.intervals_for(now, terms[name]) for name in tenants}

        found = await self._sums.tallies(await self._apart(asked), now)
        statuses = await self._availability.statuses_of(tenants.values())

        def standing() -> dict[str, list[WindowFigures]]:
            return {
                name: sums.standing(
                    found.get(name, {}), now, tenant.sla_target.fraction, statuses.get(name, {}), terms[name]
                )
                for name, tenant in tenants.items()
            }

        return await self._apart(standing)

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._workers.run_for(ROLLING_SLA, function, *args, **kwargs)


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[first : first + _SLICE] for first in range(0, len(names), _SLICE)]


def _terms(
    tenants: Mapping[str, Tenant],
    planned: Mapping[str, Sequence[Maintenance]],
    now: datetime,
    intervals: Intervals,
) -> dict[str, Terms]:
    return {name: terms_of(t, planned.get(name, ()), now, intervals) for name, t in tenants.items()}


def _show(
    telemetry: Telemetry,
    live: Collection[str],
    found: Mapping[str, tuple[Terms, Sequence[WindowFigures]]],
    now: datetime,
) -> None:
    """What was found becomes gauges; of who is quarantined nothing is known."""
    telemetry.active_tenants.set(len(live))
    gauges = telemetry.tenants
    for name in set(live) - found.keys():
        gauges.unknown(name)
    for name, (contract, windows) in found.items():
        gauges.maintenance(name, is_within(now, now + _INSTANT, contract.maintenance))
        for w in windows:
            figures = {"availability": w.availability, "coverage": w.coverage, "burn_rate": w.burn_rate}
            gauges.sla(name, w.window, {**figures, "budget": w.budget.remaining_fraction})
