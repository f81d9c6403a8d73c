"""Tenants, and what they would need."""

# Without postponed annotations: with them Python does not know what is required.
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ecpmon.client.types.common import Bounds, Hint, Preset, Resources, SlaTarget, TenantStatus


class TenantRequest(TypedDict):
    """A new tenant. Without a preset it gets the recommended one, without a target 99.5 %."""

    tenant_id: str
    name: str
    service_requirements: Mapping[str, int]
    preset: NotRequired[Preset | None]
    sla_target: NotRequired[SlaTarget]
    description: NotRequired[str | None]
    sli_source: NotRequired[Literal["auto", "prometheus", "simulator", "push"]]
    push_interval: NotRequired[int]
    push_mode: NotRequired[Literal["changes", "samples"]]
    time_zone: NotRequired[str]
    maintenance_accounting: NotRequired[Literal["exclude", "count_as_up"]]
    language: NotRequired[Literal["en", "ko"]]
    credits: NotRequired[Mapping[str, Any] | None]
    service_hours: NotRequired[Mapping[str, Any] | None]
    exclusion_rules: NotRequired[Mapping[str, Any] | None]
    labels: NotRequired[Mapping[str, str]]
    evidence_profile: NotRequired[Mapping[str, Any] | None]
    component_weights: NotRequired[Mapping[str, float] | None]


class TenantChanges(TypedDict, total=False):
    """What is absent stays; of a mapping by service as well, where null takes a member away."""

    name: str
    description: str | None
    preset: Preset | None
    service_requirements: Mapping[str, int | None]
    sla_target: SlaTarget
    service_resources: Mapping[str, Mapping[str, str | None] | None] | None
    sli_source: Literal["auto", "prometheus", "simulator", "push"]
    push_mode: Literal["changes", "samples"]
    language: Literal["en", "ko"]
    time_zone: str
    maintenance_accounting: Literal["exclude", "count_as_up"]
    credits: Mapping[str, Any] | None
    service_hours: Mapping[str, Any] | None
    exclusion_rules: Mapping[str, Any] | None
    labels: Mapping[str, str | None] | None
    acknowledge_autoscaling: bool


class CreatedTenant(TypedDict):
    tenant_id: str
    status: TenantStatus
    deployment_id: str
    estimated_resources: Resources
    estimated_cost: str
    deployment_time: str
    created_at: str


class TenantRow(TypedDict):
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    services_count: int
    cpu_limit: str
    memory_limit: str
    gpu_limit: int
    storage_limit: str
    gpu_type: str | None
    sla_availability: str | None
    sla_bounds: Bounds
    sla_coverage: float | None
    sla_status: str
    sla_stale: bool
    sla_as_of: str | None
    sla_response_time: str | None
    created_at: str
    description: str | None


class Pagination(TypedDict):
    skip: int
    limit: int
    has_more: bool


class TenantPage(TypedDict):
    tenants: list[TenantRow]
    total_count: int
    demo_count: int
    active_count: int
    pagination: Pagination


class ServiceResources(TypedDict):
    cpu_request: str
    memory_request: str


class Service(TypedDict):
    service_name: str
    service_type: str
    enabled: bool
    count: int
    image: str
    resources: ServiceResources


class Tenant(TypedDict):
    """`etag` goes into `update_tenant`, for a change that nobody else has overtaken."""

    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    status_reason: str | None
    service_requirements: dict[str, int]
    resources: Resources
    gpu_type: str | None
    sla_target: SlaTarget
    sli_source: str
    push_interval: int
    push_mode: str
    time_zone: str
    maintenance_accounting: str
    language: str
    credits: dict[str, Any] | None
    service_hours: dict[str, Any] | None
    exclusion_rules: dict[str, Any] | None
    labels: dict[str, str]
    services: list[Service]
    description: str | None
    created_at: str
    updated_at: str
    hints: list[Hint]
    etag: NotRequired[str]


class Change(TypedDict):
    """`effect`: what bringing it out does, for example `rollout`."""

    service: str
    field: str
    effect: str


class UpdatedTenant(TypedDict):
    """`changes`: what a deployment of it would change."""

    tenant_id: str
    name: str | None
    status: TenantStatus
    preset: str
    recommended_preset: str | None
    service_requirements: dict[str, int]
    sla_target: SlaTarget
    estimated_resources: Resources
    estimated_cost: str | None
    deployment_time: str | None
    updated_at: str
    changes: list[Change]
    redeploy_needed: bool
    restarts_pods: list[str]


class Deletion(TypedDict):
    message: str
    deletion_id: str
    estimated_time: str


class Alternative(TypedDict):
    preset: str
    resources: Resources
    cost: str
    performance_impact: str


class ResourcePlan(TypedDict):
    recommended_preset: str
    resources: Resources
    gpu_type: str | None
    estimated_cost: str
    alternatives: list[Alternative]
