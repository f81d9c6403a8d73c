"""The job that keeps every tenant's rolling SLA: evaluate all windows, store the result, set the gauges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import WindowFigures
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore, WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla import sums
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.terms import terms_of
from ecpmon.sla.windows import Terms
from ecpmon.telemetry import Telemetry


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
    ) -> None:
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
        planned = await self._maintenance.of_all()
        terms = {
            name: terms_of(tenant, planned.get(name, ()), now, self._intervals)
            for name, tenant in tenants.items()
        }
        results = await self._evaluate(tenants, terms, now)
        await self._availability.store_current(results, now)
        if self._telemetry is not None:
            self._telemetry.tenants.keep_only({name: t.key for name, t in tenants.items()})
            _show(self._telemetry, terms, results, now)

    async def _evaluate(
        self, tenants: Mapping[str, Tenant], terms: Mapping[str, Terms], now: datetime
    ) -> dict[str, list[WindowFigures]]:
        asked = {name: sums.intervals_for(now, contract) for name, contract in terms.items()}
        found = await self._sums.tallies(asked, now)
        statuses = await self._availability.all_statuses()
        return {
            name: sums.standing(
                found.get(name, {}), now, tenant.sla_target.fraction, statuses.get(name, {}), terms[name]
            )
            for name, tenant in tenants.items()
        }


def _show(
    telemetry: Telemetry,
    terms: Mapping[str, Terms],
    results: Mapping[str, Sequence[WindowFigures]],
    now: datetime,
) -> None:
    telemetry.active_tenants.set(len(terms))
    gauges = telemetry.tenants
    for name, contract in terms.items():
        gauges.maintenance(name, any(i.start <= now < i.end for i in contract.maintenance))
    for name, windows in results.items():
        for w in windows:
            figures = {"availability": w.availability, "coverage": w.coverage, "burn_rate": w.burn_rate}
            gauges.sla(name, w.window, {**figures, "budget": w.budget.remaining_fraction})
