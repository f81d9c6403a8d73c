"""The JSON that the REST interface answers with, made from the state."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

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

Document = dict[str, Any]
_DAY: Final = 86_400 * SECOND


def tenant_document(state: ClusterState, tenant: Tenant) -> Document:
    """A tenant with its services and each pod's phase and reason."""
    return {
        "tenant_id": tenant.tenant_id,
        "namespace": tenant.namespace,
        "created_at": rfc3339(tenant.created_at),
        "ready": tenant.ready,
        "services": [_service_document(state, tenant, view) for view in service_views(state, tenant)],
    }


def _service_document(state: ClusterState, tenant: Tenant, view: ServiceView) -> Document:
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


def _pod_document(state: ClusterState, pod: Pod) -> Document:
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


def tenant_summary(tenant: Tenant) -> Document:
    return {
        "tenant_id": tenant.tenant_id,
        "namespace": tenant.namespace,
        "ready": tenant.ready,
        "services": list(tenant.services),
    }


def metrics_document(state: ClusterState, tenant: Tenant) -> Document:
    """A tenant's numbers now. `ready` of a service counts the pods that its users reach."""
    views = service_views(state, tenant)
    return {
        "tenant_id": tenant.tenant_id,
        "timestamp": rfc3339(state.now),
        "ready": tenant.ready,
        "services": [
            {
                "service": view.deployment.spec.name,
                "desired": view.deployment.spec.replicas,
                "ready": view.deployment.condition.up,
                "sessions": round(view.reading.sessions),
                **_pod_usage(view),
            }
            for view in views
        ],
        "metrics": tenant_metrics(state, tenant, views),
        "counters": [counter for view in views for counter in _counters(view)],
        "external": {
            source: {"timestamp": rfc3339(posted.received_at), "metrics": posted.metrics}
            for source, posted in sorted(tenant.external.items())
        },
    }


def _counters(view: ServiceView) -> list[Document]:
    """A service's counters as they stand: not added up, so that each restart can be seen."""
    counts = {"requests_total": view.traffic.requests, "errors_total": view.traffic.errors}
    labels = {"service": view.deployment.spec.name}
    return [{"metric": name, "labels": labels, "value": int(value)} for name, value in counts.items()]


def _pod_usage(view: ServiceView) -> Document:
    """What one pod of a service uses; pods share the load evenly."""
    requested = view.deployment.spec.resources
    return {
        "pod_cpu_millicores": round(view.reading.cpu / 100 * requested.cpu_millicores, 3),
        "pod_memory_mib": round(view.reading.memory / 100 * requested.memory_bytes / 1024**2, 3),
    }


def system_document(state: ClusterState, among: frozenset[str] | None = None) -> Document:
    """Capacity and use of the cluster; `utilization` is the percentage of requests over capacity.

    `among`: as far as these tenants use it, as if nobody else was there.
    """
    bound = use_by_node(state, among)
    total, taken = asdict(ready_capacity(state)), asdict(sum_of(bound.values()))
    # Disks are requested by nobody: what counts is what is on them.
    total["storage_bytes"] = NODE_STORAGE * sum(node.ready for node in state.nodes.values())
    taken["storage_bytes"] = round(stored_bytes(state, among))
    return {
        "timestamp": rfc3339(state.now),
        "nodes": [
            {
                "name": node.meta.name,
                "ready": node.ready,
                "capacity": asdict(node.capacity),
                "used": asdict(bound[node.meta.name]),
            }
            for node in state.nodes.values()
        ],
        "capacity": total,
        "used": taken,
        "utilization": {key: round(100 * taken[key] / total[key], 3) if total[key] else 0.0 for key in total},
        "tenants": sum(among is None or name in among for name in state.tenants),
        "pods": phase_counts(state, among),
    }


def failure_document(failure: Failure) -> Document:
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
        "affected": {
            "pods": [key.split("/", 1)[1] for key in failure.pods],
            "services": failure.services,
            "nodes": failure.nodes,
        },
    }


def failures_document(state: ClusterState, tenant_id: str) -> Document:
    mine = sorted((f for f in state.failures.values() if f.tenant_id == tenant_id), key=lambda f: f.start)
    return {
        "tenant_id": tenant_id,
        "failures": [failure_document(f) for f in mine if f.active],
        "scheduled": [failure_document(f) for f in mine if not f.active],
    }


def catalogue_document() -> Document:
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


def truth_document(
    state: ClusterState, tenant: Tenant, since: Micros | None, until: Micros | None
) -> Document:
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


def sla_document(state: ClusterState, tenant: Tenant) -> Document:
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
