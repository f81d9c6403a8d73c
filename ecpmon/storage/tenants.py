"""Tenants, their deployments and their evidence regimes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from ecpmon.errors import Conflict, TenantAlreadyExists, TenantNotFound
from ecpmon.isolation import reason_of
from ecpmon.memory import Memory
from ecpmon.model.maintenance import Accounting
from ecpmon.model.samples import Source
from ecpmon.model.tenants import (
    ContractVersion,
    Language,
    PushMode,
    Resources,
    SlaTarget,
    Tenant,
    TenantStatus,
)
from ecpmon.ports.audit import acting
from ecpmon.ports.tenants import Meant, NewTenant, TenantChange, TenantPage
from ecpmon.sla import hours
from ecpmon.sla.maintenance import zone
from ecpmon.storage.audit import changes, record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load
from ecpmon.storage.reading import UNREADABLE, readable
from ecpmon.wire import storable

# Changes of a tenant are told by the database itself, those made by hand as well, so that one may be held for long.
HELD_SECONDS = 600.0
# So many live tenants are held before somebody asks for them: a look-up costs as much as many an answer.
AHEAD = 2_000
_AHEAD_AT_ONCE = 50
# Of a tenant's row, in the audit log: what follows from the rest, or changes by itself.
_NOT_TOLD = {
    "key", "status", "status_reason", "deployed_spec", "created_at", "updated_at", "deleted_at", "versions", "as_of",
}  # fmt: skip


def tenant_of(row: Any) -> Tenant:
    """A row of `tenants` as a value. People may have inserted it by hand: what is missing gets its default."""
    resources = row["resources"]
    return Tenant(
        key=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        preset=row["preset"],
        is_demo=row["is_demo"],
        status=TenantStatus(row["status"]),
        service_requirements={k: int(v) for k, v in row["service_requirements"].items()},
        resources=Resources(
            cpu=str(resources.get("cpu") or row["cpu_limit"] or "0m"),
            memory=str(resources.get("memory") or row["memory_limit"] or "0Gi"),
            gpu=int(resources.get("gpu") or row["gpu_limit"] or 0),
            storage=str(resources.get("storage") or row["storage_limit"] or "0TB"),
        ),
        sla_target=SlaTarget.model_validate(row["sla_target"]),
        gpu_type=row["gpu_type"],
        description=row["description"],
        sli_source=row["sli_source"],
        deployed_to=row["deployed_to"],
        status_reason=row["status_reason"],
        push_interval=timedelta(seconds=row["push_interval_seconds"]),
        push_mode=PushMode(row["push_mode"]),
        time_zone=row["time_zone"],
        maintenance_accounting=Accounting(row["maintenance_accounting"]),
        language=Language(row["language"]),
        credits=row["credits"],
        hours=row["hours"],
        exclusion_rules=row["exclusion_rules"],
        versions=tuple(map(version_of, row["versions"] or ())),
        service_resources=row["service_resources"],
        labels=row["labels"],
        deployed_spec=row["deployed_spec"],
        component_weights=row["component_weights"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
    )


def version_of(row: Mapping[str, Any]) -> ContractVersion:
    """A row of `contract_versions`, as it is or as JSON."""
    return ContractVersion(
        version=row["version"],
        valid_from=_time(row["valid_from"]),
        sla_target=SlaTarget.model_validate(row["sla_target"]),
        maintenance_accounting=Accounting(row["maintenance_accounting"]),
        time_zone=row["time_zone"],
        credits=row["credits"],
        hours=row["hours"],
        created_at=_time(row["created_at"]),
        created_by=row["created_by"],
        replaced_at=None if row["replaced_at"] is None else _time(row["replaced_at"]),
        exclusion_rules=row["exclusion_rules"],
    )


def _time(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def checked(row: Any) -> Tenant:
    """Raises one of `UNREADABLE` for what nobody can work with."""
    tenant = tenant_of(row)
    zone(tenant.time_zone)
    _ = tenant.sla_target.fraction
    for version in tenant.versions:
        zone(version.time_zone)
        _ = version.sla_target.fraction
        if version.hours is not None:
            hours.stored(version.hours)
    return tenant


def one(row: Any) -> Tenant:
    """As `tenant_of`. Raises Conflict for a tenant that people inserted in a way nobody can read."""
    try:
        return tenant_of(row)
    except UNREADABLE as error:
        raise Conflict(
            f"the row of this tenant cannot be read, mend it in the table tenants: {reason_of(error)}",
            details={"tenant_id": row["tenant_id"]},
        ) from error


class PgTenantStore:
    """`ports.TenantStore` on PostgreSQL. `memory`: live tenants by name, for `known`."""

    def __init__(self, database: Database, on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is called when a name has become another tenant's, or nobody's."""
        self._database = database
        self._on_change = on_change
        self._sql = load("tenants")
        self.memory: Memory[str, Tenant] = Memory(long_seconds=HELD_SECONDS)
        # When the memory is filled anew, and how often it had been cleared when it was last.
        self._fill_at, self._filled = 0.0, -1

    def _changed(self, tenant_id: str) -> None:
        self.memory.drop(tenant_id)
        self._on_change()

    async def create(
        self,
        new: NewTenant,
        deployment_id: str,
        now: datetime,
        *,
        grant_to: int | None = None,
    ) -> Tenant:
        try:
            async with self._database.transaction() as connection:
                with wrap_errors():
                    await connection.execute(self._sql["actor"], storable(acting.get().name))
                    key = await connection.fetchval(self._sql["insert"], *_insert_values(new), now)
                    await connection.execute(
                        self._sql["insert_deployment"],
                        deployment_id,
                        key,
                        "demo" if new.is_demo else "simulator",
                        "pending",
                        "not deployed yet",
                        now,
                        None,
                    )
                    if grant_to is not None:
                        await connection.execute(self._sql["grant"], grant_to, key)
                    row = await connection.fetchrow(self._sql["by_number"], key)
                    made = {**_told(one(row)), "granted_to": grant_to}
                    if new.evidence_profile is not None:
                        choose = load("evidence_profiles")["choose"]
                        await connection.execute(choose, key, now, new.evidence_profile)
                        made["evidence_profile"] = new.evidence_profile
                    await record(connection, now, "tenant.created", new.tenant_id, tenant=key, after=made)
        except Conflict:
            existing = await self.get(new.tenant_id)
            raise TenantAlreadyExists(new.tenant_id, existing.status.value) from None
        self._changed(new.tenant_id)
        return one(row)

    def held(self, tenant_id: str) -> Tenant | None:
        return self.memory.get(tenant_id)

    async def known(self, tenant_id: str) -> Tenant:
        found = self.memory.get(tenant_id)
        if found is None:
            mark = self.memory.mark()
            found = await self.get(tenant_id)
            self.memory.put(tenant_id, found, mark)
        return found

    async def hold_ahead(self) -> None:
        """Hold live tenants that may be asked for soon, while changes are heard of. Call it every few seconds.

        What it has read is read again before its time is over, or after everything was given up.
        """
        cleared, now = self.memory.cleared, monotonic()
        if not self.memory.trusted() or (cleared == self._filled and now < self._fill_at):
            return
        last = 0
        for _ in range(0, AHEAD, _AHEAD_AT_ONCE):
            mark = self.memory.mark()
            rows = await self._database.fetch(self._sql["live_after"], last, _AHEAD_AT_ONCE)
            for tenant in await readable(rows, tenant_of, "tenant"):
                self.memory.put(tenant.tenant_id, tenant, mark)
            if len(rows) < _AHEAD_AT_ONCE:
                break
            last = rows[-1]["id"]
        self._fill_at, self._filled = now + HELD_SECONDS / 2, cleared

    async def get(self, tenant_id: str) -> Tenant:
        row = await self._database.fetchrow(self._sql["by_name"], tenant_id)
        if row is None:
            raise TenantNotFound(tenant_id)
        return one(row)

    async def get_with_deleted(self, tenant_id: str, *, among: Collection[int] | None) -> Tenant:
        numbers = None if among is None else list(among)
        row = await self._database.fetchrow(self._sql["by_name_with_deleted"], tenant_id, numbers)
        if row is None:
            raise TenantNotFound(tenant_id)
        return one(row)

    async def live_among(self, numbers: Collection[int]) -> set[int]:
        rows = await self._database.fetch(self._sql["live_among"], list(numbers))
        return {r["id"] for r in rows}

    async def names_of(self, numbers: Collection[int]) -> dict[int, str]:
        rows = await self._database.fetch(self._sql["names_of"], list(numbers))
        return {r["id"]: r["tenant_id"] for r in rows}

    async def numbers(self) -> dict[str, int]:
        """Name -> number of every live tenant."""
        return {r["tenant_id"]: r["id"] for r in await self._database.fetch(self._sql["numbers"])}

    async def meant(self, names: Collection[str], at: datetime) -> list[Meant]:
        rows = await self._database.fetch(self._sql["meant"], list(names), at)
        return [Meant(r["tenant_id"], r["id"], r["live"]) for r in rows]

    async def live_of(self, tenant_ids: Collection[str]) -> list[Tenant]:
        rows = await self._database.fetch(self._sql["by_names"], list(tenant_ids))
        return await readable(rows, checked, "tenant")

    async def page(
        self,
        *,
        allowed: Collection[int] | None,
        preset: str | None,
        status: str | None,
        skip: int,
        limit: int,
    ) -> TenantPage:
        chosen, among = (preset, status), "" if allowed is None else "_among"
        numbers = () if allowed is None else (list(allowed),)
        counts = await self._database.fetchrow(self._sql[f"counts{among}"], *chosen, *numbers)
        rows = await self._database.fetch(self._sql[f"page{among}"], *chosen, skip, limit, *numbers)
        return TenantPage(
            tuple(await readable(rows, checked, "tenant")), counts["total"], counts["demo"], counts["active"]
        )

    async def live(self, *, among: Collection[int] | None = None) -> list[Tenant]:
        if among is None:
            rows = await self._database.fetch(self._sql["live"])
        else:
            rows = await self._database.fetch(self._sql["live_of_numbers"], list(among))
        return await readable(rows, checked, "tenant")

    async def deleted_since(self, since: datetime) -> list[Tenant]:
        rows = await self._database.fetch(self._sql["deleted_since"], since)
        return await readable(rows, checked, "tenant")

    async def update(self, tenant: Tenant, change: TenantChange, now: datetime) -> Tenant:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["actor"], storable(acting.get().name))
                key = await connection.fetchval(self._sql["update"], *_change_values(tenant, change), now)
                if key is None:
                    raise Conflict(
                        "the tenant was changed by somebody else at the same time; read it again",
                        details={"tenant_id": tenant.tenant_id},
                    )
                if change.push_mode is not tenant.push_mode:
                    await connection.execute(self._sql["push_mode_changes"], tenant.key, now)
                row = await connection.fetchrow(self._sql["by_number"], key)
                if change.sli_source != tenant.sli_source:
                    await self._judge(connection, one(row), change.holds, change.age, now)
                before, after = changes(_told(tenant), _told(one(row)))
                await record(
                    connection,
                    now,
                    "tenant.changed",
                    tenant.tenant_id,
                    tenant=tenant.key,
                    before=before,
                    after=after,
                )
        self.memory.drop(tenant.tenant_id)
        return one(row)

    async def as_of(self, tenant: Tenant, at: datetime) -> Tenant:
        row = await self._database.fetchrow(self._sql["contract_at"], tenant.key, at)
        return tenant if row is None else tenant.under(version_of(row))

    async def contract_history(self, tenant: Tenant, most: int) -> list[ContractVersion]:
        rows = await self._database.fetch(self._sql["contract_versions"], tenant.key, most)
        return [version_of(row) for row in rows]

    async def delete(self, tenant: Tenant, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                if await connection.fetchval(self._sql["mark_deleted"], tenant.key, now) is None:
                    raise TenantNotFound(tenant.tenant_id)
                await record(
                    connection,
                    now,
                    "tenant.deleted",
                    tenant.tenant_id,
                    tenant=tenant.key,
                    before=_told(tenant),
                )
        self._changed(tenant.tenant_id)

    async def set_deployed(
        self,
        tenant: Tenant,
        deployed_to: str | None,
        status: str,
        holds: timedelta,
        age: timedelta | None,
        now: datetime,
        reason: str = "",
    ) -> Tenant:
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await connection.fetchrow(
                    self._sql["set_deployed"], tenant.key, deployed_to, status, now, tenant.spec(), reason
                )
                changed = one(row)
                await self._judge(connection, changed, holds, age, now)
        self.memory.drop(tenant.tenant_id)
        return changed

    async def _judge(
        self, connection: Any, tenant: Tenant, holds: timedelta, age: timedelta | None, now: datetime
    ) -> None:
        """From now on by its present source of evidence; nothing where that is so already."""
        source = tenant.evidence_source
        latest = await connection.fetchrow(self._sql["latest_regime"], tenant.key)
        if (latest["source"], latest["holds"], latest["age"]) != (source.value, holds, age):
            regime = (tenant.key, now, source.value, holds, age)
            await connection.execute(self._sql["add_regime"], *regime)

    async def set_status(self, tenant: Tenant, status: TenantStatus, reason: str = "") -> None:
        await self._database.execute(self._sql["set_status"], tenant.key, status.value, reason)
        self.memory.drop(tenant.tenant_id)

    async def tell_apart(self, now: datetime) -> list[str]:
        rows = await self._database.fetch(self._sql["tell_apart"], now)
        for row in rows:
            self.memory.drop(row["tenant_id"])
        return [row["tenant_id"] for row in rows]

    async def keep_interval(
        self, source: Source, holds: timedelta, age: timedelta | None, now: datetime
    ) -> int:
        rows = await self._database.fetch(self._sql["interval_changes"], now, source.value, holds, age)
        return len(rows)

    async def add_regime(
        self,
        tenant: Tenant,
        valid_from: datetime,
        source: Source,
        holds: timedelta,
        age: timedelta | None,
    ) -> None:
        regime = (tenant.key, valid_from, source.value, holds, age)
        await self._database.execute(self._sql["add_regime"], *regime)


def _told(tenant: Tenant) -> dict[str, Any]:
    """What the audit log says of a tenant: all that people give it."""
    told = tenant.model_dump(mode="json", exclude=_NOT_TOLD)
    return {**told, "contract_version": tenant.promised.version}


def _change_values(tenant: Tenant, change: TenantChange) -> tuple[Any, ...]:
    return (
        tenant.key,
        tenant.updated_at,
        change.name,
        change.description,
        change.preset,
        dict(change.service_requirements),
        change.resources.model_dump(),
        change.sla_target.model_dump(exclude_none=True),
        change.resources.cpu,
        change.resources.memory,
        change.resources.gpu,
        change.resources.storage,
        change.gpu_type,
        {name: dict(quantities) for name, quantities in change.service_resources.items()},
        change.push_mode.value,
        change.language.value,
        change.time_zone,
        change.maintenance_accounting.value,
        change.credits,
        change.hours,
        dict(change.labels),
        change.exclusion_rules,
        change.sli_source,
    )


def _insert_values(new: NewTenant) -> tuple[Any, ...]:
    return (
        new.tenant_id,
        new.name,
        new.preset,
        new.is_demo,
        dict(new.service_requirements),
        new.resources.model_dump(),
        new.sla_target.model_dump(exclude_none=True),
        new.resources.cpu,
        new.resources.memory,
        new.resources.gpu,
        new.resources.storage,
        new.gpu_type,
        new.description,
        new.sli_source,
        int(new.push_interval.total_seconds()),
        new.push_mode.value,
        new.time_zone,
        new.maintenance_accounting.value,
        dict(new.component_weights) if new.component_weights else None,
        new.language.value,
        new.credits,
        new.hours,
        dict(new.labels),
        new.exclusion_rules,
    )
