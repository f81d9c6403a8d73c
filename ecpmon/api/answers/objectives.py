"""Request-based and latency objectives, and their figures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field

from ecpmon.api.answers.common import Bounds
from ecpmon.model.objectives import Name, ObjectiveKind, Selector
from ecpmon.model.samples import Source
from ecpmon.model.windows import SlaStatus, Verdict
from ecpmon.openapi.declaring import TypedDict


class LabelMatch(TypedDict):
    """Exactly one of these."""

    ne: NotRequired[str]
    re: NotRequired[str]
    nre: NotRequired[str]


class Selected(TypedDict):
    metric: str
    labels: dict[str, str | LabelMatch]


class FoundSeries(TypedDict):
    """How many series a role finds, and the names of the first."""

    series: int
    first: list[str]


class ShownObjective(TypedDict):
    """What can be sent, and what was found. `target` is a fraction; what was not said is not there."""

    name: str
    kind: ObjectiveKind
    target: float
    display_name: str
    description: str
    source: NotRequired[Source]
    total: NotRequired[Selected]
    good: NotRequired[Selected]
    bad: NotRequired[Selected]
    histogram: NotRequired[Selected]
    unit: NotRequired[Literal["s", "ms", "us"]]
    threshold_ms: NotRequired[float]
    windows: list[str]
    alerts: bool
    inherited: Annotated[bool, Field(description="it is a default of all tenants")]
    first_observation: datetime | None
    matches: Annotated[dict[str, FoundSeries], Field(description="by role, such as total and good")]
    hints: Annotated[list[str], Field(description="what keeps it from having figures that mean something")]


class ObjectiveFields(TypedDict):
    """`target` is a fraction. `requests`: `total`, and either `good` or `bad`, are counters. `latency`: `threshold_ms`
    over the buckets of `histogram`, which counts in `unit`; without one, over `response_time`. What is shown of an
    objective can be sent back."""

    kind: ObjectiveKind
    target: Annotated[float, Field(gt=0, lt=1)]
    display_name: NotRequired[Annotated[str, Field(max_length=200)]]
    description: NotRequired[Annotated[str, Field(max_length=1050)]]
    source: NotRequired[Source | None]
    total: NotRequired[Selector | None]
    good: NotRequired[Selector | None]
    bad: NotRequired[Selector | None]
    histogram: NotRequired[Selector | str | None]
    unit: NotRequired[Literal["s", "ms", "us"] | None]
    threshold_ms: NotRequired[Annotated[float, Field(gt=0, le=86_400_000)] | None]
    windows: NotRequired[
        Annotated[list[Literal["1h", "24h", "7d", "30d", "90d", "month", "quarter"]], Field(min_length=1)]
    ]
    alerts: NotRequired[bool]
    inherited: NotRequired[Any]
    first_observation: NotRequired[Any]
    matches: NotRequired[Any]
    hints: NotRequired[Any]


class GivenObjective(ObjectiveFields):
    """An objective; its `name`, if it is said, is that of the path."""

    name: NotRequired[Annotated[Name, Field(examples=["chat-latency"])]]


class NamedObjective(ObjectiveFields):
    """An objective among others."""

    name: Annotated[Name, Field(examples=["chat-latency"])]


class GivenObjectives(TypedDict):
    """All there is to be."""

    objectives: list[NamedObjective]


class ShownObjectives(TypedDict):
    tenant_id: str
    objectives: list[ShownObjective]


class CountedBudget(TypedDict):
    """In requests, or in seconds."""

    total: float
    consumed: float
    remaining: float
    remaining_percent: float | None


class CountedWindow(TypedDict):
    """Counts in requests, or in seconds."""

    window: str
    start: datetime
    end: datetime
    ratio: float | None
    ratio_other_accounting: float | None
    bounds: Bounds
    coverage: float | None
    verdict: Verdict
    status: SlaStatus
    good: float
    bad: float
    total: float
    consistent: Annotated[bool, Field(description="whether good and total belong together")]
    assumed_resets: Annotated[int, Field(description="restarts that no counter told of: it fell")]
    eligible_minutes: float
    observed_minutes: float
    error_budget: CountedBudget
    burn_rate: float | None
    projected_exhaustion: datetime | None


class Suspect(TypedDict):
    """When a counter could not be used, and why."""

    source: str
    subject: str
    first_at: datetime
    last_at: datetime
    reason: str


class ObjectiveStatus(TypedDict):
    tenant_id: str
    objective: str
    kind: ObjectiveKind
    unit: Literal["requests", "seconds"]
    target: float | None
    as_of: datetime
    suspect: list[Suspect]
    windows: list[CountedWindow]
