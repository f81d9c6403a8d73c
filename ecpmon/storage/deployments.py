"""Deployments as durable rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from ecpmon.errors import Conflict, no_such_deployment
from ecpmon.model.deployments import (
    PROGRESS,
    REPORTED,
    DeployedObject,
    DeploymentRecord,
    DeploymentStatus,
    LogLine,
)
from ecpmon.model.tenants import Tenant
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load
from ecpmon.storage.reading import readable
from ecpmon.tenantlines import DURATION_BOUNDS, Durations
from ecpmon.wire import rfc3339

# Of each tenant: years of a pipeline's reports.
REPORTED_KEPT: Final = 1_000


class PgDeploymentStore:
    """`ports.DeploymentStore` on PostgreSQL; the database refuses a second deployment and a step backwards."""

    def __init__(self, database: Database, reported_kept: int = REPORTED_KEPT) -> None:
        self._database = database
        self._reported_kept = reported_kept
        self._sql = load("deployments")

    async def request(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        options: Mapping[str, Any],
        requested_by: str,
        forced_because: str | None,
        now: datetime,
        begun_at: datetime | None = None,
    ) -> None:
        given = deployment_id, tenant.key, method, now, requested_by, forced_because, dict(options)
        asked = {"deployment_id": deployment_id, "method": method, "forced_because": forced_because}
        try:
            async with self._database.transaction() as connection:
                with wrap_errors():
                    await connection.execute(self._sql["request"], *given, begun_at or now)
                    await record(
                        connection, now, "deployment.requested", tenant.tenant_id,
                        tenant=tenant.key, after=asked,
                    )  # fmt: skip
        except Conflict:
            raise Conflict(
                "a deployment of this tenant is running; wait for it, or look at its deployment-status",
                details={"tenant_id": tenant.tenant_id},
            ) from None

    async def advance(
        self,
        tenant: int,
        deployment_id: str,
        status: DeploymentStatus,
        message: str,
        now: datetime,
        *,
        level: str = "info",
        objects: Sequence[DeployedObject] | None = None,
        tries: int = 0,
        broken: bool = False,
    ) -> bool:
        line = {"timestamp": now.isoformat(), "level": level, "message": message}
        found = await self._database.fetchval(
            self._sql["advance"],
            deployment_id,
            status.value,
            PROGRESS.get(status, 0),
            message,
            [line],
            None if objects is None else [asdict(o) for o in objects],
            now,
            tries,
            tenant,
            broken,
        )
        return found is not None

    async def beat(self, record: DeploymentRecord, now: datetime) -> None:
        await self._database.execute(
            self._sql["beat"], record.deployment_id, now, record.tries, record.tenant
        )

    async def remember(
        self, record: DeploymentRecord, before: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], ...] | None:
        kept = await self._database.fetchval(
            self._sql["remember"],
            record.deployment_id,
            record.tries,
            [dict(b) for b in before],
            record.tenant,
        )
        return None if kept is None else tuple(kept)

    async def take_over(self, silent_since: datetime, now: datetime) -> list[DeploymentRecord]:
        rows = await self._database.fetch(self._sql["take_over"], silent_since, now)
        return await readable(rows, _record, "deployment")

    async def get(self, deployment_id: str, among: Collection[int] | None) -> DeploymentRecord:
        numbers = None if among is None else list(among)
        row = await self._database.fetchrow(self._sql["one"], deployment_id, numbers)
        if row is None:
            raise no_such_deployment(deployment_id)
        return _record(row)

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[DeploymentRecord]:
        return [_record(r) for r in await self._database.fetch(self._sql["of_tenant"], tenant.key, limit)]

    async def running(self, tenant: Tenant) -> DeploymentRecord | None:
        row = await self._database.fetchrow(self._sql["running"], tenant.key)
        return None if row is None else _record(row)

    async def first_asked(self, tenant: int) -> DeploymentRecord | None:
        row = await self._database.fetchrow(self._sql["first_asked"], tenant)
        return None if row is None else _record(row)

    async def typical_seconds(self, record: DeploymentRecord) -> float | None:
        asked = (record.tenant, record.method, REPORTED)
        seconds: float | None = await self._database.fetchval(self._sql["typical_seconds"], *asked)
        return seconds

    async def first_completed(self, tenant: Tenant) -> datetime | None:
        at: datetime | None = await self._database.fetchval(self._sql["first_completed"], tenant.key)
        return at

    async def places(self, tenant: Tenant) -> list[str]:
        rows = await self._database.fetch(self._sql["places"], tenant.key, REPORTED)
        return [row["method"] for row in rows]

    async def durations(self) -> dict[str, dict[str, Durations]]:
        found: dict[str, dict[str, tuple[Counter[int], float]]] = {}
        for name, preset, place, count, seconds in await self._database.fetch(
            self._sql["durations"], DURATION_BOUNDS
        ):
            counts, known = found.setdefault(name, {}).get(preset, (Counter[int](), 0.0))
            counts[place] += count
            found[name][preset] = counts, known + seconds
        places = range(len(DURATION_BOUNDS) + 1)
        return {
            name: {
                preset: Durations(tuple(accumulate(counts[p] for p in places)), seconds)
                for preset, (counts, seconds) in own.items()
            }
            for name, own in found.items()
        }

    async def record_finished(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        status: DeploymentStatus,
        message: str,
        by: str,
        now: datetime,
        heard_at: datetime | None = None,
    ) -> None:
        given = deployment_id, tenant.key, method, status.value, message, now, by
        told = {"deployment_id": deployment_id, "method": method, "status": status.value, "at": rfc3339(now)}
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["insert_finished"], *given, REPORTED, self._reported_kept)
                await record(
                    connection, heard_at or now, "deployment.reported", tenant.tenant_id,
                    tenant=tenant.key, after=told,
                )  # fmt: skip


def _record(row: Any) -> DeploymentRecord:
    return DeploymentRecord(
        deployment_id=row["deployment_id"],
        tenant=row["tenant"],
        tenant_id=row["tenant_id"],
        method=row["method"],
        status=DeploymentStatus(row["status"]),
        progress=row["progress"],
        message=row["message"],
        created_at=row["created_at"],
        requested_at=row["requested_at"],
        finished_at=row["finished_at"],
        requested_by=row["requested_by"],
        forced_because=row["forced_because"],
        options=row["options"],
        tries=row["tries"],
        before=None if row["before"] is None else tuple(row["before"]),
        objects=tuple(DeployedObject(**o) for o in row["objects"]),
        logs=tuple(
            LogLine(datetime.fromisoformat(line["timestamp"]), line["level"], line["message"])
            for line in row["logs"]
        ),
    )
