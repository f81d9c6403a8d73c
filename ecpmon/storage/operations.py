"""`ports.Operations` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from ecpmon.ports.operations import Figures, FiringAlert, Happening, RecentDeployment
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


class PgOperations:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("operations")

    async def figures(self, tenants: Collection[int] | None, now: datetime) -> Figures:
        [row] = await self._ask("figures", tenants, now)
        return Figures(
            by_preset=row["by_preset"],
            by_status=row["by_status"],
            availability=row["availability"],
            sla_measured=row["measured"],
            sla_as_of=row["as_of"],
            sla_by_status={name: row[name] for name in ("meeting", "at_risk", "violated")},
            response_ms=row["response_ms"],
            deployments_pending=row["pending"],
            deployments_finished=row["finished"],
            deployments_completed=row["completed"],
            deployments_failed_lately=row["failed_lately"],
            usage=row["usage"],
            connections=row["connections"],
        )

    async def happening(self, tenants: Collection[int] | None, now: datetime) -> Happening:
        rows = await self._ask("lists", tenants, now)
        # Each row says how many of its kind there are.
        totals = {row["kind"]: row["total"] for row in rows}
        totals.pop("deployment", None)
        return Happening(
            tuple(_deployment(row) for row in rows if row["kind"] == "deployment"),
            tuple(_alert(row) for row in rows if row["kind"] != "deployment"),
            sum(totals.values()),
        )

    async def _ask(self, name: str, tenants: Collection[int] | None, now: datetime) -> list[Any]:
        if tenants is None:
            return await self._database.fetch(self._sql[name], now)
        return await self._database.fetch(self._sql[f"{name}_among"], now, list(tenants))


def _deployment(row: Any) -> RecentDeployment:
    return RecentDeployment(
        row["name"],
        row["tenant_id"],
        row["method"],
        row["status"],
        row["requested_by"],
        row["since"],
        row["finished_at"],
    )


def _alert(row: Any) -> FiringAlert:
    return FiringAlert(
        row["kind"],
        row["method"],
        row["tenant_id"],
        row["name"],
        row["severity"],
        row["since"],
        row["value"],
    )
