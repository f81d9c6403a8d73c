"""Values of request-based and latency objectives: what is counted, the target, the slots of counts."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import add, sub
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from ecpmon.model.samples import Source
from ecpmon.model.windows import ROLLING_WINDOWS, ErrorBudget, SlaStatus, Verdict

# The rolling windows, and the calendar ones of `sla.periods` (a test compares them).
OBJECTIVE_WINDOWS: Final = (*ROLLING_WINDOWS, "month", "quarter")
# The tenant's own target; see `sla.openslo`.
RESERVED_NAMES: Final = frozenset({"availability"})
MAX_LABELS: Final = 20
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100, strict=True)]


class ObjectiveKind(StrEnum):
    REQUESTS = "requests"  # good events over all events, from counters
    LATENCY = "latency"  # observed time within the threshold over observed time


class Selector(BaseModel):
    """A metric, and the labels its series must carry; series with further labels are counted too, added up."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    metric: Text
    labels: dict[Text, Annotated[str, StringConstraints(max_length=200, strict=True)]] = Field(
        default_factory=dict, max_length=MAX_LABELS
    )

    @field_validator("metric")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be a printable name")
        return value


class Objective(BaseModel):
    """One promise of a tenant. Raises pydantic's ValidationError with one entry per bad field.

    `requests`: `total`, and either `good` or `bad`, name counters. `latency`: `threshold_ms` over `response_time`.
    `windows[0]` is the window the promise is about. `source` None: the tenant's evidence source, as it changes.
    `alerts`: whether it has the alert rules that every objective has.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: Name
    kind: ObjectiveKind
    # As a fraction. 1 leaves no budget, 0 promises nothing; both are refused, and so is NaN.
    target: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True)]
    display_name: Annotated[str, StringConstraints(max_length=200, strict=True)] = ""
    description: Annotated[str, StringConstraints(max_length=1050, strict=True)] = ""
    source: Source | None = None
    total: Selector | None = None
    good: Selector | None = None
    bad: Selector | None = None
    threshold_ms: Annotated[float, Field(gt=0, le=86_400_000, allow_inf_nan=False, strict=True)] | None = None
    windows: Annotated[tuple[str, ...], Field(min_length=1, max_length=len(OBJECTIVE_WINDOWS))] = (
        "30d",
        "7d",
        "24h",
        "1h",
    )
    alerts: Annotated[bool, Field(strict=True)] = True

    @field_validator("name")
    @classmethod
    def _free(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"{value} is the tenant's own target; change it with the tenant")
        return value

    @field_validator("windows")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [w for w in value if w not in OBJECTIVE_WINDOWS]
        if unknown:
            raise ValueError(f"unknown window {unknown[0][:20]!r}; known are {', '.join(OBJECTIVE_WINDOWS)}")
        if len(set(value)) != len(value):
            raise ValueError("a window is named twice")
        return value

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if self.kind is ObjectiveKind.REQUESTS:
            if self.total is None or (self.good is None) == (self.bad is None):
                raise ValueError("an objective of requests needs total, and either good or bad")
            if self.threshold_ms is not None:
                raise ValueError("threshold_ms belongs to objectives of latency")
        else:
            if self.threshold_ms is None:
                raise ValueError("an objective of latency needs threshold_ms")
            if self.total or self.good or self.bad:
                raise ValueError("total, good and bad belong to objectives of requests")
        return self

    @property
    def indicator(self) -> dict[str, Any]:
        """What is counted, without the promise about it: another indicator has another history."""
        return self.model_dump(
            mode="json", include={"kind", "source", "total", "good", "bad", "threshold_ms"}, exclude_none=True
        )


@dataclass(frozen=True, slots=True)
class StoredObjective:
    """An objective in force. `inherited`: from `rules/objectives.yaml`; `first_at`: its first observation.

    `holes_until`: no hole ends after it; None: there is none.
    """

    key: int
    tenant_id: str
    objective: Objective
    inherited: bool
    first_at: datetime | None
    holes_until: datetime | None = None

    def promised(self, tenant_key: int) -> Promised:
        objective = self.objective
        events = objective.kind is ObjectiveKind.REQUESTS
        return Promised(self.key, tenant_key, objective.target, objective.windows[0], events, self.first_at)


@dataclass(frozen=True, slots=True)
class Promised:
    """What alerts need of an objective in force. `target` is a fraction, `window` the one the promise is about.

    `events`: requests are counted, else microseconds. `first_at`: its first observation.
    """

    key: int
    tenant_key: int
    target: float
    window: str
    events: bool
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a stretch of time holds: events (or microseconds, for latency), and microseconds observed.

    `good` can exceed `total` or be negative where the counters are of different things: that is shown, not hidden.
    """

    good: int = 0
    total: int = 0
    observed: int = 0
    # Microseconds of gaps that the counters measured, told with the first readings after them.
    bridged: int = 0
    # Restarts that are only assumed, because a counter fell.
    resets: int = 0

    @property
    def cells(self) -> tuple[int, int, int, int, int]:
        return self.good, self.total, self.observed, self.bridged, self.resets

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, self.cells, other.cells))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*map(sub, self.cells, other.cells))

    @property
    def bad(self) -> int:
        return self.total - self.good

    @property
    def measured(self) -> int:
        """Microseconds of which it is known what happened in them."""
        return self.observed + self.bridged


@dataclass(frozen=True, slots=True)
class Hole:
    """What was counted at `end` for all of `(start, end]`, of which no reading told: nobody knows when it happened.

    `bridged`: microseconds from `start` on that are a gap which the counters measured.
    """

    start: datetime
    end: datetime
    good: int
    total: int
    bridged: int = 0

    @property
    def bad(self) -> int:
        return self.total - self.good


@dataclass(frozen=True, slots=True)
class HoursOfCounts:
    """A stretch of an objective's hours, as it crosses over to where work is done.

    Per hour that holds anything: when it begins, in seconds since 1970, and 61 sums each: everything counted before the
    hour, from some origin, and before the end of each of its minutes.
    """

    begins: array[int]
    good: array[int]
    total: array[int]
    observed: array[int]


@dataclass(frozen=True, slots=True)
class RatioResult:
    """Everything known about one objective in one window `[start, end)` of whole minutes. Unrounded.

    `budget` is in events, for latency in microseconds; `eligible` and `observed` are seconds.
    """

    window: str
    start: datetime
    end: datetime
    target: float
    counts: Counts
    eligible: float
    ratio: float | None
    # By the maintenance rule that the contract did not pick.
    ratio_other_accounting: float | None
    low: float | None
    high: float | None
    coverage: float | None
    verdict: Verdict
    status: SlaStatus
    budget: ErrorBudget
    burn_rate: float | None
    projected_exhaustion: datetime | None

    @property
    def observed(self) -> float:
        """Of which it is known what happened in it: what was read, and the gaps that the counters measured."""
        return self.counts.measured / 1e6

    @property
    def assumed_resets(self) -> int:
        """Restarts in the figures that are only assumed, because a counter fell."""
        return self.counts.resets

    @property
    def consistent(self) -> bool:
        """False when more is good than there is, or more is bad: the counters do not belong together."""
        return 0 <= self.counts.good <= self.counts.total
