"""What can be read from a state: metrics, truth, pods and their reasons. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from ecpmon.simulator.model.objects import Deployment, Resources, ServiceSpec, Traffic
from ecpmon.simulator.model.pods import Pod, PodPhase
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import Micros
from ecpmon.simulator.model.traffic import traffic_at
from ecpmon.simulator.model.workload import Reading, observe, rhythm, storage_bytes

Values = dict[str, float]
NETWORK_IN: Final = 20_000.0  # bytes per request
NETWORK_OUT: Final = 60_000.0


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service now: its deployment, what it reads and its counters."""

    deployment: Deployment
    reading: Reading
    traffic: Traffic


def service_views(state: ClusterState, tenant: Tenant) -> list[ServiceView]:
    """The tenant's services in their order, at `state.now`."""
    views = []
    for name in tenant.services:
        deployment = state.deployments[tenant.key_of(name)]
        shape = rhythm(state.seed, tenant.tenant_id, name)
        reading = observe(deployment.spec, deployment.pod_sessions, deployment.condition, shape, state.now)
        if not deployment.counted:
            reading = Reading(0.0, 0.0, reading.cpu, reading.memory, reading.gpu, 0.0, 0.0)
        views.append(ServiceView(deployment, reading, traffic_at(state.seed, deployment, state.now)))
    return views


def tenant_metrics(state: ClusterState, tenant: Tenant, views: Sequence[ServiceView] | None = None) -> Values:
    """The tenant's numbers; see `summarise` for the units."""
    found = service_views(state, tenant) if views is None else views
    readings = [(view.deployment.spec, view.reading) for view in found]
    return summarise(readings, sum(int(view.traffic.requests) for view in found), state.now)


def summarise(readings: Sequence[tuple[ServiceSpec, Reading]], requests: int, at: Micros) -> Values:
    """A tenant's numbers from its services'.

    cpu, memory, gpu: percent of what is requested, weighted by it, 100 at most: what a service uses of the CPU
    beyond its requests is no room of the others; network_in/out: bytes/s; network_rps:
    requests/s offered; storage_used: bytes; request_count: requests since counting began, failed ones
    included; response_time: ms, and error_rate: share 0–1, both weighted by requests.
    """
    cpu = memory = gpu = cpus = memories = gpus = 0.0
    sessions = rps = slow = failed = stored = 0.0
    for spec, reading in readings:
        weight = spec.resources.cpu_millicores * spec.replicas
        cpu += min(100.0, reading.cpu) * weight
        cpus += weight
        weight = spec.resources.memory_bytes * spec.replicas
        memory += reading.memory * weight
        memories += weight
        weight = spec.resources.gpu * spec.replicas
        gpu += reading.gpu * weight
        gpus += weight
        sessions += reading.sessions
        rps += reading.rps
        slow += reading.latency_ms * reading.rps
        failed += reading.errors * reading.rps
        stored += storage_bytes(spec, at)
    return {
        "cpu_usage": round(cpu / cpus, 3) if cpus else 0.0,
        "memory_usage": round(memory / memories, 3) if memories else 0.0,
        "gpu_usage": round(gpu / gpus, 3) if gpus else 0.0,
        "network_in": round(rps * NETWORK_IN, 1),
        "network_out": round((rps - failed) * NETWORK_OUT, 1),
        "network_rps": round(rps, 3),
        "storage_used": round(stored),
        "request_count": requests,
        "response_time": round(slow / rps, 3) if rps else 0.0,
        "error_rate": round(failed / rps, 6) if rps else 0.0,
        "sessions": round(sessions),
    }


def pod_ready(state: ClusterState, pod: Pod) -> bool:
    """Whether the pod serves: its probe passes and no failure of the whole service lies above it."""
    found = state.deployments.get(pod.deployment)
    return pod.serving and (found is None or found.condition.alive > 0)


def pod_reachable(state: ClusterState, pod: Pod) -> bool:
    """Ready, and not cut off from its users."""
    found = state.deployments.get(pod.deployment)
    return pod.serving and (found is None or found.condition.up > 0)


def pod_reason(state: ClusterState, pod: Pod) -> tuple[str, str]:
    """Reason and message of a pod that does not serve; empty for one that does."""
    if not pod.ready:
        return pod.reason, pod.message
    if not pod_ready(state, pod):
        return "FullOutage", "a full outage keeps the probe from passing"
    if not pod_reachable(state, pod):
        return "Unreachable", "a network partition cuts the pod off"
    return "", ""


def tenant_pods(state: ClusterState, tenant: Tenant, service: str) -> list[Pod]:
    return [state.pods[key] for key in state.pods_of.get(tenant.key_of(service), ())]


def phase_counts(state: ClusterState, among: frozenset[str] | None = None) -> dict[str, int]:
    """Number of pods per phase, every phase named; `among`: those of these tenants."""
    counts = dict.fromkeys((phase.value for phase in PodPhase), 0)
    for pod in state.pods.values():
        if among is None or pod.tenant_id in among:
            counts[pod.phase] += 1
    return counts


def ready_capacity(state: ClusterState) -> Resources:
    """What the nodes that are ready have."""
    return sum_of(node.capacity for node in state.nodes.values() if node.ready)


def use_by_node(state: ClusterState, among: frozenset[str] | None = None) -> dict[str, Resources]:
    """Requests bound to each node; `among`: by pods of these tenants."""
    if among is None:
        return {name: node.used for name, node in state.nodes.items()}
    used = dict.fromkeys(state.nodes, Resources())
    for pod in state.pods.values():
        if pod.node is not None and pod.tenant_id in among:
            used[pod.node] = used[pod.node].plus(pod.resources)
    return used


def stored_bytes(state: ClusterState, among: frozenset[str] | None = None) -> float:
    """What services have stored; `among`: those of these tenants."""
    return sum(
        storage_bytes(state.deployments[tenant.key_of(service)].spec, state.now)
        for tenant in state.tenants.values()
        if among is None or tenant.tenant_id in among
        for service in tenant.services
    )


def sum_of(parts: Iterable[Resources]) -> Resources:
    return reduce(Resources.plus, parts, Resources())
