"""Tenants: identity, SLA target, resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from ecpmon.model.maintenance import Accounting
from ecpmon.model.samples import Source

DEFAULT_TARGET: Final = Decimal("99.5")
# `ecp-ai-{tenant_id}` must be a valid namespace: 63 characters less the prefix of 7.
TENANT_ID_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$"
STALENESS_FACTOR: Final = 2.5
# How often a tenant is expected to be pushed, unless it says so itself.
PUSH_INTERVAL: Final = timedelta(seconds=60)
# Far more than any catalogue has; every mapping by service is as long at most.
MAX_SERVICES: Final = 100


class TenantStatus(StrEnum):
    PENDING = "pending"
    DEPLOYING = "deploying"
    RUNNING = "running"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


class PushMode(StrEnum):
    """What a push of the tenant's state tells."""

    CHANGES = "changes"  # a change, as it happens: its instant is exact
    SAMPLES = "samples"  # what was found at that instant, by somebody who looks now and then


class Language(StrEnum):
    """What a tenant's statements are written in."""

    EN = "en"
    KO = "ko"


class Preset(StrEnum):
    MICRO = "micro"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


# Characters of a target as it is written. What is longer is neither read nor kept in memory.
MAX_WRITTEN: Final = 40


@lru_cache(maxsize=1024)
def parse_percentage(text: str) -> Decimal:
    """`"99.9%"` or `"99.9"` as a percentage strictly between 0 and 100.

    Raises ValueError: a target of 100 % leaves no error budget and one of 0 % promises nothing.
    """
    short = len(text) <= MAX_WRITTEN
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)(?:\s*%)?", text.strip()) if short else None
    try:
        value = Decimal(match.group(1)) if match else None
    except InvalidOperation:  # pragma: no cover - the pattern admits only decimals
        value = None
    if value is None or not Decimal(0) < value < Decimal(100):
        raise ValueError("must be a percentage between 0 and 100, both excluded, such as 99.9%")
    return value


def parse_milliseconds(text: str) -> float:
    """`"200ms"` or `"1.5s"` in milliseconds. Raises ValueError."""
    short = len(text) <= MAX_WRITTEN
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s)", text.strip()) if short else None
    if match is None or float(match.group(1)) <= 0:
        raise ValueError("must be a duration such as 200ms or 1.5s")
    return float(match.group(1)) * (1000 if match.group(2) == "s" else 1)


class SlaTarget(BaseModel):
    """What the contract promises. Strings as in the public API."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="allow")

    availability: str = f"{DEFAULT_TARGET}%"
    response_time: str | None = None
    concurrent_users: int | None = Field(default=None, ge=1)

    @property
    def percent(self) -> Decimal:
        return parse_percentage(self.availability)

    @property
    def fraction(self) -> float:
        """The target as a fraction in (0, 1)."""
        return _fraction(self.availability)


@lru_cache(maxsize=1024)
def _fraction(availability: str) -> float:
    return float(parse_percentage(availability) / 100)


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """What is promised to a tenant from `valid_from` on, until a later version takes effect.

    `credits` and `hours` as in the API; None: the shipped credit table, every hour. `version` counts from 1 per tenant.
    `replaced_at`: a later one took its place before it had taken effect, and no month is judged by it.
    """

    version: int
    valid_from: datetime
    sla_target: SlaTarget
    maintenance_accounting: Accounting
    time_zone: str
    credits: Mapping[str, Any] | None
    hours: Mapping[str, Any] | None
    created_at: datetime
    created_by: str
    replaced_at: datetime | None = None
    # What exclusions need to count, as in the API; None: as the settings say.
    exclusion_rules: Mapping[str, Any] | None = None


class Resources(BaseModel):
    """Kubernetes quantities, as in the public API: `cpu="24000m"`, `memory="32Gi"`, `storage="1.0TB"`."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="allow")

    cpu: str = "0m"
    memory: str = "0Gi"
    gpu: int = 0
    storage: str = "0TB"


