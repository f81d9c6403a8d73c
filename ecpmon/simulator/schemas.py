"""What requests must look like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from ecpmon.simulator.model.failures import Reach
from ecpmon.simulator.model.objects import Resources, ServiceSpec
from ecpmon.simulator.model.scenarios import MAX_SECONDS, MAX_STEPS, TimedOrder
from ecpmon.simulator.model.times import Micros, from_seconds, to_micros

# RFC 1123 labels; a tenant's namespace `ecp-ai-{tenant_id}` must be one too, and pod names get a suffix.
TENANT_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$"
SERVICE_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"


def parse_moment(text: str) -> Micros:
    """Microseconds of an ISO 8601 text; without a zone it means UTC. ValueError otherwise."""
    # An unquoted `+` of an offset arrives as a space in a query.
    moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


# What is planned beyond these years is soon in no calendar.
_FIRST, _LAST = 1970, 2199
_EARLIEST = to_micros(datetime(_FIRST, 1, 1, tzinfo=UTC))
_LATEST = to_micros(datetime(_LAST + 1, 1, 1, tzinfo=UTC))


def _moment(value: object) -> object:
    try:
        at = parse_moment(value if isinstance(value, str) else "")
    except (ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 time such as 2026-01-20T14:30:00Z") from None
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"must lie in the years {_FIRST} to {_LAST}")
    return at


Moment = Annotated[
    int,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-02T08:00:00Z"]}),
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=128)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServiceBody(_Model):
    name: str = Field(pattern=SERVICE_PATTERN, examples=["callbot"])
    replicas: int = Field(default=1, ge=0, le=500, strict=True)
    cpu_millicores: int = Field(default=500, ge=1, le=1_000_000, strict=True)
    memory_mib: int = Field(default=1024, ge=1, le=16_000_000, strict=True)
    gpu: int = Field(default=0, ge=0, le=64, strict=True)
    sessions: int = Field(default=50, ge=0, le=10_000_000, strict=True)
    startup_seconds: float = Field(default=8.0, ge=0, le=3600, strict=True)

    def as_spec(self) -> ServiceSpec:
        requests = Resources(self.cpu_millicores, self.memory_mib * 1024**2, self.gpu)
        return ServiceSpec(
            self.name, self.replicas, requests, self.sessions, from_seconds(self.startup_seconds)
        )


class TenantBody(_Model):
    services: list[ServiceBody] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) != len(names):
            raise ValueError("two services have the same name")
        return self


class ExternalBody(_Model):
    tenant_id: Text
    source: Text
    metrics: dict[Text, Number] = Field(min_length=1, max_length=500)


class ScenarioBody(_Model):
    """Either the name of a shipped scenario or its own steps."""

    scenario: Text | None = None
    steps: list[TimedOrder] | None = Field(default=None, min_length=1, max_length=MAX_STEPS)
    reach: Reach = Reach.CLUSTER

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.scenario is None) == (self.steps is None):
            raise ValueError("give either `scenario` or `steps`")
        return self


class AdvanceBody(_Model):
    seconds: float | None = Field(default=None, ge=0, le=MAX_SECONDS, strict=True)
    to: Moment | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.seconds is None) == (self.to is None):
            raise ValueError("give either `seconds` or `to`")
        return self


class SetClockBody(_Model):
    to: Moment


class RestartBody(_Model):
    restarted_at: Moment


class AmongBody(_Model):
    """`tenants`: the names whose use is asked for."""

    tenants: list[Text] = Field(max_length=100_000)


class HistoryBody(_Model):
    duration_seconds: float = Field(default=2_592_000, gt=0, le=MAX_SECONDS, strict=True)
    interval_seconds: float = Field(default=60, ge=1, le=86_400, strict=True)
    tenants: list[Text] | None = None
    end: Moment | None = None
