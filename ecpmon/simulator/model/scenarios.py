"""Timed failures: what a scenario file or a request says, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ecpmon.simulator.model.failures import CATALOGUE, FailureType, Reach
from ecpmon.simulator.model.times import Micros, from_seconds

MAX_SECONDS = 400 * 86_400.0
# Of one tenant, running or still to come: every command looks at all of them.
MAX_FAILURES = 200
MAX_STEPS = MAX_FAILURES


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """A failure to start `at` microseconds after the scenario begins."""

    failure_type: FailureType
    duration: Micros
    severity: float
    at: Micros = 0
    target_service: str | None = None


class FailureOrder(BaseModel):
    """A failure as somebody asks for it; what is absent comes from the catalogue. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    failure_type: FailureType
    duration_seconds: float | None = Field(default=None, gt=0, le=MAX_SECONDS, strict=True)
    severity: float | None = Field(default=None, gt=0, le=1, strict=True)
    target_service: str | None = Field(default=None, max_length=63)
    # How far it may go; whoever asks for a tenant says `tenant`.
    reach: Reach = Reach.CLUSTER

    def as_step(self, at: Micros = 0) -> ScenarioStep:
        kind = CATALOGUE[self.failure_type]
        wanted = self.duration_seconds
        duration = kind.default_duration if wanted is None else max(1, from_seconds(wanted))
        severity = kind.default_severity if self.severity is None else self.severity
        return ScenarioStep(self.failure_type, duration, severity, at, self.target_service)


class TimedOrder(BaseModel):
    """One line of a scenario: `{at, failure_type, duration, severity, target_service}`, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    at: float = Field(ge=0, le=MAX_SECONDS, strict=True)
    failure_type: FailureType
    duration: float | None = Field(default=None, gt=0, le=MAX_SECONDS, strict=True)
    severity: float | None = Field(default=None, gt=0, le=1, strict=True)
    target_service: str | None = Field(default=None, max_length=63)

    def as_step(self) -> ScenarioStep:
        order = FailureOrder(
            failure_type=self.failure_type,
            duration_seconds=self.duration,
            severity=self.severity,
            target_service=self.target_service,
        )
        return order.as_step(from_seconds(self.at))


class Scenario(BaseModel):
    """A named list of timed failures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    steps: list[TimedOrder] = Field(min_length=1, max_length=MAX_STEPS)


_FILE = TypeAdapter(dict[str, Scenario])


def parse_scenarios(document: Any) -> Mapping[str, Scenario]:
    """Named scenarios from a parsed YAML mapping; pydantic's ValidationError names the bad field."""
    return _FILE.validate_python(document)
