"""Rows that people insert and delete with SQL."""

from __future__ import annotations

from datetime import datetime

from ecpmon.storage.database import Database


async def insert_by_hand(
    database: Database,
    tenant_id: str,
    metric: str,
    value: float,
    ts: datetime | str,
    now: datetime | None = None,
    source: str | None = None,
) -> None:
    """One row into `monitoring_data`; `now` is what the database takes for the present (None: `ts`), `source` its
    `data_source`."""
    async with database.transaction() as connection:
        await connection.execute("SELECT set_config('ecpmon.now', $1, true)", str(now or ts))
        await connection.execute(
            "INSERT INTO monitoring_data (tenant_id, metric_name, metric_value, timestamp, data_source)"
            f" VALUES ($1, $2, $3, '{ts}', $4)",
            tenant_id,
            metric,
            value,
            source,
        )
