"""Tenants: what is stored of them, and how they change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

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


@dataclass(frozen=True, slots=True)
class NewTenant:
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    service_requirements: Mapping[str, int]
    resources: Resources
    sla_target: SlaTarget
    gpu_type: str | None = None
    description: str | None = None
    sli_source: str = "auto"
    push_interval: timedelta = timedelta(seconds=60)
    push_mode: PushMode = PushMode.CHANGES
    time_zone: str = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    component_weights: Mapping[str, float] | None = None
    language: Language = Language.EN
    credits: Mapping[str, Any] | None = None
    hours: Mapping[str, Any] | None = None
    # `Selection.document` of `ports.profiles`, from its first moment on.
    evidence_profile: Mapping[str, Any] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    exclusion_rules: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TenantChange:
    """Everything of a tenant that people may change, as it is to be.

    `holds` and `age` as for `add_regime`, of its evidence as it will be.
    """

    name: str | None
    description: str | None
    preset: str
    service_requirements: Mapping[str, int]
    resources: Resources
    sla_target: SlaTarget
    gpu_type: str | None
    service_resources: Mapping[str, Mapping[str, str]]
    push_mode: PushMode
    language: Language
    time_zone: str
    maintenance_accounting: Accounting
    credits: Mapping[str, Any] | None
    hours: Mapping[str, Any] | None
    labels: Mapping[str, str]
    exclusion_rules: Mapping[str, Any] | None
    sli_source: str
    holds: timedelta
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class TenantPage:
    tenants: tuple[Tenant, ...]
    total: int
    demo: int
    active: int


@dataclass(frozen=True, slots=True)
class Meant:
    """Which tenant a name stands for; `live`: it is not deleted."""

    tenant_id: str
    number: int
    live: bool


class TenantStore(Protocol):
    async def create(
        self,
        new: NewTenant,
        deployment_id: str,
        now: datetime,
        *,
        grant_to: int | None = None,
    ) -> Tenant:
        """Store a tenant with its first deployment row (`pending`), granted to the token `grant_to`.

        Raises TenantAlreadyExists.
        """
        ...

    async def get(self, tenant_id: str) -> Tenant:
        """A live tenant. Raises TenantNotFound."""
        ...

    def held(self, tenant_id: str) -> Tenant | None:
        """What `known` would find without asking the database; None: it would have to."""
        ...

    async def known(self, tenant_id: str) -> Tenant:
        """The same, as it was up to a second ago; what this process changed is seen at once. Raises TenantNotFound.

        For what is decided again where it is committed.
        """
        ...

    async def get_with_deleted(self, tenant_id: str, *, among: Collection[int] | None) -> Tenant:
        """The live tenant of that name, else the one deleted last, of those with a number `among` (None: of all).

        Raises TenantNotFound.
        """
        ...

    async def live_among(self, numbers: Collection[int]) -> set[int]:
        """Those of these tenants that are not deleted."""
        ...

    async def names_of(self, numbers: Collection[int]) -> dict[int, str]:
        """Number -> name of those that are live."""
        ...

    async def meant(self, names: Collection[str], at: datetime) -> list[Meant]:
        """What these names mean to who was told them at that time: the tenant that bore the name then, else the first
        to bear it since. A name that nobody has borne since then means nobody."""
        ...

    async def live_of(self, tenant_ids: Collection[str]) -> list[Tenant]:
        """The live tenants of these names."""
        ...

    async def page(
        self,
        *,
        allowed: Collection[int] | None,
        preset: str | None,
        status: str | None,
        skip: int,
        limit: int,
    ) -> TenantPage:
        """Live tenants by age. `allowed`: numbers of tenants; None means every tenant (an administrator's view)."""
        ...

    async def live(self, *, among: Collection[int] | None = None) -> list[Tenant]:
        """Every live tenant, for collectors and jobs, which serve them all; or those of the numbers `among`."""
        ...

    async def deleted_since(self, since: datetime) -> list[Tenant]:
        """Tenants that are gone since: for the job that closes their last months."""
        ...

    async def update(self, tenant: Tenant, change: TenantChange, now: datetime) -> Tenant:
        """Store a change of `tenant` as it was read. Raises Conflict when somebody else was faster.

        What it changes of the contract is another version. Another push mode or `sli_source` holds from `now` on.
        """
        ...

    async def as_of(self, tenant: Tenant, at: datetime) -> Tenant:
        """The tenant as the newest version promises that was known at `at`; which months are judged by which stays."""
        ...

    async def contract_history(self, tenant: Tenant, most: int) -> list[ContractVersion]:
        """The newest `most` versions, the last first, also those that were replaced before they took effect."""
        ...

    async def delete(self, tenant: Tenant, now: datetime) -> None:
        """Take the tenant out of service; its SLA history stays readable."""
        ...

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
        """Record where the tenant runs and, as `tenant` was read, what of it; a change of evidence source opens
        a new regime at `now`. `holds` and `age` as for `add_regime`; `reason`: why the status is no better one."""
        ...

    async def set_status(self, tenant: Tenant, status: TenantStatus, reason: str = "") -> None:
        """Of a live tenant, and why it is no better one."""
        ...

    async def tell_apart(self, now: datetime) -> list[str]:
        """Of the tenants that run, those that are measured down become `degraded`, and `running` again when they are
        measured up; who changed. For the job: all tenants."""
        ...

    async def keep_interval(
        self, source: Source, holds: timedelta, age: timedelta | None, now: datetime
    ) -> int:
        """A regime from `now` on of every live tenant whose evidence is pulled from `source` and held otherwise; how
        many. For the job: all tenants."""
        ...

    async def add_regime(
        self,
        tenant: Tenant,
        valid_from: datetime,
        source: Source,
        holds: timedelta,
        age: timedelta | None,
    ) -> None:
        """From `valid_from` on evidence comes from `source` and holds for `holds`; as old as `age` may it be, None: it
        tells changes at their instants."""
        ...
