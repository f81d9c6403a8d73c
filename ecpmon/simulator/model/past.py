"""History before the live time: incidents from the seed, the timeline they make, and its observations.

The incidents of a tenant are laid out in blocks of 30 days counted back from the end of the past, so that
asking for a longer or shorter past never moves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ecpmon.simulator.model.failures import FailureType
from ecpmon.simulator.model.hashing import unit
from ecpmon.simulator.model.objects import Condition, ServiceSpec
from ecpmon.simulator.model.tenants import PastRecord, Tenant
from ecpmon.simulator.model.times import DAY, HOUR, MINUTE, Micros, rfc3339
from ecpmon.simulator.model.truth import Interval, Transition, intervals
from ecpmon.simulator.model.view import Values, summarise
from ecpmon.simulator.model.workload import (
    REQUESTS_PER_SESSION,
    Rhythm,
    load_seconds,
    observe,
    pod_sessions,
    rhythm,
)

BLOCK: Final[Micros] = 30 * DAY
QUIET: Final[Micros] = 4 * HOUR  # nothing happens at the edges of a block, the last hours included
MAX_PAST: Final[Micros] = 400 * DAY
_SHORTEST: Final = 2 * MINUTE
_LONGEST: Final = 40 * MINUTE
_OUTAGES: Final = (FailureType.FULL_OUTAGE, FailureType.NETWORK_PARTITION, FailureType.FULL_OUTAGE)
_DEGRADATIONS: Final = (FailureType.NETWORK_LATENCY, FailureType.CPU_SPIKE, FailureType.ERROR_BURST)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a tenant fares per 30 days: outages and their sum, degradations."""

    outages: int
    downtime: Micros
    degradations: int


# 99.5 % of 30 days leaves 216 minutes: about a quarter of it is used, or most of it.
HEALTHY: Final = Profile(3, 55 * MINUTE, 5)
BURNING: Final = Profile(7, 184 * MINUTE, 8)


@dataclass(frozen=True, slots=True)
class Incident:
    """`[start, end)`; an outage makes the tenant not ready, a degradation only shows in the metrics."""

    start: Micros
    end: Micros
    kind: FailureType
    severity: float
    outage: bool


def profile_of(seed: int, tenant: Tenant) -> Profile:
    """The first tenant is healthy, the second burns its budget, of the others a third does."""
    if tenant.ordinal < 2:
        return (HEALTHY, BURNING)[tenant.ordinal]
    return HEALTHY if unit(seed, tenant.tenant_id, "profile") < 2 / 3 else BURNING


@lru_cache(maxsize=4096)
def _block(seed: int, tenant_id: str, profile: Profile, end: Micros, number: int) -> tuple[Incident, ...]:
    """The incidents of the `number`-th block before `end`, by start; outages never overlap."""
    start = end - (number + 1) * BLOCK
    name = (seed, tenant_id, "past", number)
    made = []
    weights = [0.6 + 0.8 * unit(*name, "weight", i) for i in range(profile.outages)]
    for index, weight in enumerate(weights):
        length = min(_LONGEST, max(_SHORTEST, round(profile.downtime * weight / sum(weights))))
        begin = _place(start, profile.outages, index, length, unit(*name, "outage", index))
        kind = _OUTAGES[int(unit(*name, "kind", index) * len(_OUTAGES))]
        made.append(Incident(begin, begin + length, kind, 1.0, True))
    for index in range(profile.degradations):
        length = round((10 + 80 * unit(*name, "length", index)) * MINUTE)
        begin = _place(start, profile.degradations, index, length, unit(*name, "degradation", index))
        kind = _DEGRADATIONS[int(unit(*name, "degraded", index) * len(_DEGRADATIONS))]
        severity = 0.1 + 0.3 * unit(*name, "severity", index)
        made.append(Incident(begin, begin + length, kind, severity, False))
    return tuple(sorted(made, key=lambda incident: incident.start))


def _place(start: Micros, count: int, index: int, length: Micros, where: float) -> Micros:
    """A begin for the `index`-th of `count` incidents, each in its own slot of the block."""
    slot = (BLOCK - 2 * QUIET) // count
    return start + QUIET + index * slot + round(where * (slot - length - HOUR))


