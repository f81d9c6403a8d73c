"""The JSON that the REST interface answers with, made from the state."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, cast

from ecpmon.simulator.model.failures import CATALOGUE, Failure
from ecpmon.simulator.model.nodes import NODE_STORAGE
from ecpmon.simulator.model.past import timeline
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import SECOND, Micros, rfc3339
from ecpmon.simulator.model.truth import clip, down_seconds
from ecpmon.simulator.model.view import (
    ServiceView,
    phase_counts,
    pod_reachable,
    pod_ready,
    pod_reason,
    ready_capacity,
    service_views,
    stored_bytes,
    sum_of,
    tenant_metrics,
    tenant_pods,
    use_by_node,
)
from ecpmon.simulator.shapes import (
    Affected,
    AllMetrics,
    AllMetricsAndTruth,
    Amounts,
    AmountsAndStorage,
    Counter,
    FailureCatalogue,
    FailureList,
    FailureShown,
    KnownTruth,
    Numbers,
    PodShown,
    ServiceNumbers,
    ServiceShown,
    Shares,
    SystemMetrics,
    TenantMetrics,
    TenantShown,
    TenantSummary,
    Truth,
)

_DAY: Final = 86_400 * SECOND


def tenant_document(state: ClusterState, tenant: Tenant) -> TenantShown:
    """A tenant with its services and each pod's phase and reason."""
    return {
        "tenant_id": tenant.tenant_id,
        "namespace": tenant.namespace,
        "created_at": rfc3339(tenant.created_at),
        "ready": tenant.ready,
        "services": [_service_document(state, tenant, view) for view in service_views(state, tenant)],
    }


def _service_document(state: ClusterState, tenant: Tenant, view: ServiceView) -> ServiceShown:
    spec = view.deployment.spec
    pods = tenant_pods(state, tenant, spec.name)
    return {
        "name": spec.name,
        "desired": spec.replicas,
        "ready": view.deployment.condition.up,
        "sessions": round(view.reading.sessions),
        "cpu_millicores": spec.resources.cpu_millicores,
        "memory_mib": spec.resources.memory_bytes // 1024**2,
        "gpu": spec.resources.gpu,
        "design_sessions": spec.sessions,
        "startup_seconds": spec.startup / SECOND,
        "pods": [_pod_document(state, pod) for pod in pods],
    }


def _pod_document(state: ClusterState, pod: Pod) -> PodShown:
    reason, message = pod_reason(state, pod)
    return {
        "name": pod.meta.name,
        "uid": pod.meta.uid,
        "phase": pod.phase,
        "ready": pod_ready(state, pod),
        "reachable": pod_reachable(state, pod),
        "reason": reason,
        "message": message,
        "node": pod.node,
        "restarts": pod.restarts,
        "created_at": rfc3339(pod.meta.created_at),
        "started_at": _moment(pod.started_at),
        "ready_since": _moment(pod.ready_since),
    }


def tenant_summary(tenant: Tenant) -> TenantSummary:
    return {
        "tenant_id": tenant.tenant_id,
        "namespace": tenant.namespace,
        "ready": tenant.ready,
        "services": list(tenant.services),
    }


def all_metrics_document(state: ClusterState) -> AllMetrics:
    tenants = [metrics_document(state, tenant) for tenant in state.tenants.values()]
    return {"timestamp": rfc3339(state.now), "tenants": tenants}


def metrics_and_truth_document(state: ClusterState) -> AllMetricsAndTruth:
    """Every tenant's numbers with what is true of its last 24 hours."""
    return {
        "timestamp": rfc3339(state.now),
        "tenants": [
            {**metrics_document(state, tenant), "sla_data": sla_document(state, tenant)}
            for tenant in state.tenants.values()
        ],
    }


def metrics_document(state: ClusterState, tenant: Tenant) -> TenantMetrics:
    """A tenant's numbers now. `ready` of a service counts the pods that its users reach."""
    views = service_views(state, tenant)
    return {
        "tenant_id": tenant.tenant_id,
        "timestamp": rfc3339(state.now),
        "ready": tenant.ready,
        "services": [_service_numbers(view) for view in views],
        "metrics": cast(Numbers, tenant_metrics(state, tenant, views)),
        "counters": [counter for view in views for counter in _counters(view)],
        "external": {
            source: {"timestamp": rfc3339(posted.received_at), "metrics": dict(posted.metrics)}
            for source, posted in sorted(tenant.external.items())
        },
    }


def _counters(view: ServiceView) -> list[Counter]:
    name = view.deployment.spec.name
    return [
        {"metric": "requests_total", "labels": {"service": name}, "value": int(view.traffic.requests)},
        {"metric": "errors_total", "labels": {"service": name}, "value": int(view.traffic.errors)},
    ]


