"""From sessions and an SLA target to replicas, service by service. Pure.

A replica at its design load is used to `design_utilisation` and answers within `response_time_ms`. Response
time is taken as `service_time / (1 - utilisation)`: a model (one queue, random arrivals), and the simulator's.
A target shorter than `response_time_ms` lowers the utilisation that a replica may reach; a longer one does
not raise it, since the design load is what the catalogue vouches for.
Fractions throughout: 100 sessions at 33⅓ are exactly 3 replicas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ecpmon.orchestrator.catalogue import Catalogue, ServiceSpec, SlaPolicy, memory_text
from ecpmon.orchestrator.plans import Needs, ServicePlan


@dataclass(frozen=True, slots=True)
class Promise:
    """The SLA target in numbers: percent, milliseconds (None: no promise), users at the front door."""

    percent: Decimal
    response_ms: Fraction | None
    users: int

    def wants_spare(self, policy: SlaPolicy) -> bool:
        return self.percent >= policy.spare_from

    def wants_spread(self, policy: SlaPolicy) -> bool:
        return self.percent >= policy.spread_from


def service_time(spec: ServiceSpec, policy: SlaPolicy) -> Fraction:
    """Milliseconds an idle replica takes: no number of replicas answers faster."""
    return spec.response_time_ms * (1 - Fraction(policy.design_utilisation))


def capacity(spec: ServiceSpec, policy: SlaPolicy, response_ms: Fraction | None) -> Fraction:
    """Sessions per replica that keep `response_ms`; 0 or less when it is not reachable at all."""
    if response_ms is None or response_ms >= spec.response_time_ms:
        return Fraction(spec.sessions_per_replica)
    utilisation = 1 - service_time(spec, policy) / response_ms
    return spec.sessions_per_replica * utilisation / Fraction(policy.design_utilisation)


def fastest(spec: ServiceSpec, policy: SlaPolicy) -> int:
    """The shortest response time that can be promised, in whole ms: at one session per replica."""
    one = Fraction(policy.design_utilisation) / spec.sessions_per_replica
    return math.ceil(service_time(spec, policy) / (1 - one))


def demand(requirements: Mapping[str, int], promise: Promise, catalogue: Catalogue) -> dict[str, int]:
    """Sessions per service, shared parts included, in the catalogue's order.

    A shared part serves the sum of the services that need it; asked for by name it may be larger.
    """
    sessions = {}
    for name, spec in catalogue.services.items():
        served = sum(requirements.get(dependent, 0) for dependent in set(spec.needed_by))
        wanted = max(served, requirements.get(name, 0))
        if wanted and spec.fronts_users:
            wanted = max(wanted, promise.users)
        if wanted:
            sessions[name] = wanted
    return sessions


def size_services(
    sessions: Mapping[str, int], promise: Promise, catalogue: Catalogue
) -> tuple[ServicePlan, ...]:
    """One plan per service. Expects a promise that every service can keep (`fastest`)."""
    return tuple(_size(name, sessions, catalogue.services[name], promise, catalogue.sla) for name in sessions)


def total(services: Iterable[ServicePlan]) -> Needs:
    """The sum over the services; GPU shares are added up first, then rounded up to whole GPUs."""
    plans = list(services)
    return Needs(
        cpu_millicores=sum(plan.needs.cpu_millicores for plan in plans),
        memory_mib=sum(plan.needs.memory_mib for plan in plans),
        gpus=math.ceil(sum(plan.gpu_share * plan.replicas for plan in plans)),
        storage_gb=sum(plan.needs.storage_gb for plan in plans),
    )


def _size(
    name: str, sessions: Mapping[str, int], spec: ServiceSpec, promise: Promise, policy: SlaPolicy
) -> ServicePlan:
    per_replica = capacity(spec, policy, promise.response_ms)
    units = math.ceil(sessions[name] / per_replica)
    # One writer: a second replica behind the same Service would be a second truth, so it grows instead.
    scale = units if spec.stateful else 1
    replicas = 1 if spec.stateful else units + promise.wants_spare(policy)
    spread = replicas > 1 and promise.wants_spread(policy)
    return ServicePlan(
        service_name=name,
        service_type=spec.service_type,
        replicas=replicas,
        max_replicas=replicas,  # until it is known what the preset leaves (`room`)
        surge=False,
        sessions=sessions[name],
        image=spec.image,
        cpu_request=f"{spec.cpu_request * scale}m",
        cpu_limit=f"{spec.cpu_limit * scale}m",
        memory_request=f"{spec.memory_request * scale}Mi",
        memory_limit=memory_text(spec.memory_limit * scale),
        gpu=math.ceil(spec.gpu_share * scale),
        gpu_share=spec.gpu_share * scale,
        storage_gb=spec.storage * scale,
        spread=spread,
        disruption_budget=spread,
        needs=_needs(spec, replicas * scale),
        why=(*_origin(sessions, spec), *_why(sessions[name], per_replica, units, spec, promise, policy)),
        spec=spec,
    )


def _needs(spec: ServiceSpec, count: int) -> Needs:
    return Needs(
        cpu_millicores=spec.cpu_limit * count,
        memory_mib=spec.memory_limit * count,
        gpus=math.ceil(spec.gpu_share * count),
        storage_gb=spec.storage * count,
    )


def _origin(sessions: Mapping[str, int], spec: ServiceSpec) -> Iterable[str]:
    dependents = [name for name in spec.needed_by if name in sessions]
    if dependents:
        yield f"shared part, needed by {', '.join(dependents)}"


def _why(
    sessions: int, per_replica: Fraction, units: int, spec: ServiceSpec, promise: Promise, policy: SlaPolicy
) -> Iterable[str]:
    if promise.response_ms is not None and per_replica < spec.sessions_per_replica:
        yield (
            f"a response time of {_short(promise.response_ms)} ms is below the {spec.response_time_ms} ms of the "
            f"design load: {_short(per_replica)} sessions per replica rather than {spec.sessions_per_replica}"
        )
    load = f"{sessions} sessions at {_short(per_replica)} per replica"
    if spec.stateful:
        grown = f" of {units} times the basic size" if units > 1 else ""
        yield f"{load}: one replica{grown}. It is the only writer: a failure means a restart from its volume"
        return
    yield f"{load}: {units} to carry the load"
    if promise.wants_spare(policy):
        yield f"{promise.percent} % is {policy.spare_from} % or more: one spare, so that a failed pod costs nothing"
    if promise.wants_spread(policy) and units + promise.wants_spare(policy) > 1:
        yield (
            f"{promise.percent} % is {policy.spread_from} % or more: replicas on different nodes, "
            "and a PodDisruptionBudget"
        )


def _short(value: Fraction) -> str:
    return f"{float(value):.1f}".removesuffix(".0")
