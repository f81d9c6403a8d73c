"""Prometheus text exposition of the state; made new for every scrape, so deleted tenants leave no trace."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ecpmon.names import SIM_SERVICE_READY, SIM_TENANT_READY
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.model.view import ServiceView, Values, pod_ready, service_views, tenant_metrics

CONTENT_TYPE = CONTENT_TYPE_LATEST

# name, help, metric, factor to the base unit
_TENANT_GAUGES = (
    ("ecp_sim_tenant_cpu_usage", "CPU in percent of the requests.", "cpu_usage", 1.0),
    ("ecp_sim_tenant_memory_usage", "Memory in percent of the requests.", "memory_usage", 1.0),
    ("ecp_sim_tenant_gpu_usage", "GPU in percent.", "gpu_usage", 1.0),
    ("ecp_sim_tenant_response_seconds", "Mean response time.", "response_time", 0.001),
    ("ecp_sim_tenant_error_ratio", "Share of requests that fail.", "error_rate", 1.0),
    ("ecp_sim_tenant_sessions", "Open sessions.", "sessions", 1.0),
    ("ecp_sim_tenant_network_rps", "Requests per second offered.", "network_rps", 1.0),
    ("ecp_sim_tenant_network_in_bytes", "Bytes received per second.", "network_in", 1.0),
    ("ecp_sim_tenant_network_out_bytes", "Bytes sent per second.", "network_out", 1.0),
    ("ecp_sim_tenant_storage_bytes", "Bytes stored.", "storage_used", 1.0),
)
_NODE_GAUGES = (
    ("ecp_sim_node_cpu_%s_cores", "cpu_millicores", 0.001),
    ("ecp_sim_node_memory_%s_bytes", "memory_bytes", 1.0),
    ("ecp_sim_node_gpu_%s", "gpu", 1.0),
)


def exposition(state: ClusterState, tenant_id: str | None = None, service: str | None = None) -> bytes:
    """The text of one scrape at `state.now`; of one tenant alone, of one service of it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StateCollector(state, tenant_id, service))
    return generate_latest(registry)


