"""What `ecpmon rules` needs of the database: what was promised to whom."""

from __future__ import annotations

from collections.abc import Sequence

from ecpmon.alerts.promcounted import Counted
from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import counted_of, targets_of
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.storage.database import Database
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.tenants import PgTenantStore


async def stored_targets(database_url: str) -> tuple[Targets, list[Counted]]:
    """The targets of the live tenants, and their objectives. Raises DatabaseUnavailable."""
    database = Database(database_url, name="ecpmon-rules")
    try:
        targets = targets_of(await PgTenantStore(database).live())
        return targets, counted_of(await PgObjectiveStore(database, load_objectives()).of_all())
    finally:
        await database.close()


def default_objectives() -> Sequence[Counted]:
    """What every tenant has."""
    return [Counted(objective) for objective in load_objectives() if objective.alerts]
