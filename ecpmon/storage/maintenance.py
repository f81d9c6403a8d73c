"""Planned maintenance of tenants."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from ecpmon.errors import LimitReached, NotFound
from ecpmon.model.maintenance import Category, Maintenance, Withdrawn
from ecpmon.model.tenants import Tenant
from ecpmon.sla.exclusions import check_approval
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load


def maintenance_of(row: Any) -> Maintenance:
    return Maintenance(
        maintenance_id=str(row["maintenance_id"]),
        start=row["starts_at"],
        duration=row["duration"],
        reason=row["reason"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        time_zone=row["time_zone"],
        rrule=row["rrule"],
        title=row["title"],
        approved_by=row["approved_by"],
        until=row["ends_at"],
        by_rfc=row["by_rfc"],
        category=Category(row["category"]),
        needs_approval=row["needs_approval"],
        notice=row["notice"],
        approver=row["approver"],
        approved_at=row["approved_at"],
        token=row["token"],
        laid_by=None if row["laid_by"] is None else str(row["laid_by"]),
    )


@dataclass(frozen=True, slots=True)
class MaintenanceBounds:
    """Of one tenant: planned windows, and how often they are on within 93 days."""

    windows: int = 1_000
    occurrences: int = 2_000

    def check(self, windows: int, occurrences: int) -> None:
        """`windows` there are, `occurrences` with the new one. Raises LimitReached."""
        if windows >= self.windows:
            raise LimitReached(
                f"a tenant has at most {self.windows} maintenance windows; remove one first",
                limit="maintenance_windows",
                most=self.windows,
            )
        if occurrences > self.occurrences:
            raise LimitReached(
                f"with this one, maintenance would begin up to {occurrences} times within 93 days, and at most "
                f"{self.occurrences} are possible; end a recurring one (DELETE with keep_past=true), or plan fewer and "
                "longer ones",
                limit="maintenance_occurrences",
                most=self.occurrences,
            )


DEFAULT_BOUNDS: Final = MaintenanceBounds()


async def _note(
    connection: Any,
    now: datetime,
    action: str,
    tenant: Tenant,
    *,
    before: Maintenance | None = None,
    after: Maintenance | None = None,
) -> None:
    """Into the audit log."""
    named = after or before
    await record(
        connection,
        now,
        action,
        named.maintenance_id if named else "",
        tenant=tenant.key,
        before=told(before),
        after=told(after),
    )


def told(planned: Maintenance | None) -> dict[str, Any] | None:
    """What the audit log says of a window."""
    if planned is None:
        return None
    return {
        **asdict(planned),
        "duration": planned.duration.total_seconds(),
        "in_the_past": planned.start < planned.created_at,
    }


class PgMaintenanceStore:
    """`ports.MaintenanceStore` on PostgreSQL."""

    def __init__(self, database: Database, most: MaintenanceBounds = DEFAULT_BOUNDS) -> None:
        self._database = database
        self._most = most
        self._sql = load("maintenance")

    async def add(self, tenant: Tenant, planned: Maintenance, occurrences: int) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                # One at a time per tenant, so that two do not fit into the last place.
                await connection.execute(self._sql["lock_tenant"], tenant.key)
                held = await connection.fetchrow(self._sql["held"], tenant.key, planned.created_at)
                self._most.check(held["windows"], held["occurrences"] + occurrences)
                await connection.execute(
                    self._sql["insert"],
                    planned.maintenance_id,
                    tenant.key,
                    planned.start,
                    planned.duration,
                    planned.rrule,
                    planned.time_zone,
                    planned.title,
                    planned.reason,
                    planned.created_by,
                    planned.created_at,
                    planned.approved_by,
                    occurrences if planned.rrule else None,
                    planned.category.value,
                    planned.needs_approval,
                    planned.notice,
                    planned.token,
                )
                await _note(connection, planned.created_at, "maintenance.added", tenant, after=planned)

    async def of_tenant(self, tenant: Tenant) -> list[Maintenance]:
        return [maintenance_of(r) for r in await self._database.fetch(self._sql["of_tenant"], tenant.key)]

    async def of_tenants(self, tenants: Collection[Tenant]) -> dict[str, list[Maintenance]]:
        names = {t.key: t.tenant_id for t in tenants}
        found: dict[str, list[Maintenance]] = defaultdict(list)
        for row in await self._database.fetch(self._sql["of_tenants"], list(names)):
            found[names[row["tenant"]]].append(maintenance_of(row))
        return dict(found)

    async def withdrawn(self, tenant: Tenant) -> list[Withdrawn]:
        rows = await self._database.fetch(self._sql["withdrawn"], tenant.key)
        return [Withdrawn(maintenance_of(r), r["removed_at"], r["removed_by"]) for r in rows]

    async def remove(self, tenant: Tenant, maintenance_id: str, by: str, now: datetime) -> None:
        await self._change("remove", tenant, maintenance_id, by, now, "there is no such maintenance")

    async def end(self, tenant: Tenant, maintenance_id: str, by: str, now: datetime) -> None:
        message = "there is no such recurring maintenance with occurrences to come"
        await self._change("end", tenant, maintenance_id, by, now, message)

    async def approve(
        self, tenant: Tenant, maintenance_id: str, by: str, token: str | None, now: datetime
    ) -> Maintenance:
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await connection.fetchrow(self._sql["lock"], tenant.key, _number(maintenance_id))
                if row is None or row["removed_at"] is not None:
                    raise _unknown("there is no such maintenance", maintenance_id)
                before = maintenance_of(row)
                check_approval(before, by, token)
                await connection.execute(self._sql["approve"], tenant.key, row["maintenance_id"], by, now)
                after = replace(before, approver=by, approved_at=now)
                await _note(connection, now, "maintenance.approved", tenant, before=before, after=after)
        return after

    async def _change(
        self, query: str, tenant: Tenant, maintenance_id: str, by: str, now: datetime, otherwise: str
    ) -> None:
        number = _number(maintenance_id)
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await connection.fetchrow(self._sql["lock"], tenant.key, number)
                changed = await connection.fetchval(self._sql[query], tenant.key, number, now, by)
                if changed is None:
                    raise _unknown(otherwise, maintenance_id)
                before = maintenance_of(row)
                after = replace(before, until=now) if query == "end" else None
                action = "maintenance.ended" if query == "end" else "maintenance.removed"
                await _note(connection, now, action, tenant, before=before, after=after)


def _number(maintenance_id: str) -> uuid.UUID:
    """One that no window has for what cannot be one."""
    try:
        return uuid.UUID(maintenance_id)
    except ValueError:
        return uuid.UUID(int=0)


def _unknown(message: str, maintenance_id: str) -> NotFound:
    return NotFound(message, details={"maintenance_id": maintenance_id[:60]})