class _StateCollector(Collector):
    def __init__(self, state: ClusterState, tenant_id: str | None, service: str | None) -> None:
        self._state = state
        self._tenant_id = tenant_id
        self._service = service

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry of one collector has no names to keep apart."""
        return iter(())

    def _of(self, view: ServiceView) -> bool:
        return view.deployment.spec.name == self._service

    def collect(self) -> Iterator[Metric]:
        state = self._state
        views = {
            t.tenant_id: service_views(state, t)
            for t in state.tenants.values()
            if self._tenant_id in (None, t.tenant_id)
        }
        yield from _tenant_families(state, views)
        if self._service is not None:
            views = {name: [v for v in of if self._of(v)] for name, of in views.items()}
        yield from _service_families(views)
        yield from _pod_families(state, self._tenant_id, self._service)
        if self._tenant_id is None and self._service is None:
            yield from _node_families(state)
        clock = GaugeMetricFamily("ecp_sim_time_seconds", "Simulated time since the epoch.")
        clock.add_metric([], state.now / SECOND)
        yield clock


def _service_readiness(views: dict[str, list[ServiceView]]) -> Metric:
    family = GaugeMetricFamily(
        SIM_SERVICE_READY,
        "1 when the service has a reachable pod; absent for services that are not meant to run.",
        labels=["tenant_id", "service"],
    )
    for tenant_id, services in views.items():
        for view in services:
            if view.deployment.spec.replicas > 0:
                up = float(view.deployment.condition.up > 0)
                family.add_metric([tenant_id, view.deployment.spec.name], up)
    return family


def _service_usage(views: dict[str, list[ServiceView]]) -> Iterator[Metric]:
    """What a service uses. CPU and memory of one pod, absent while none is ready: nothing is measured then."""
    labels = ["tenant_id", "service"]
    cpu = GaugeMetricFamily("ecp_sim_service_pod_cpu_cores", "CPU that one pod uses.", labels=labels)
    memory = GaugeMetricFamily("ecp_sim_service_pod_memory_bytes", "Memory that one pod uses.", labels=labels)
    sessions = GaugeMetricFamily("ecp_sim_service_sessions", "Open sessions.", labels=labels)
    replicas = GaugeMetricFamily("ecp_sim_service_ready_replicas", "Reachable pods.", labels=labels)
    for tenant_id, services in views.items():
        for view in services:
            values, requested = [tenant_id, view.deployment.spec.name], view.deployment.spec.resources
            sessions.add_metric(values, round(view.reading.sessions))
            replicas.add_metric(values, view.deployment.condition.up)
            if view.deployment.condition.up:
                cpu.add_metric(values, view.reading.cpu / 100 * requested.cpu_millicores / 1000)
                memory.add_metric(values, view.reading.memory / 100 * requested.memory_bytes)
    yield from (cpu, memory, sessions, replicas)


def _tenant_families(state: ClusterState, views: dict[str, list[ServiceView]]) -> Iterator[Metric]:
    ready = GaugeMetricFamily(
        SIM_TENANT_READY,
        "1 when every service has a reachable pod; absent before the first time.",
        labels=["tenant_id"],
    )
    failures = GaugeMetricFamily(
        "ecp_sim_active_failures", "Failures that hold now.", labels=["tenant_id", "failure_type"]
    )
    measured: list[tuple[Tenant, Values]] = []
    for tenant in (state.tenants[name] for name in views):
        if tenant.ready is not None:
            ready.add_metric([tenant.tenant_id], float(tenant.ready))
            measured.append((tenant, tenant_metrics(state, tenant, views[tenant.tenant_id])))
    counts: dict[tuple[str, str], int] = {}
    for failure in state.failures.values():
        if failure.active and failure.tenant_id in views:
            key = (failure.tenant_id, failure.failure_type.value)
            counts[key] = counts.get(key, 0) + 1
    for (tenant_id, kind), count in sorted(counts.items()):
        failures.add_metric([tenant_id, kind], count)
    yield ready
    yield failures
    for name, text, metric, factor in _TENANT_GAUGES:
        family = GaugeMetricFamily(name, text, labels=["tenant_id"])
        for tenant, values in measured:
            family.add_metric([tenant.tenant_id], values[metric] * factor)
        yield family


def _requests(views: dict[str, list[ServiceView]]) -> Metric:
    family = CounterMetricFamily(
        "ecp_sim_requests", "Requests offered, by outcome.", labels=["tenant_id", "service", "code"]
    )
    for tenant_id, services in views.items():
        for view in services:
            errors = int(view.traffic.errors)
            good = int(view.traffic.requests - view.traffic.errors)
            family.add_metric([tenant_id, view.deployment.spec.name, "200"], good)
            family.add_metric([tenant_id, view.deployment.spec.name, "503"], errors)
    return family


def _service_families(views: dict[str, list[ServiceView]]) -> Iterator[Metric]:
    yield _service_readiness(views)
    yield _requests(views)
    yield from _service_usage(views)


def _pod_families(state: ClusterState, tenant_id: str | None, service: str | None) -> Iterator[Metric]:
    labels = ["tenant_id", "service", "pod"]
    ready = GaugeMetricFamily("ecp_sim_pod_ready", "1 when the pod's probe passes.", labels=labels)
    restarts = CounterMetricFamily("ecp_sim_pod_restarts", "Container restarts.", labels=labels)
    for pod in state.pods.values():
        if tenant_id not in (None, pod.tenant_id) or service not in (None, pod.service):
            continue
        if not pod.tenant_id:
            continue  # what Kubernetes clients deploy beside the tenants has its own metrics there
        values = [pod.tenant_id, pod.service, pod.meta.name]
        ready.add_metric(values, float(pod_ready(state, pod)))
        restarts.add_metric(values, pod.restarts)
    yield ready
    yield restarts


def _node_families(state: ClusterState) -> Iterator[Metric]:
    ready = GaugeMetricFamily("ecp_sim_node_ready", "1 when the node is alive.", labels=["node"])
    for node in state.nodes.values():
        ready.add_metric([node.meta.name], float(node.ready))
    yield ready
    for pattern, attribute, factor in _NODE_GAUGES:
        for what in ("capacity", "used"):
            family = GaugeMetricFamily(pattern % what, f"{what} of the node.", labels=["node"])
            for node in state.nodes.values():
                family.add_metric([node.meta.name], getattr(getattr(node, what), attribute) * factor)
            yield family
