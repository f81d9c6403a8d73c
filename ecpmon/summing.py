"""The metrics of the processes of one machine, added up. Pure: `Part` is what one process tells of itself.

Counters and histograms are summed; so are gauges, each process having its own part, but for `GREATEST`. Of what only a
leader knows there is one, for only a leader tells it. A process that is gone keeps counting with what it told last:
a sum of counters must never fall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from prometheus_client.core import Metric

# Gauges of which the greatest is told.
GREATEST: Final = frozenset(
    {
        "ecpmon_loop_longest_lag_seconds",
        "ecpmon_leader_term",
        "ecpmon_pull_lag_seconds",
        "ecp_active_tenants_total",
    }
)
_COUNTING: Final = frozenset({"counter", "histogram"})
_Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """`families`: [name, text, type, [[sample, labels, value], …]]; `usage`: tenant -> [seconds of the machine's
    monotonic clock, values]; `requests`: tenant -> [[method, status, count], …]."""

    leads: bool = False
    families: Sequence[Sequence[Any]] = ()
    usage: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    requests: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "leads": self.leads,
            "families": self.families,
            "usage": self.usage,
            "requests": self.requests,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError."""
        return cls(document["leads"], document["families"], document["usage"], document["requests"])

    def counted(self) -> Part:
        """What is left of a process that is gone."""
        families = [family for family in self.families if family[2] in _COUNTING]
        return Part(families=families, requests=self.requests)


def family_of(metric: Metric) -> list[Any]:
    samples = [[s.name, dict(s.labels), s.value] for s in metric.samples]
    return [metric.name, metric.documentation, metric.type, samples]


def summed(parts: Iterable[Part]) -> list[Metric]:
    """One family of each name, in the order in which they are first told."""
    found: dict[str, tuple[Metric, dict[tuple[str, _Labels], float]]] = {}
    for part in parts:
        for name, text, kind, samples in part.families:
            _, values = found.setdefault(name, (Metric(name, text, kind), {}))
            add = _add_of(name, kind)
            for sample, labels, value in samples:
                key = sample, tuple(labels.items())
                values[key] = add(sample, values[key], value) if key in values else value
    return [_filled(metric, values) for metric, values in found.values()]


def _add_of(name: str, kind: str) -> Callable[[str, float, float], float]:
    def add(sample: str, one: float, other: float) -> float:
        if kind in _COUNTING and sample.endswith("_created"):
            return min(one, other)
        return max(one, other) if name in GREATEST else one + other

    return add


def _filled(metric: Metric, values: Mapping[tuple[str, _Labels], float]) -> Metric:
    for (sample, labels), value in values.items():
        metric.add_sample(sample, dict(labels), value)
    return metric


def newest_usage(parts: Iterable[Part]) -> dict[str, Mapping[str, float]]:
    """tenant -> its latest usage, whichever process committed it."""
    found: dict[str, Sequence[Any]] = {}
    for part in parts:
        for tenant_id, told in part.usage.items():
            if tenant_id not in found or found[tenant_id][0] < told[0]:
                found[tenant_id] = told
    return {tenant_id: told[1] for tenant_id, told in found.items()}


def summed_requests(parts: Iterable[Part]) -> dict[str, dict[tuple[str, int], int]]:
    """tenant -> (method, status) -> how many were answered."""
    found: dict[str, dict[tuple[str, int], int]] = {}
    for part in parts:
        for tenant_id, told in part.requests.items():
            counts = found.setdefault(tenant_id, {})
            for method, status, count in told:
                counts[method, status] = counts.get((method, status), 0) + count
    return found