def incidents(seed: int, tenant: Tenant, past: PastRecord) -> list[Incident]:
    """Every incident that reaches into the written past, by start."""
    profile = profile_of(seed, tenant)
    blocks = -(-(past.end - past.start) // BLOCK)
    found: list[Incident] = []
    for number in reversed(range(blocks)):
        found += _block(seed, tenant.tenant_id, profile, past.end, number)
    return [incident for incident in found if incident.end > past.start]


def past_truth(seed: int, tenant: Tenant) -> list[Transition]:
    """The transitions of the written past, ending at `tenant.past.end`; empty without a past."""
    past = tenant.past
    if past is None:
        return []
    transitions: list[Transition] = [(past.start, True)]
    for incident in incidents(seed, tenant, past):
        if not incident.outage:
            continue
        if incident.start <= past.start:
            transitions = [(past.start, False)]
        else:
            transitions.append((incident.start, False))
        transitions.append((incident.end, True))
    return transitions


def timeline(seed: int, tenant: Tenant) -> list[Interval]:
    """The tenant's whole truth: the written past, then the live time. There may be a hole between them."""
    past_end = tenant.past.end if tenant.past else None
    return intervals([(past_truth(seed, tenant), past_end), (tenant.truth, None)])


@dataclass(frozen=True, slots=True)
class Observed:
    """One line of history."""

    tenant_id: str
    at: Micros
    ready: bool
    metrics: Values

    def as_document(self) -> dict[str, object]:
        return {
            "tenant_id": self.tenant_id,
            "timestamp": rfc3339(self.at),
            "ready": self.ready,
            "metrics": self.metrics,
        }


def observations(
    seed: int, tenant: Tenant, past: PastRecord, start: Micros, end: Micros, interval: Micros
) -> Iterator[Observed]:
    """What a collector would have seen at every multiple of `interval` in `[start, end)`, in time order.

    The span is cut to the written past. Counters count from `MAX_PAST` before its end, so that a line
    does not depend on what was asked for.
    """
    queue = incidents(seed, tenant, past)
    services = [_PastService(seed, tenant.tenant_id, spec, past.end - MAX_PAST) for spec in past.services]
    running: list[Incident] = []
    at = -(-max(start, past.start) // interval) * interval
    while at < min(end, past.end):
        while queue and queue[0].start <= at:
            running.append(queue.pop(0))
        running = [incident for incident in running if incident.end > at]
        down = any(incident.outage for incident in running)
        conditions = [_condition(running, index, s.spec) for index, s in enumerate(services)]
        readings = [
            (s.spec, observe(s.spec, s.capacity, condition, s.shape, at))
            for s, condition in zip(services, conditions, strict=True)
        ]
        requests = sum(s.requests(at) for s in services)
        yield Observed(tenant.tenant_id, at, not down, summarise(readings, requests, at))
        at += interval


class _PastService:
    """What stays the same for all lines of one service."""

    def __init__(self, seed: int, tenant_id: str, spec: ServiceSpec, counts_from: Micros) -> None:
        self.spec = spec
        self.shape: Rhythm = rhythm(seed, tenant_id, spec.name)
        self.capacity = pod_sessions(spec)
        self._scale = spec.sessions * REQUESTS_PER_SESSION
        self._zero = load_seconds(self.shape, counts_from)

    def requests(self, at: Micros) -> int:
        return int(self._scale * (load_seconds(self.shape, at) - self._zero))


def _condition(running: list[Incident], index: int, spec: ServiceSpec) -> Condition:
    """The condition of the `index`-th service; an outage of the network cuts off the first one only."""
    return _combined(tuple(running), index, max(1, spec.replicas))


@lru_cache(maxsize=4096)
def _combined(running: tuple[Incident, ...], index: int, replicas: int) -> Condition:
    alive = up = replicas
    spike = latency = errors = 0.0
    for incident in running:
        if incident.kind is FailureType.FULL_OUTAGE:
            alive = up = 0
        elif incident.kind is FailureType.NETWORK_PARTITION and index == 0:
            up = 0
        elif incident.kind is FailureType.CPU_SPIKE:
            spike = max(spike, min(1.0, 2 * incident.severity))
        elif incident.kind is FailureType.NETWORK_LATENCY:
            latency += 1000.0 * incident.severity
        elif incident.kind is FailureType.ERROR_BURST:
            errors = max(errors, incident.severity)
    return Condition(replicas, alive, up, spike, latency, errors)
