"""One window for many tenants."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.errors import Conflict, EcpError, LimitReached, TenantNotFound
from ecpmon.model.maintenance import Maintenance
from ecpmon.ports.exclusions import Laid, Requested
from ecpmon.sla.exclusions import check_approval, lacks_at_first
from ecpmon.storage.audit import record_of_each
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.maintenance import DEFAULT_BOUNDS, MaintenanceBounds, maintenance_of, told
from ecpmon.storage.queries import load

# What is each tenant's own of a window that a request has laid on many.
_OWN: Final = ("needs_approval", "notice", "approver", "approved_at")


class PgExclusionStore:
    """`ports.ExclusionStore` on PostgreSQL."""

    def __init__(self, database: Database, most: MaintenanceBounds = DEFAULT_BOUNDS) -> None:
        self._database = database
        self._most = most
        self._sql = load("maintenance")

    async def request(
        self, request: str, digest: str, tenants: Sequence[int], by: str, now: datetime
    ) -> Requested:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["request"], request, now, by, list(tenants), digest)
                row = await connection.fetchrow(self._sql["requested"], request)
        return _of_this(row, digest)

    async def requested(self, request: str, digest: str | None = None) -> Requested | None:
        row = await self._database.fetchrow(self._sql["requested"], request)
        return None if row is None else _of_this(row, digest)

    async def withdraw(self, request: str) -> None:
        await self._database.execute(self._sql["withdraw_request"], request)

    async def lay(self, tenants: Sequence[int], planned: Maintenance, occurrences: int) -> Laid:
        async with self._database.transaction() as connection:
            with wrap_errors():
                keys = list(tenants)
                live = {r["id"] for r in await connection.fetch(self._sql["lock_tenants"], keys)}
                laid = await connection.fetch(self._sql["laid"], keys, planned.laid_by)
                held = await connection.fetch(self._sql["held_of"], keys, planned.created_at)
                already = {r["tenant"]: str(r["maintenance_id"]) for r in laid if r["holds"]}
                gone = {r["tenant"] for r in laid if not r["holds"]}
                fresh = [r for r in held if r["tenant"] in live - already.keys() - gone]
                refused = self._refusals(fresh, occurrences)
                refused |= {key: TenantNotFound("") for key in keys if key not in live}
                new = {r["tenant"]: str(uuid.uuid4()) for r in fresh if r["tenant"] not in refused}
                if new:
                    await self._insert(connection, new, planned, occurrences)
        return Laid(new, already, gone, refused)

    def _refusals(self, held: Sequence[Any], occurrences: int) -> dict[int, EcpError]:
        found: dict[int, EcpError] = {}
        for row in held:
            try:
                self._most.check(row["windows"], row["occurrences"] + occurrences)
            except LimitReached as error:
                found[row["tenant"]] = error
        return found

    async def _insert(
        self, connection: Any, new: Mapping[int, str], planned: Maintenance, occurrences: int
    ) -> None:
        await connection.execute(
            self._sql["lay"],
            list(new),
            list(new.values()),
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
            planned.laid_by,
        )
        after = {k: v for k, v in (told(planned) or {}).items() if k != "maintenance_id"}
        await record_of_each(connection, planned.created_at, "maintenance.added", new, after=after)

    async def approve(
        self, tenants: Sequence[int], request: str, by: str, token: str | None, now: datetime
    ) -> list[int]:
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["lock_laid"], list(tenants), request)
                waiting = [r for r in rows if r["approved_at"] is None]
                # By their contracts some may need approval, and others none.
                lacking = [r for r in waiting if lacks_at_first(maintenance_of(r)) is not None]
                for row in lacking or waiting:
                    check_approval(maintenance_of(row), by, token)
                keys = [r["tenant"] for r in lacking]
                await connection.execute(self._sql["approve_laid"], keys, request, by, now)
                await self._note(connection, lacking, "maintenance.approved", now, {"approver": by})
        return keys

    async def remove(self, tenants: Sequence[int], request: str, by: str, now: datetime) -> list[int]:
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["lock_laid"], list(tenants), request)
                await connection.execute(self._sql["remove_laid"], list(tenants), request, by, now)
                await self._note(connection, rows, "maintenance.removed", now, None)
        return [r["tenant"] for r in rows]

    async def _note(
        self,
        connection: Any,
        rows: Sequence[Any],
        action: str,
        now: datetime,
        after: Mapping[str, Any] | None,
    ) -> None:
        alike: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for row in rows:
            alike[tuple(row[name] for name in _OWN)].append(row)
        for some in alike.values():
            before = {k: v for k, v in (told(maintenance_of(some[0])) or {}).items() if k != "maintenance_id"}
            subjects = {r["tenant"]: str(r["maintenance_id"]) for r in some}
            await record_of_each(connection, now, action, subjects, before=before, after=after)

    async def forget(self, before: datetime) -> None:
        """Forget requests from before: their keys are free again, and what they laid stays."""
        await self._database.execute(self._sql["forget_requests"], before)


def _of_this(row: Any, digest: str | None) -> Requested:
    if digest is not None and row["digest"] != digest:
        raise Conflict("this key was used for another request; take a new one for each")
    return Requested(row["requested_at"], row["tenants"])
