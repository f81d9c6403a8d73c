"""Shapes of what is shown of tenants, for the handlers that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, WithJsonSchema

from ecpmon.model.hours import DAY_NAMES
from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import Language, PushMode, TenantStatus
from ecpmon.model.windows import SlaStatus
from ecpmon.openapi.declaring import TypedDict
from ecpmon.sla.hours import MAX_CALENDAR, MAX_HOLIDAYS, MAX_PER_DAY, TIME_RANGE

Percent = Annotated[float, Field(ge=0, le=100, examples=[99.86])]
ServiceRequirements = Annotated[
    Mapping[str, int],
    Field(description="Sessions at the same time, by service.", examples=[{"callbot": 10, "chatbot": 20}]),
]


class Pagination(TypedDict):
    skip: int
    limit: int
    has_more: bool


class Bounds(TypedDict):
    """What the figure would be if all that nobody measured had been down, and up."""

    low: Percent | None
    high: Percent | None


class ResourcesShown(TypedDict):
    cpu: Annotated[str, Field(examples=["4000m"])]
    memory: Annotated[str, Field(examples=["8Gi"])]
    gpu: int
    storage: Annotated[str, Field(examples=["0.1TB"])]


class SlaTargetShown(TypedDict):
    availability: Annotated[str, Field(examples=["99.9%"])]
    response_time: NotRequired[Annotated[str, Field(examples=["200ms"])]]
    concurrent_users: NotRequired[int]


class CreditTier(TypedDict):
    below_percent: Annotated[
        Percent | Literal["target"], Field(description="`target`: whoever just misses it.", examples=[99.0])
    ]
    credit_percent: Percent


class CreditsShown(TypedDict):
    version: Annotated[str, Field(examples=["own"])]
    tiers: Sequence[CreditTier]


class ServiceHours(TypedDict):
    """When the contract counts; days without hours are left out."""

    weekly: Annotated[Mapping[str, Sequence[str]], Field(examples=[{"mon": ["08:00-18:00"]}])]
    holidays: Annotated[Sequence[str], Field(examples=[["2026-12-25"]])]


# What people send: read by `ecpmon.sla.hours`, whose words say which part of it is wrong.
HoursGiven = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "title": "HoursGiven",
            "type": "object",
            "required": ["weekly"],
            "additionalProperties": False,
            "properties": {
                "weekly": {
                    "type": "object",
                    "description": "By day; a range may go on past midnight.",
                    "minProperties": 1,
                    "propertyNames": {"enum": list(DAY_NAMES)},
                    "additionalProperties": {
                        "type": "array",
                        "maxItems": MAX_PER_DAY,
                        "items": {"type": "string", "pattern": f"^{TIME_RANGE}$"},
                    },
                    "examples": [{"mon": ["08:00-18:00"], "sat": ["09:00-12:00", "13:00-16:00"]}],
                },
                "holidays": {
                    "type": "array",
                    "maxItems": MAX_HOLIDAYS,
                    "items": {"type": "string", "format": "date"},
                },
                "calendar": {
                    "type": "string",
                    "maxLength": MAX_CALENDAR,
                    "description": "Holidays as an iCalendar text (RFC 5545).",
                    "examples": ["BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"],
                },
            },
        }
    ),
]


class ExclusionRules(TypedDict):
    """What an exclusion needs to count by itself."""

    needs_approval: bool
    notice_hours: Annotated[float, Field(examples=[72])]


class NewestContract(TypedDict):
    """Which version of the contract says what the tenant's row says, and from when on."""

    version: int
    valid_from: datetime


class Hint(TypedDict):
    """What was sent was taken, and will not do what it is most likely meant for."""

    code: Annotated[str, Field(examples=["NO_SLA_EVIDENCE"])]
    message: str


class Quantities(TypedDict, total=False):
    """Of one replica; those that are absent are the catalogue's."""

    cpu_request: Annotated[str, Field(examples=["250m"])]
    cpu_limit: Annotated[str, Field(examples=["500m"])]
    memory_request: Annotated[str, Field(examples=["512Mi"])]
    memory_limit: Annotated[str, Field(examples=["1024Mi"])]


ServiceResources = Mapping[str, Quantities]


class Measured(TypedDict):
    """The availability of the last 30 days, and how sure that is; null before any data."""

    sla_availability: Annotated[str | None, Field(examples=["99.86%"])]
    sla_bounds: Bounds
    sla_coverage: Percent | None
    sla_status: SlaStatus
    sla_stale: Annotated[bool, Field(description="Nobody knows what the tenant is now.")]
    sla_as_of: datetime | None


class TenantRow(Measured):
    """A tenant as lists show it."""

    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    services_count: int
    cpu_limit: Annotated[str, Field(examples=["4000m"])]
    memory_limit: Annotated[str, Field(examples=["8Gi"])]
    gpu_limit: int
    storage_limit: Annotated[str, Field(examples=["0.1TB"])]
    gpu_type: str | None
    sla_response_time: Annotated[str | None, Field(examples=["120ms"])]
    created_at: datetime
    description: str | None


class TenantPage(TypedDict):
    tenants: list[TenantRow]
    total_count: int
    demo_count: int
    active_count: int
    pagination: Pagination


class TenantCreated(TypedDict):
    tenant_id: str
    status: TenantStatus
    deployment_id: str
    estimated_resources: ResourcesShown
    estimated_cost: Annotated[str, Field(examples=["$350/month"])]
    deployment_time: Annotated[str, Field(examples=["5-10 minutes"])]
    created_at: datetime


