"""The job that finds what every tenant has used last, whoever wrote it: another machine, or somebody by hand.

What this process commits itself is in its gauges at once; of two values of a metric the newer one is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ecpmon.model.tenants import Tenant
from ecpmon.ports.roster import Roster
from ecpmon.ports.samples import MonitoringStore
from ecpmon.ports.service import Clock
from ecpmon.sla.evidence import Intervals
from ecpmon.slices import few, in_slices
from ecpmon.tenantlines import USAGE_METRICS
from ecpmon.tenantseries import TenantSeries

# Seconds between two looks, at most as old is what others have written. As often Prometheus asks by default.
USAGE_SECONDS: Final = 15
# Tenants in one question.
_TOGETHER: Final = 200


class NewestUsage:
    """On one process of each machine. Values that are good no more are looked for no more."""

    def __init__(
        self,
        roster: Roster,
        monitoring: MonitoringStore,
        intervals: Intervals,
        clock: Clock,
        series: TenantSeries,
    ) -> None:
        self._roster = roster
        self._monitoring = monitoring
        self._intervals = intervals
        self._clock = clock
        self._series = series

    async def run_once(self) -> None:
        live = await self._roster.live()
        self._series.keep_only({tenant.tenant_id: tenant.key for tenant in live})
        for some in few(live, _TOGETHER):
            await self._look(some)

    async def _look(self, tenants: Sequence[Tenant]) -> None:
        now = self._clock.now()
        since = [(tenant, now - self._intervals.stalest(tenant)) for tenant in tenants]
        known = {tenant.key: tenant for tenant in tenants}
        found = await self._monitoring.newest(since, USAGE_METRICS, now)
        async for key, metric, source, ts, value in in_slices(found):
            at, tenant = ts.timestamp(), known[key]
            until = at + self._intervals.shown(source, tenant).total_seconds()
            self._series.usage(tenant.tenant_id, {metric: value}, at, until)
