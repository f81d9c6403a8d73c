"""`rules/sli.yaml`: which observation means down, and what is asked of Prometheus. Schema-checked."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ecpmon.collectors.promql import selectors
from ecpmon.errors import ValidationFailed
from ecpmon.names import ERROR_RATE_METRIC, SERVICE_METRICS, UP_METRIC
from ecpmon.resources import data_dir, yaml_of
from ecpmon.sla.evidence import EvidenceRule, EvidenceRules

Fraction = Annotated[float, Field(gt=0, le=1)]
ServiceMetric = Annotated[str, Field(pattern=f"^({'|'.join(SERVICE_METRICS)})$")]


class _Strict(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class SourceRule(_Strict):
    error_rate_down_at: Fraction | None = None


class MetricRule(_Strict):
    """What is read, and how old its samples are: by its selectors, or by `age`, an expression in seconds by tenant.

    `interval` in seconds: how often they are taken, when that is not as often as Prometheus is asked.
    """

    expression: str
    age: str | None = None
    interval: Annotated[float, Field(gt=0, le=3600)] | None = None

    @classmethod
    def of(cls, given: str | MetricRule) -> MetricRule:
        return cls(expression=given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        found = selectors(self.expression)
        if self.age is not None:
            selectors(self.age)
        elif not found:
            raise ValueError("nothing in it says when it was measured: give an `age`")
        return self


def _with_a_time(given: str | MetricRule) -> str | MetricRule:
    MetricRule.of(given)
    return given


# An expression alone, or with what belongs to it.
Read = Annotated[str | MetricRule, AfterValidator(_with_a_time)]


class CounterRule(MetricRule):
    """A counter, read series by series: a sum over series would hide their restarts.

    `labels` are kept and must tell a tenant's series apart, the restarts of which are then seen one by one. `bounds`:
    those of a native histogram that are kept, in its unit; without them powers of two.
    """

    labels: tuple[str, ...] = Field(min_length=1, max_length=10)
    bounds: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(default=(), max_length=20)


class PrometheusRule(SourceRule):
    tenant_label: str = "tenant_id"
    availability: str
    age: str | None = None
    component_label: str = "service"
    components: Read | None = None
    metrics: dict[str, Read] = Field(default_factory=dict)
    # What single services use, for right-sizing: series by tenant and component.
    services: dict[ServiceMetric, Read] = Field(default_factory=dict)
    # Our metric name -> what is read of it.
    counters: dict[str, CounterRule] = Field(default_factory=dict)

    @field_validator("counters")
    @classmethod
    def _no_evidence(cls, value: dict[str, CounterRule]) -> dict[str, CounterRule]:
        if value.keys() & {UP_METRIC, ERROR_RATE_METRIC}:
            raise ValueError("a counter must not be called like evidence")
        return value

    @model_validator(mode="after")
    def _availability_has_a_time(self) -> Self:
        MetricRule(expression=self.availability, age=self.age)
        return self


class SliRules(_Strict):
    push: SourceRule
    simulator: SourceRule
    prometheus: PrometheusRule

    @property
    def evidence(self) -> EvidenceRules:
        return EvidenceRules(
            push=EvidenceRule(self.push.error_rate_down_at),
            simulator=EvidenceRule(self.simulator.error_rate_down_at),
            prometheus=EvidenceRule(self.prometheus.error_rate_down_at),
        )


@cache
def load_sli_rules(text: str | None = None) -> SliRules:
    """The shipped rules, or `text`. Raises ValidationFailed with one entry per bad field."""
    if text is None:
        text = (data_dir("rules") / "sli.yaml").read_text(encoding="utf-8")
    try:
        return SliRules.model_validate(yaml_of(text))
    except yaml.YAMLError as error:
        raise ValidationFailed(f"the SLI rules are not YAML: {error}") from error
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        raise ValidationFailed("the SLI rules are not as they should be", fields=fields) from error
