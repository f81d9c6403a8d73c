"""What several of them have in common."""

# Without postponed annotations: with them Python does not know what is required.
from collections.abc import Mapping
from typing import Literal, TypedDict

Preset = Literal["micro", "small", "medium", "large"]
TenantStatus = Literal["pending", "deploying", "running", "degraded", "failed", "deleting"]
MetricType = Literal[
    "cpu", "memory", "gpu", "network", "storage", "request", "response", "error", "sla", "custom"
]
Interval = Literal["15s", "1m", "5m", "1h", "1d"]
Method = Literal["kubernetes", "gitops", "simulator"]
Metrics = Mapping[str, float]


class SlaTarget(TypedDict, total=False):
    availability: str
    response_time: str
    concurrent_users: int


class Resources(TypedDict):
    cpu: str
    memory: str
    gpu: int
    storage: str


class Bounds(TypedDict):
    """What if every gap was down, and what if every gap was up."""

    low: float | None
    high: float | None


class Hint(TypedDict):
    """A success that will not do what it is most likely meant for (docs/errors.md)."""

    code: str
    message: str
