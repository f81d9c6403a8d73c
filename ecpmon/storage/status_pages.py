"""Status pages in SQL: who may look, and the links that were given out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.errors import LimitReached, NotFound, TenantNotFound
from ecpmon.model.status_pages import ClosedPeriod, PageFacts, StatusLink, StatusPage
from ecpmon.model.tenants import Tenant
from ecpmon.storage.access import own_secret
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

# Of a tenant, until they are over: as many customers as one may have, and withdrawn ones besides.
MOST_LINKS: Final = 500
# Those that are over are still told for so long.
_TOLD: Final = timedelta(days=90)
MOST_PERIODS: Final = 24
# Frames in which the newest word of a service is looked for.
_FRAMES: Final = 300


class PgStatusPageStore:
    """`ports.StatusPageStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("status_pages")

    async def secret(self) -> bytes:
        return await own_secret(self._database, "status_links")

    async def public_names(self) -> frozenset[str]:
        found: str = await self._database.fetchval(self._sql["public_names"])
        return frozenset(found.split())

    async def of_tenant(self, tenant: Tenant) -> StatusPage:
        row = await self._database.fetchrow(self._sql["of_tenant"], tenant.key)
        links = tuple(map(_link, await self._database.fetch(self._sql["links"], tenant.key)))
        if row is None:
            return StatusPage(False, links)
        return StatusPage(row["public"], links, row["changed_at"], row["changed_by"])

    async def set_public(self, tenant: Tenant, public: bool, by: str, now: datetime) -> StatusPage:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await self._lock(connection, tenant)
                before = await connection.fetchval(self._sql["of_tenant"], tenant.key)
                await connection.execute(self._sql["set_public"], tenant.key, public, now, by)
                if bool(before) is not public:
                    await record(
                        connection, now, "status_page.changed", tenant.tenant_id, tenant=tenant.key,
                        before={"public": bool(before)}, after={"public": public},
                    )  # fmt: skip
        return await self.of_tenant(tenant)

    async def add_link(
        self, tenant: Tenant, label: str, expires_at: datetime, by: str, now: datetime
    ) -> StatusLink:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await self._lock(connection, tenant)
                await connection.execute(self._sql["forget_links"], tenant.key, now - _TOLD)
                if await connection.fetchval(self._sql["running_links"], tenant.key, now) >= MOST_LINKS:
                    raise LimitReached(
                        f"a status page has at most {MOST_LINKS} links that are not over yet, withdrawn ones included",
                        limit="status_links",
                        most=MOST_LINKS,
                    )
                row = await connection.fetchrow(self._sql["add_link"], tenant.key, label, now, by, expires_at)
                await record(
                    connection, now, "status_link.created", f"{tenant.tenant_id} link {row['number']}",
                    tenant=tenant.key, after={"label": label, "expires_at": expires_at},
                )  # fmt: skip
        return _link(row)

    async def withdraw_link(self, tenant: Tenant, number: int, by: str, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                label = await connection.fetchval(self._sql["withdraw_link"], tenant.key, number, now, by)
                if label is None:
                    raise NotFound("there is no such link, or it is over")
                await record(
                    connection, now, "status_link.withdrawn", f"{tenant.tenant_id} link {number}",
                    tenant=tenant.key, before={"label": label},
                )  # fmt: skip

    async def _lock(self, connection: Any, tenant: Tenant) -> None:
        if await connection.fetchval(self._sql["lock_tenant"], tenant.key) is None:
            raise TenantNotFound(tenant.tenant_id)

    async def facts(self, tenant: Tenant, now: datetime, shown: timedelta) -> PageFacts:
        row = await self._database.fetchrow(
            self._sql["facts"],
            tenant.key,
            now,
            MOST_PERIODS,
            tenant.evidence_source.value,
            now - shown,
            _FRAMES,
        )
        periods = zip(row["names"] or (), row["revisions"] or (), row["closed"] or (), strict=True)
        said = zip(row["services"] or (), row["said"] or (), strict=True)
        return PageFacts(
            row["public"],
            dict(zip(row["numbers"] or (), row["expire"] or (), strict=True)),
            tuple(ClosedPeriod(*period) for period in periods),
            {service: None if value is None else value > 0 for service, value in said},
        )


def _link(row: Any) -> StatusLink:
    return StatusLink(**row)
