"""What `ecpmon rules` needs of the database: what was promised to whom."""

from __future__ import annotations

from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import targets_of
from ecpmon.storage.database import Database
from ecpmon.storage.tenants import PgTenantStore


async def stored_targets(database_url: str) -> Targets:
    """The targets of the live tenants. Raises DatabaseUnavailable."""
    database = Database(database_url, name="ecpmon-rules")
    try:
        return targets_of(await PgTenantStore(database).live())
    finally:
        await database.close()
