"""The job that closes the statements of months that are over, and restates those whose inputs have changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.isolation import Isolation, is_passing
from ecpmon.jobs import Job
from ecpmon.model.tenants import Tenant
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import StatementStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.maintenance import zone
from ecpmon.statements.service import StatementService

# Long enough for the month after the one in which a tenant was deleted to be closed.
LOOK_BACK: Final = timedelta(days=62)
JOB: Final = "statements"
_log = structlog.get_logger(__name__)


class StatementClosing:
    def __init__(
        self,
        statements: StatementService,
        closed: StatementStore,
        tenants: TenantStore,
        clock: Clock,
        quarantine: Quarantine,
    ) -> None:
        self._isolation = Isolation(quarantine, JOB)
        self._statements = statements
        self._closed = closed
        self._tenants = tenants
        self._clock = clock

    def job(self) -> Job:
        return Job(JOB, 3600, self.run_once)

    async def run_once(self) -> None:
        now = self._clock.now()
        tenants = {t.tenant_id: t for t in await self._tenants.live()}
        months: dict[str, list[str]] = defaultdict(list)
        for tenant_id, month in await self._closed.closed_months():
            months[tenant_id].append(month)

        async def work(names: list[str]) -> dict[str, None]:
            for name in names:
                await self._close(tenants[name], months[name], now)
            return dict.fromkeys(names)

        await self._isolation.one_by_one(tenants, work, now)
        for gone in await self._tenants.deleted_since(now - LOOK_BACK):
            try:
                await self._close(gone, (), now)
            except Exception as error:
                if is_passing(error):
                    raise
                _log.exception("statement_not_closed", tenant=gone.tenant_id, deleted_at=gone.deleted_at)

    async def _close(self, tenant: Tenant, closed: Sequence[str], now: datetime) -> None:
        last_month = now.astimezone(zone(tenant.time_zone)).replace(day=1) - timedelta(days=1)
        await self._statements.report(tenant, last_month.strftime("%Y-%m"), now)
        for month in closed:
            if await self._statements.restate(tenant, month, now):
                _log.warning("statement_restated", tenant=tenant.tenant_id, month=month)
