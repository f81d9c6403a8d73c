"""The job that closes the statements of months that are over, and restates those whose inputs have changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from ecpmon.jobs import Job
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import StatementStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.maintenance import zone
from ecpmon.statements.service import StatementService

# Long enough for the month after the one in which a tenant was deleted to be closed.
LOOK_BACK: Final = timedelta(days=62)
_log = structlog.get_logger(__name__)


class StatementClosing:
    def __init__(
        self, statements: StatementService, closed: StatementStore, tenants: TenantStore, clock: Clock
    ) -> None:
        self._statements = statements
        self._closed = closed
        self._tenants = tenants
        self._clock = clock

    def job(self) -> Job:
        return Job("statements", 3600, self.run_once)

    async def run_once(self) -> None:
        now = self._clock.now()
        tenants = {t.tenant_id: t for t in await self._tenants.live()}
        gone = await self._tenants.deleted_since(now - LOOK_BACK)
        for tenant in (*tenants.values(), *gone):
            last_month = now.astimezone(zone(tenant.time_zone)).replace(day=1) - timedelta(days=1)
            await self._statements.report(tenant, last_month.strftime("%Y-%m"), now)
        for tenant_id, month in await self._closed.closed_months():
            # A tenant that somebody made unreadable by hand must not stop the others.
            if tenant_id in tenants and await self._statements.restate(tenants[tenant_id], month, now):
                _log.warning("statement_restated", tenant=tenant_id, month=month)