def _service_numbers(view: ServiceView) -> ServiceNumbers:
    requested = view.deployment.spec.resources
    return {
        "service": view.deployment.spec.name,
        "desired": view.deployment.spec.replicas,
        "ready": view.deployment.condition.up,
        "sessions": round(view.reading.sessions),
        "pod_cpu_millicores": round(view.reading.cpu / 100 * requested.cpu_millicores, 3),
        "pod_memory_mib": round(view.reading.memory / 100 * requested.memory_bytes / 1024**2, 3),
    }


def system_document(state: ClusterState, among: frozenset[str] | None = None) -> SystemMetrics:
    """Capacity and use of the cluster; `utilization` is the percentage of requests over capacity.

    `among`: as far as these tenants use it, as if nobody else was there.
    """
    bound = use_by_node(state, among)
    # Disks are requested by nobody: what counts is what is on them.
    total: dict[str, int] = {
        **asdict(ready_capacity(state)),
        "storage_bytes": NODE_STORAGE * sum(node.ready for node in state.nodes.values()),
    }
    taken: dict[str, int] = {
        **asdict(sum_of(bound.values())),
        "storage_bytes": round(stored_bytes(state, among)),
    }
    shares = {key: round(100 * taken[key] / total[key], 3) if total[key] else 0.0 for key in total}
    return {
        "timestamp": rfc3339(state.now),
        "nodes": [
            {
                "name": node.meta.name,
                "ready": node.ready,
                "capacity": cast(Amounts, asdict(node.capacity)),
                "used": cast(Amounts, asdict(bound[node.meta.name])),
            }
            for node in state.nodes.values()
        ],
        "capacity": cast(AmountsAndStorage, total),
        "used": cast(AmountsAndStorage, taken),
        "utilization": cast(Shares, shares),
        "tenants": sum(among is None or name in among for name in state.tenants),
        "pods": phase_counts(state, among),
    }


def failure_document(failure: Failure) -> FailureShown:
    """A failure; `affected` names what was chosen when it started."""
    return {
        "id": failure.failure_id,
        "tenant_id": failure.tenant_id,
        "failure_type": failure.failure_type,
        "severity": failure.severity,
        "start": rfc3339(failure.start),
        "end": rfc3339(failure.end),
        "duration_seconds": (failure.end - failure.start) / SECOND,
        "target_service": failure.target_service,
        "active": failure.active,
        "effect": CATALOGUE[failure.failure_type].description,
        "affected": _affected(failure),
    }


def _affected(failure: Failure) -> Affected:
    return {
        "pods": [key.split("/", 1)[1] for key in failure.pods],
        "services": list(failure.services),
        "nodes": list(failure.nodes),
    }


def failures_document(state: ClusterState, tenant_id: str) -> FailureList:
    mine = sorted((f for f in state.failures.values() if f.tenant_id == tenant_id), key=lambda f: f.start)
    return {
        "tenant_id": tenant_id,
        "failures": [failure_document(f) for f in mine if f.active],
        "scheduled": [failure_document(f) for f in mine if not f.active],
    }


def catalogue_document() -> FailureCatalogue:
    return {
        "failure_types": [
            {
                "failure_type": name,
                "description": kind.description,
                "severity_means": kind.severity_means,
                "default_duration_seconds": kind.default_duration / SECOND,
                "default_severity": kind.default_severity,
                "outage": kind.outage,
                "reach": kind.reach,
            }
            for name, kind in CATALOGUE.items()
        ]
    }


def truth_document(state: ClusterState, tenant: Tenant, since: Micros | None, until: Micros | None) -> Truth:
    """The exact timeline in `[since, until)`, cut to what is known; the last interval's end may be open."""
    whole = timeline(state.seed, tenant)
    upper = state.now if until is None else min(until, state.now)
    known = whole[0].start if whole else upper
    lower = known if since is None else max(since, known)
    pieces = clip(whole, lower, upper, state.now)
    return {
        "tenant_id": tenant.tenant_id,
        "since": rfc3339(lower) if pieces else None,
        "until": rfc3339(upper),
        "intervals": [
            {"start": rfc3339(p.start), "end": _moment(p.end), "state": "up" if p.up else "down"}
            for p in pieces
        ],
        "down_seconds": down_seconds(pieces, upper),
    }


def sla_document(state: ClusterState, tenant: Tenant) -> KnownTruth:
    """What the cluster knows to be true of the last 24 hours: percent and minutes, null before anything is known.

    Whether that is enough only the contract says, which is not the cluster's.
    """
    pieces = clip(timeline(state.seed, tenant), state.now - _DAY, state.now, state.now)
    down = down_seconds(pieces, state.now)
    lasting = (state.now - pieces[0].start) / SECOND if pieces else 0.0
    share = 100 * (1 - down / lasting) if lasting > 0 else None
    return {"availability": share, "uptime_percentage": share, "downtime_minutes": down / 60}


def _moment(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)
