"""The metrics of the processes of one machine, added up. Pure: `Part` is what one process tells of itself.

Counters and histograms are summed; so are gauges, each process having its own part, but for `GREATEST`. Of what only a
leader knows there is one, for only a leader tells it. A process that is gone keeps counting with what it told last:
a sum of counters must never fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import orjson
from prometheus_client.core import Metric

from ecpmon.slices import few

# Gauges of which the greatest is told.
GREATEST: Final = frozenset(
    {
        "ecpmon_loop_longest_lag_seconds",
        "ecpmon_leader_term",
        "ecpmon_job_last_success",
        "ecpmon_job_period_seconds",
        "ecpmon_pull_lag_seconds",
        "ecp_active_tenants_total",
        "ecpmon_oidc_issuer_away",
        "ecpmon_oidc_keys_age_seconds",
    }
)
_COUNTING: Final = frozenset({"counter", "histogram"})
T = TypeVar("T")
_Labels = tuple[tuple[str, str], ...]


# Families, and tenants, of one line of what a process tells: so many are read in one go.
FAMILIES_AT_ONCE: Final = 4
TENANTS_AT_ONCE: Final = 100


@dataclass(slots=True)
class Part:
    """`families`: [name, text, type, [[sample, labels, value], …]]; `usage`: tenant -> metric ->
    [when it was measured, value, until when it is good]; `requests`: tenant -> [[method, status, count], …]."""

    leads: bool = False
    families: list[Sequence[Any]] = field(default_factory=list)
    usage: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    requests: dict[str, Sequence[Sequence[Any]]] = field(default_factory=dict)

    def lines(self) -> Iterator[bytes]:
        """As JSON, each line with a little of it: nobody who writes or reads them is held for long."""
        yield orjson.dumps({"leads": self.leads}) + b"\n"
        for families in few(self.families, FAMILIES_AT_ONCE):
            yield orjson.dumps({"families": families}) + b"\n"
        for name, told in (("usage", self.usage), ("requests", self.requests)):
            for pairs in few(list(told.items()), TENANTS_AT_ONCE):
                yield orjson.dumps({name: dict(pairs)}) + b"\n"

    def take(self, line: bytes) -> None:
        """What one of `lines` tells. Raises ValueError, TypeError, AttributeError for what is none."""
        document = orjson.loads(line)
        self.leads = document.get("leads", self.leads)
        self.families.extend(document.get("families", ()))
        self.usage.update(document.get("usage", {}))
        self.requests.update(document.get("requests", {}))

    def counted(self) -> Part:
        """What is left of a process that is gone."""
        families = [family for family in self.families if family[2] in _COUNTING]
        return Part(families=families, requests=self.requests)


def family_of(metric: Metric) -> list[Any]:
    samples = [[s.name, dict(s.labels), s.value] for s in metric.samples]
    return [metric.name, metric.documentation, metric.type, samples]


def summed(parts: Iterable[Part]) -> Iterator[Metric]:
    """One family of each name, in the order in which they are first told; each is added up when it is its turn."""
    found: dict[str, list[Sequence[Any]]] = {}
    for part in parts:
        for family in part.families:
            found.setdefault(family[0], []).append(family)
    for name, told in found.items():
        _, text, kind, _ = told[0]
        values: dict[tuple[str, _Labels], float] = {}
        add = _add_of(name, kind)
        for *_, samples in told:
            for sample, labels, value in samples:
                key = sample, tuple(labels.items())
                values[key] = add(sample, values[key], value) if key in values else value
        yield _filled(Metric(name, text, kind), values)


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


def newest_usage(
    parts: Iterable[Part], into: dict[str, dict[str, tuple[float, float, float]]]
) -> Iterator[None]:
    """tenant -> metric -> what was measured last, whichever process committed it; in steps of a few tenants."""
    for some in _few_of(part.usage for part in parts):
        for tenant_id, told in some:
            known = into.setdefault(tenant_id, {})
            for metric, (at, value, until) in told.items():
                if metric not in known or known[metric][0] <= at:
                    known[metric] = (at, value, until)
        yield


def summed_requests(parts: Iterable[Part], into: dict[str, Counter[tuple[str, int]]]) -> Iterator[None]:
    """tenant -> (method, status) -> how many were answered; in steps of a few tenants."""
    for some in _few_of(part.requests for part in parts):
        for tenant_id, told in some:
            counts = into.get(tenant_id)
            if counts is None:
                counts = into[tenant_id] = Counter()
            for method, status, count in told:
                counts[method, status] += count
        yield


def _few_of(told: Iterable[Mapping[str, T]]) -> Iterator[Sequence[tuple[str, T]]]:
    for mapping in told:
        yield from few(list(mapping.items()), TENANTS_AT_ONCE)