class Tenant(BaseModel):
    """A tenant as stored. `key` is the internal number, `tenant_id` the public name."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    key: int
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    # Why it is no better one; "": nothing to say.
    status_reason: str = ""
    service_requirements: dict[str, int]
    resources: Resources
    sla_target: SlaTarget
    gpu_type: str | None = None
    description: str | None = None
    sli_source: str = "auto"
    deployed_to: str | None = None
    push_interval: timedelta = PUSH_INTERVAL
    push_mode: PushMode = PushMode.CHANGES
    time_zone: str = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    language: Language = Language.EN
    # Its own credit table, service hours and rules of exclusions, as in the API; None: the shipped table, every hour,
    # as the settings say.
    credits: SkipValidation[Mapping[str, Any] | None] = None
    hours: SkipValidation[Mapping[str, Any] | None] = None
    exclusion_rules: SkipValidation[Mapping[str, Any] | None] = None
    # Those that are in force or will be, by number. What stands above is what the last one says.
    versions: SkipValidation[tuple[ContractVersion, ...]] = ()
    # Where that is another one: `under`.
    as_of: SkipValidation[ContractVersion | None] = None
    # Right-sized: service -> {cpu_request, cpu_limit, memory_request, memory_limit} instead of the catalogue's.
    service_resources: dict[str, dict[str, str]] = Field(default_factory=dict)
    # What people tell tenants apart by; nothing is worked out from it.
    labels: dict[str, str] = Field(default_factory=dict)
    # `spec()` of the moment it was deployed; None: not deployed, or before that was recorded.
    deployed_spec: dict[str, Any] | None = None
    # Component policy: weights by service, or None when any service that is down makes the tenant down.
    component_weights: dict[str, float] | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def contract_versions(self) -> tuple[ContractVersion, ...]:
        """At least one: where none are known, what is promised now was promised from the beginning."""
        return self.versions or (
            ContractVersion(
                1,
                self.created_at,
                self.sla_target,
                self.maintenance_accounting,
                self.time_zone,
                self.credits,
                self.hours,
                self.created_at,
                "",
                exclusion_rules=self.exclusion_rules,
            ),
        )

    def under(self, version: ContractVersion) -> Tenant:
        """This tenant as `version` promises."""
        promised = (
            "sla_target", "maintenance_accounting", "time_zone", "credits", "hours", "exclusion_rules",
        )  # fmt: skip
        return self.model_copy(
            update={"as_of": version, **{name: getattr(version, name) for name in promised}}
        )

    @property
    def promised(self) -> ContractVersion:
        """The version whose promise this is."""
        return self.as_of or self.contract_versions[-1]

    @property
    def evidence_source(self) -> Source:
        """Where this tenant's availability evidence comes from (data-and-sla.md §3)."""
        if self.sli_source != "auto":
            return Source(self.sli_source)
        if self.deployed_to == "simulator":
            return Source.SIMULATOR
        return Source.PROMETHEUS if self.deployed_to in ("kubernetes", "gitops") else Source.PUSH

    def spec(self) -> dict[str, Any]:
        """What a deployment is made from, as JSON."""
        return {
            "service_requirements": dict(self.service_requirements),
            "sla_target": self.sla_target.model_dump(exclude_none=True),
            "preset": self.preset,
            "service_resources": dict(self.service_resources),
        }

    def as_deployed(self) -> Tenant:
        """This tenant with the spec that is deployed; as it is when none is known."""
        if self.deployed_spec is None:
            return self
        target = SlaTarget.model_validate(self.deployed_spec["sla_target"])
        return self.model_copy(update={**self.deployed_spec, "sla_target": target})

    def deployed(self, where: str | None) -> Tenant:
        """This tenant as it would be deployed to `where`."""
        return self.model_copy(update={"deployed_to": where})
