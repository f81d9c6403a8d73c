"""Values of request-based and latency objectives: what is counted, the target, the slots of counts."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isclose
from operator import add, sub
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from ecpmon.model.patterns import MAX_PATTERN, compiled, fits
from ecpmon.model.samples import Source
from ecpmon.model.windows import ROLLING_WINDOWS, ErrorBudget, SlaStatus, Verdict

# The rolling windows, and the calendar ones of `sla.periods` (a test compares them).
OBJECTIVE_WINDOWS: Final = (*ROLLING_WINDOWS, "month", "quarter")
# The tenant's own target; see `sla.openslo`.
RESERVED_NAMES: Final = frozenset({"availability"})
MAX_LABELS: Final = 20
MAX_TEXT: Final = 100
# What is counted, without the promise about it.
INDICATOR: Final = {"kind", "source", "total", "good", "bad", "threshold_ms", "histogram", "unit"}
OBJECTIVE_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=OBJECTIVE_PATTERN, strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strict=True)]
LabelText = Annotated[str, StringConstraints(max_length=200, strict=True)]
Pattern = Annotated[str, StringConstraints(max_length=MAX_PATTERN, strict=True)]


# Of what a histogram counts in, in a millisecond.
UNITS: Final = {"s": 0.001, "ms": 1.0, "us": 1000.0}
BUCKETS: Final = "_bucket"
COUNT: Final = "_count"
BOUND: Final = "le"
# Endings of a counter's name, and of that of what says when it began.
_ENDINGS: Final = ("_total", BUCKETS, COUNT, "_sum")
CREATED: Final = "_created"


def created_of(metric: str) -> str:
    """The metric that says when a counter began, as OpenMetrics names it: `x_created` of `x_total`."""
    for ending in _ENDINGS:
        if metric.endswith(ending):
            return metric.removesuffix(ending) + CREATED
    return metric + CREATED


class ObjectiveKind(StrEnum):
    REQUESTS = "requests"  # good events over all events, from counters
    # Requests within the threshold over all requests, from a histogram; without one, observed time within the threshold
    # over observed time.
    LATENCY = "latency"


class Match(BaseModel):
    """What a label's text is compared with, other than being equal: exactly one of these.

    `ne`: not that text. `re`, `nre`: a regular expression of all of it, or not (RE2, as in PromQL).
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    ne: LabelText | None = None
    re: Pattern | None = None
    nre: Pattern | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [text for text in (self.ne, self.re, self.nre) if text is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of ne, re, nre")
        for pattern in (self.re, self.nre):
            if pattern is not None:
                compiled(pattern)
        return self

    def allows(self, text: str) -> bool:
        if self.ne is not None:
            return text != self.ne
        return fits(self.re, text) if self.re is not None else not fits(self.nre or "", text)


class Selector(BaseModel):
    """A metric, and what the labels of its series must be; series with further labels are counted too, added up.

    As in PromQL, a label that a series lacks is the empty text.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    metric: Text
    labels: dict[Text, LabelText | Match] = Field(default_factory=dict, max_length=MAX_LABELS)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the metric with these labels is meant."""
        return all(_allows(wanted, labels.get(name, "")) for name, wanted in self.labels.items())

    def may_be_beside(self, labels: Mapping[str, str]) -> bool:
        """Whether a series that is meant may yet come beside one of the metric with these labels: what has no label of
        that name will hardly be counted apart by it."""
        return all(labels.get(name) or _allows(wanted, "") for name, wanted in self.labels.items())

    @field_validator("metric")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be a printable name")
        return value


def _check_histogram(histogram: Selector) -> None:
    if BOUND in histogram.labels:
        raise ValueError("the bound of a histogram is threshold_ms, and no label")
    if len(histogram.metric) + len(BUCKETS) > MAX_TEXT or len(histogram.labels) >= MAX_LABELS:
        raise ValueError("the histogram's name is too long, or has too many labels")


def _allows(wanted: str | Match, text: str) -> bool:
    return text == wanted if isinstance(wanted, str) else wanted.allows(text)


class Objective(BaseModel):
    """One promise of a tenant. Raises pydantic's ValidationError with one entry per bad field.

    `requests`: `total`, and either `good` or `bad`, name counters. `latency`: `threshold_ms` over the buckets of
    `histogram` (its name without `_bucket`), which counts in `unit`; without one, over `response_time`.
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
    histogram: Selector | None = None
    unit: Literal["s", "ms", "us"] | None = None
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

    @field_validator("histogram", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A name alone will do, also that of its buckets."""
        if isinstance(value, str):
            value = {"metric": value}
        if isinstance(value, dict) and isinstance(value.get("metric"), str):
            return {**value, "metric": value["metric"].removesuffix(BUCKETS)}
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
            if self.threshold_ms is not None or self.histogram is not None or self.unit is not None:
                raise ValueError("threshold_ms, histogram and unit belong to objectives of latency")
        else:
            if (self.histogram is None) != (self.unit is None):
                raise ValueError("histogram needs unit, one of s, ms, us, and unit needs histogram")
            if self.histogram is not None:
                _check_histogram(self.histogram)
            if self.threshold_ms is None:
                raise ValueError("an objective of latency needs threshold_ms")
            if self.total or self.good or self.bad:
                raise ValueError("total, good and bad belong to objectives of requests")
        return self

    @property
    def indicator(self) -> dict[str, Any]:
        """What is counted, without the promise about it: another indicator has another history."""
        return self.model_dump(mode="json", include=INDICATOR, exclude_none=True)

    @property
    def counters(self) -> Counters | None:
        """What is counted; None for a share of time."""
        part = self.good if self.good is not None else self.bad
        if self.total is not None and part is not None:
            return Counters(self.total, part, self.bad is not None)
        if self.histogram is None or self.threshold_ms is None or self.unit is None:
            return None
        name, labels = self.histogram.metric, self.histogram.labels
        whole = Selector(metric=name + COUNT, labels=labels)
        part = Selector(metric=name + BUCKETS, labels=labels)
        return Counters(whole, part, False, self.threshold_ms * UNITS[self.unit])


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of an objective: all events, and those of them that are good or bad.

    `bound`: of the buckets of a histogram those up to it, in its unit.
    """

    whole: Selector
    part: Selector
    part_is_bad: bool
    bound: float | None = None

    def is_part(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the part's metric with these labels is counted."""
        if self.bound is not None and not is_bound(labels.get(BOUND, ""), self.bound):
            return False
        return self.part.matches(labels)

    @property
    def selectors(self) -> dict[str, Selector]:
        """By role, `total` and `good` or `bad`, as PromQL can say them: a bound by how it may be written."""
        part = self.part
        if self.bound is not None:
            labels = {**part.labels, BOUND: _written(self.bound)}
            part = Selector.model_construct(metric=part.metric, labels=labels)
        return {"total": self.whole, "bad" if self.part_is_bad else "good": part}


def is_bound(text: str, bound: float) -> bool:
    """Whether a bucket's bound is that number, however it is written: `200`, `200.0`, `2e+02`."""
    try:
        return isclose(float(text), bound, rel_tol=1e-9)
    except ValueError:
        return False


def _written(bound: float) -> str | Match:
    number = round(bound, 12)
    if number == int(number):
        # As exporters write it, `2` or `2.0`.
        return Match.model_construct(re=rf"{int(number)}(\.0)?")
    return repr(number)


@dataclass(frozen=True, slots=True)
class StoredObjective:
    """An objective in force. `inherited`: from `rules/objectives.yaml`; `first_at`: its first observation.

    `holes_until`: no hole ends after it; None: there is none. `part_known`: False where the total is read, but nobody
    knows a metric by the name of what is good or bad of it.
    """

    key: int
    tenant_id: str
    objective: Objective
    inherited: bool
    first_at: datetime | None
    holes_until: datetime | None = None
    part_known: bool = True

    def promised(self, tenant_key: int) -> Promised:
        objective = self.objective
        first = self.first_at if self.part_known else None
        events = objective.counters is not None
        return Promised(self.key, tenant_key, objective.target, objective.windows[0], events, first)


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

    `bridged`: microseconds from `start` on that are a gap which the counters measured. `told` False: it was not
    counted, and nobody knows whether it happened (docs/objectives.md).
    """

    start: datetime
    end: datetime
    good: int
    total: int
    bridged: int = 0
    told: bool = True

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
