"""`ecpmon sla report`: a statement from the command line, the same as over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

from ecpmon.compute.threads import Threads
from ecpmon.errors import NotFound
from ecpmon.model.tenants import Language
from ecpmon.settings import Settings
from ecpmon.statements.look import Look
from ecpmon.statements.service import StatementService
from ecpmon.statements.shapes import printed
from ecpmon.statements.terms import load_terms
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.statements import PgStatementStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.workers import TenantWorkers, Workers


async def report(
    database_url: str,
    settings: Settings,
    tenant_id: str,
    of: str,
    shape: str,
    now: datetime,
    revision: int | None,
    language: Language | None = None,
) -> bytes:
    """The statement of a month, a quarter or a year in one of the formats; `language` None: the tenant's.

    Raises TenantNotFound, ValidationFailed, NotFound.
    """
    database = Database(database_url, name="ecpmon-report")
    tenants, workers = PgTenantStore(database), Workers(Threads(1), patience=3600.0)
    try:
        service = StatementService(
            PgAvailabilityStore(database),
            PgMaintenanceStore(database),
            PgStatementStore(database),
            load_terms(),
            timedelta(days=settings.sla_retention_days),
            TenantWorkers(workers, "report"),
        )
        tenant = await tenants.get_with_deleted(tenant_id, among=None)
        told = await service.report(tenant, of, now, revision)
    finally:
        await workers.close()
        await database.close()
    if told is None:
        raise NotFound(f"there is no revision {revision} of the statement of {of}")
    return rendered(told.data(), shape, Look.of(settings, language or tenant.language))


def rendered(data: dict[str, Any], shape: str, look: Look | None = None) -> bytes:
    """The bytes of a statement as `json`, `csv`, `html` or `pdf`."""
    if shape != "json":
        return printed(data, shape, look)
    return orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n"