class Alternative(TypedDict):
    """Another preset for the same sessions."""

    preset: str
    resources: ResourcesShown
    cost: Annotated[str, Field(examples=["$350/month"])]
    performance_impact: str


class Calculation(TypedDict):
    recommended_preset: Annotated[str, Field(examples=["small"])]
    resources: ResourcesShown
    gpu_type: str
    estimated_cost: Annotated[str, Field(examples=["$350/month"])]
    alternatives: list[Alternative]


class Requests(TypedDict):
    cpu_request: Annotated[str, Field(examples=["250m"])]
    memory_request: Annotated[str, Field(examples=["512Mi"])]


class ServiceShown(TypedDict):
    """A service as it is planned."""

    service_name: Annotated[str, Field(examples=["callbot"])]
    service_type: str
    enabled: bool
    count: Annotated[int, Field(description="Replicas.")]
    image: str
    resources: Requests


class Trouble(TypedDict):
    """A job that goes on without the tenant, or without what `subject` names of it, because of its own rows."""

    job: str
    subject: str
    reason: str
    first_at: datetime
    last_at: datetime
    tries: int
    next_at: datetime


class TenantDetail(TypedDict):
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    status_reason: Annotated[
        str | None, Field(description="Why it is not `running`, or not known to be; null: nothing to say.")
    ]
    service_requirements: ServiceRequirements
    resources: ResourcesShown
    gpu_type: str | None
    sla_target: SlaTargetShown
    sli_source: Literal["auto", "prometheus", "simulator", "push"]
    push_interval: Annotated[int, Field(description="Seconds.", examples=[60])]
    push_mode: PushMode
    time_zone: str
    maintenance_accounting: Accounting
    language: Language
    credits: Annotated[CreditsShown | None, Field(description="null: the shipped table.")]
    service_hours: Annotated[ServiceHours | None, Field(description="null: always.")]
    exclusion_rules: Annotated[ExclusionRules | None, Field(description="null: as the settings say.")]
    contract: NewestContract
    service_resources: ServiceResources
    labels: Annotated[Mapping[str, str], Field(examples=[{"region": "seoul", "team": "billing"}])]
    component_policy: Literal["weighted", "any"]
    component_weights: Annotated[Mapping[str, float] | None, Field(examples=[{"callbot": 2, "chatbot": 1}])]
    services: list[ServiceShown]
    description: str | None
    created_at: datetime
    updated_at: datetime
    hints: list[Hint]
    quarantine: list[Trouble]


Value = str | int | bool | None
DeploymentChange = TypedDict(
    "DeploymentChange",
    {
        "service": Annotated[str, Field(examples=["callbot"])],
        "field": Annotated[str, Field(examples=["replicas"])],
        "from": Annotated[Value, Field(examples=[2])],
        "to": Annotated[Value, Field(examples=[3])],
        "effect": Literal["create", "remove", "scale", "rollout"],
    },
)


class TenantUpdated(TypedDict):
    """The tenant as it is now, and what a deployment of the change would do."""

    tenant_id: str
    name: str | None
    description: str | None
    status: TenantStatus
    preset: str
    recommended_preset: str | None
    service_requirements: ServiceRequirements
    sla_target: SlaTargetShown
    service_resources: ServiceResources
    labels: Annotated[Mapping[str, str], Field(examples=[{"region": "seoul", "team": "billing"}])]
    sli_source: Literal["auto", "prometheus", "simulator", "push"]
    push_mode: PushMode
    language: Language
    time_zone: str
    maintenance_accounting: Accounting
    credits: CreditsShown | None
    service_hours: ServiceHours | None
    exclusion_rules: ExclusionRules | None
    contract: NewestContract
    estimated_resources: ResourcesShown
    estimated_cost: Annotated[str | None, Field(examples=["$350/month"])]
    deployment_time: Annotated[str | None, Field(examples=["5-10 minutes"])]
    updated_at: datetime
    changes: list[DeploymentChange]
    compared_with: Annotated[
        Literal["deployment", "tenant"],
        Field(description="What runs, where that is known, or the tenant before."),
    ]
    redeploy_needed: bool
    restarts_pods: Annotated[list[str], Field(description="Services whose pods are all replaced.")]


class Deletion(TypedDict):
    message: str
    deletion_id: Annotated[str, Field(examples=["del-0f3c1b2a4d5e"])]
    estimated_time: str


class ContractShown(TypedDict):
    """One version of what is promised."""

    version: int
    valid_from: datetime
    sla_target: SlaTargetShown
    maintenance_accounting: Accounting
    time_zone: str
    credits: Annotated[CreditsShown | None, Field(description="null: the shipped table.")]
    service_hours: Annotated[ServiceHours | None, Field(description="null: always.")]
    exclusion_rules: Annotated[ExclusionRules | None, Field(description="null: as the settings say.")]
    created_at: datetime
    created_by: str
    replaced_at: Annotated[datetime | None, Field(description="Of one that never took effect.")]


class ContractInForce(TypedDict):
    tenant_id: str
    as_of: datetime
    in_force: Annotated[ContractShown, Field(description="What judges the present month.")]
    next: Annotated[ContractShown | None, Field(description="What takes effect next.")]


class ContractVersions(TypedDict):
    tenant_id: str
    versions: list[ContractShown]
