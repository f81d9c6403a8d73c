"""What is sent to create a tenant or to size one, and how it is checked."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, field_validator

from ecpmon.api.auth import caller_key
from ecpmon.api.common import backend_of, bad_field, now_of
from ecpmon.api.tenant_shapes import HoursGiven
from ecpmon.errors import InvalidPreset, ValidationFailed
from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import (
    TENANT_ID_PATTERN,
    Language,
    Preset,
    PushMode,
    SlaTarget,
    parse_milliseconds,
    parse_percentage,
)
from ecpmon.ports.profiles import Selection
from ecpmon.shapes import Model
from ecpmon.sla.hours import document_of, parse
from ecpmon.statements.terms import CreditTable


class TargetBody(Model):
    model_config = ConfigDict(extra="forbid")

    availability: Annotated[StrictStr, Field(examples=["99.9%"])] = "99.5%"
    response_time: Annotated[StrictStr | None, Field(examples=["200ms"])] = None
    concurrent_users: Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None = None

    @field_validator("availability")
    @classmethod
    def _percentage(cls, value: str) -> str:
        parse_percentage(value)
        return value.strip()

    @field_validator("response_time")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_milliseconds(value)
        return value


def target_of(request: web.Request, body: TargetBody) -> SlaTarget:
    """What is asked for; of availability, unless that is said, what administrators have set for everybody."""
    given = body.model_dump()
    if "availability" not in body.model_fields_set:
        given["availability"] = backend_of(request).operating.current.promised
    return SlaTarget(**given)


# As Kubernetes has them, but for values: they may be any text of one line.
LabelName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[StrictStr, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
MOST_LABELS: Final = 32


class RulesBody(Model):
    """What an exclusion needs to count by itself (docs/exclusions.md)."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    needs_approval: StrictBool = False
    notice_hours: Annotated[float, Field(strict=True, ge=0, le=8_760, allow_inf_nan=False)] = 0


# Of `/api/v1/tenants/…` and `/api/v1/simulator/failures/…`: whoever had such a name could not be asked for.
WORDS: Final = frozenset({"calculate-resources", "preview-manifest", "validate-manifest", "types"})


def _no_word_of_paths(name: str) -> str:
    if name in WORDS:
        raise ValueError("is a word of this API's paths, choose another name")
    return name


class TenantBody(Model):
    model_config = ConfigDict(extra="ignore")

    tenant_id: Annotated[
        StrictStr,
        Field(pattern=TENANT_ID_PATTERN, examples=["my-ai-service"]),
        AfterValidator(_no_word_of_paths),
    ]
    name: Annotated[StrictStr, Field(min_length=1, max_length=200, examples=["My AI service"])]
    preset: Annotated[
        StrictStr | None, Field(description="Absent: the recommended one.", examples=["small"])
    ] = None
    service_requirements: Annotated[
        dict[StrictStr, StrictInt],
        Field(
            description="Sessions at the same time, by service.", examples=[{"callbot": 10, "chatbot": 20}]
        ),
    ]
    sla_target: TargetBody = Field(default_factory=TargetBody)
    description: Annotated[StrictStr, Field(max_length=2000)] | None = None
    sli_source: Annotated[StrictStr, Field(pattern="^(auto|prometheus|simulator|push)$")] = "auto"
    push_interval: Annotated[StrictInt, Field(ge=1, le=86_400, description="Seconds.")] = 60
    push_mode: Annotated[
        PushMode | None,
        Field(description="Absent: `samples` for who names an interval and so sends at it, else `changes`."),
    ] = None
    time_zone: Annotated[StrictStr, Field(max_length=60)] = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    language: Annotated[Language, Field(description="Of its statements.")] = Language.EN
    credits: Annotated[CreditTable | None, Field(description="Absent: the shipped table.")] = None
    service_hours: Annotated[HoursGiven | None, Field(description="Absent: always.")] = None
    evidence_profile: Annotated[
        Selection | None, Field(description="From its first moment on. Absent: what the rules say for all.")
    ] = None
    exclusion_rules: Annotated[RulesBody | None, Field(description="Absent: as the settings say.")] = None
    labels: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=MOST_LABELS,
            description="What people tell tenants apart by; exclusions can select by them.",
            json_schema_extra={"examples": [{"region": "seoul", "team": "billing"}]},
        ),
    ] = Field(default_factory=dict)
    component_weights: (
        dict[StrictStr, Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]] | None
    ) = None


def push_mode_of(body: TenantBody) -> PushMode:
    named = "push_interval" in body.model_fields_set
    return body.push_mode or (PushMode.SAMPLES if named else PushMode.CHANGES)


def checked_weights(body: TenantBody) -> dict[str, float] | None:
    """Weights of services that the tenant has; without any, one service down is the tenant down."""
    weights = body.component_weights
    if weights is None:
        return None
    unknown = sorted(set(weights) - set(body.service_requirements))
    if not weights or unknown:
        known = ", ".join(body.service_requirements)
        raise bad_field("component_weights", f"must name services of this tenant: {known}")
    return weights


def check_preset(preset: str | None) -> str | None:
    """The preset, if there is one of that name. Raises InvalidPreset."""
    if preset is not None and preset not in list(Preset):
        known = ", ".join(Preset)
        raise InvalidPreset(f"unknown preset; known are {known}", details={"preset": preset[:40]})
    return preset


class CalculateBody(Model):
    model_config = ConfigDict(extra="ignore")

    service_requirements: Annotated[dict[StrictStr, StrictInt], Field(examples=[{"callbot": 10}])]
    sla_target: TargetBody = Field(default_factory=TargetBody)


def checked_profile(selection: Selection | None) -> dict[str, Any] | None:
    """A profile as it is stored. Raises ValidationFailed naming the field."""
    if selection is None:
        return None
    from ecpmon.collectors.profiles import problems

    if found := problems(selection):
        fields = [{**each, "field": f"evidence_profile.{each['field']}"} for each in found]
        raise ValidationFailed("some fields are not as they should be", fields=fields)
    return selection.document()


async def checked_hours(request: web.Request, document: dict[str, Any] | None) -> dict[str, Any] | None:
    """Service hours as they are stored. Raises ValidationFailed naming the field, Overloaded."""
    if document is None:
        return None
    today = now_of(request).date()
    if "calendar" not in document:
        return _hours(document, today)
    # Whatever it says is read elsewhere: events that recur may take seconds.
    return await backend_of(request).workers.run_for(caller_key(request), _hours, document, today)


def _hours(document: dict[str, Any], today: date) -> dict[str, Any]:
    return document_of(parse(document, today))
