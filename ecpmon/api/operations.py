"""The operators' dashboard (api.md §10): what is stored, or measured just now, and nothing else.

A caller sees its tenants. Of what is everybody's it sees the capacity of the cluster, whether its nodes are ready and
whether somebody leads, as `/ready` and `monitoring/system` tell anybody; the connections to the database are for
administrators of all tenants.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import perf_counter
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.monitoring import ClusterQuantities
from ecpmon.api.auth import runs_the_cluster
from ecpmon.api.cluster import Found, Health, cluster_of
from ecpmon.api.common import backend_of, now_of, percent, reply, seen_tenants
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.tenants import Preset
from ecpmon.openapi.declaring import TypedDict
from ecpmon.ports.operations import Figures, FiringAlert, Happening, RecentDeployment

routes = Routes()
_WORST: Final[tuple[Health, ...]] = ("critical", "degraded", "healthy")
_RUNNING: Final = ("running", "degraded")


class ApiState(TypedDict):
    """`response_time`: milliseconds that this answer took."""

    status: Health
    response_time: float


class DatabaseState(TypedDict):
    """`response_time`: milliseconds of the question behind this answer; `connections`: null for those who do not see
    every tenant."""

    status: Health
    response_time: float
    connections: int | None


class SchedulerState(TypedDict):
    """`leadership` as in `/ready`."""

    status: Health
    leadership: Annotated[str, Field(examples=["a worker leads"])]


class KubernetesState(TypedDict):
    """The (simulated) cluster. `nodes_ready` such as `4/4`, null when nobody can say."""

    status: Literal["healthy", "degraded", "critical", "unavailable", "not_configured"]
    nodes_ready: Annotated[str | None, Field(examples=["4/4"])]


class SystemComponents(TypedDict):
    api: ApiState
    database: DatabaseState
    scheduler: SchedulerState
    kubernetes: KubernetesState


class SystemStatus(TypedDict):
    overall_status: Health
    components: SystemComponents


class MeanUsage(TypedDict):
    """Percent of what was requested, the mean of the tenants that told it within the last minutes; null: none did."""

    cpu: float | None
    memory: float | None
    gpu: float | None


class TenantStats(TypedDict):
    """`failed_deployments`: of the last 24 hours."""

    total_tenants: int
    active_tenants: int
    pending_deployments: int
    failed_deployments: int
    firing_alerts: int
    by_preset: Annotated[dict[str, int], Field(examples=[{"small": 3, "large": 1}])]
    by_status: Annotated[dict[str, int], Field(examples=[{"running": 4}])]
    resource_utilization: MeanUsage


class ResourceUsage(TypedDict):
    """As `GET /api/v1/monitoring/system`."""

    total_resources: ClusterQuantities
    used_resources: ClusterQuantities
    utilization: dict[str, float]


class RecentlyDeployed(TypedDict):
    deployment_id: str
    tenant_id: str
    method: str
    status: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None


class ActiveAlert(TypedDict):
    """`source` `alertmanager`: it told us, `alert_id` is its fingerprint, and there is no `value`."""

    source: Literal["ecpmon", "alertmanager"]
    alert_id: str
    tenant_id: str
    alert_name: str
    severity: str
    status: Literal["firing"]
    started_at: datetime
    current_value: float | None


class SlaStatusCounts(TypedDict):
    meeting: int
    at_risk: int
    violated: int
    no_data: int


class SlaMetrics(TypedDict):
    """Of 30 days. `availability`: percent, the mean of the `measured_tenants`, found at `as_of` or later;
    `avg_response_time`: milliseconds, the mean of the tenants' means; `deployment_success_rate`: percent of the
    deployments that are over. Null: nothing was measured."""

    window: Literal["30d"]
    availability: float | None
    measured_tenants: int
    as_of: datetime | None
    by_status: SlaStatusCounts
    avg_response_time: float | None
    deployment_success_rate: float | None


class Dashboard(TypedDict):
    timestamp: datetime
    system_status: SystemStatus
    tenant_stats: TenantStats
    resource_usage: ResourceUsage | None
    recent_deployments: list[RecentlyDeployed]
    active_alerts: list[ActiveAlert]
    sla_metrics: SlaMetrics


@routes.get("/api/v1/operations/dashboard", Permission.READ, answers={200: Dashboard})
async def dashboard(request: web.Request) -> web.Response:
    """How the system and the caller's tenants are: state, use, the newest deployments, what fires, SLA of 30 days."""
    began = perf_counter()
    backend, now, caller = backend_of(request), now_of(request), request[CALLER]
    cluster = asyncio.ensure_future(_cluster(backend, await seen_tenants(request)))
    try:
        asked = perf_counter()
        figures = await backend.operations.figures(caller.tenants, now)
        database_ms = _milliseconds(asked)
        happening = await backend.operations.happening(caller.tenants, now)
        leadership = await backend.health.leadership()
        found = await cluster
    finally:
        cluster.cancel()
    components: SystemComponents = {
        "api": {"status": "healthy", "response_time": _milliseconds(began)},
        "database": {
            "status": "healthy",
            "response_time": database_ms,
            "connections": figures.connections if runs_the_cluster(caller) else None,
        },
        "scheduler": {"status": _of_leadership(leadership), "leadership": leadership},
        "kubernetes": _kubernetes(backend, found),
    }
    shown: Dashboard = {
        "timestamp": now,
        "system_status": {"overall_status": _overall(components), "components": components},
        "tenant_stats": _tenants(figures, happening),
        "resource_usage": None if found is None else _usage(found),
        "recent_deployments": [_deployment(d) for d in happening.deployments],
        "active_alerts": [_alert(a) for a in happening.alerts],
        "sla_metrics": _sla(figures),
    }
    return reply(shown)


def _milliseconds(since: float) -> float:
    return round((perf_counter() - since) * 1000, 2)


async def _cluster(backend: Backend, among: list[str] | None) -> Found | None:
    """None: there is none, or it does not answer, which costs nobody the rest."""
    if backend.simulator is None:
        return None
    try:
        return await cluster_of(backend.simulator, among)
    except MonitoringUnavailable:
        return None


def _kubernetes(backend: Backend, found: Found | None) -> KubernetesState:
    if found is None:
        status: Literal["unavailable", "not_configured"]
        status = "not_configured" if backend.simulator is None else "unavailable"
        return {"status": status, "nodes_ready": None}
    return {"status": found.shown["cluster_status"], "nodes_ready": f"{found.nodes_ready}/{found.nodes}"}


def _of_leadership(leadership: str) -> Health:
    if leadership == "nobody leads":
        return "critical"
    return "degraded" if leadership == "unknown" else "healthy"


def _overall(components: SystemComponents) -> Health:
    """As bad as the worst of them. A cluster that does not answer may be well; one that is not configured is no
    fault."""
    cluster = components["kubernetes"]["status"]
    found = {
        components["scheduler"]["status"],
        "degraded" if cluster == "unavailable" else "healthy" if cluster == "not_configured" else cluster,
    }
    return next(status for status in _WORST if status in found)


def _tenants(figures: Figures, happening: Happening) -> TenantStats:
    return {
        "total_tenants": figures.tenants,
        "active_tenants": sum(figures.by_status.get(status, 0) for status in _RUNNING),
        "pending_deployments": figures.deployments_pending,
        "failed_deployments": figures.deployments_failed_lately,
        "firing_alerts": happening.alerts_total,
        "by_preset": {preset.value: figures.by_preset.get(preset.value, 0) for preset in Preset},
        "by_status": dict(figures.by_status),
        "resource_utilization": {
            "cpu": figures.usage.get("cpu_usage"),
            "memory": figures.usage.get("memory_usage"),
            "gpu": figures.usage.get("gpu_usage"),
        },
    }


def _usage(found: Found) -> ResourceUsage:
    return {
        "total_resources": found.shown["total_resources"],
        "used_resources": found.shown["used_resources"],
        "utilization": found.shown["utilization"],
    }


def _deployment(made: RecentDeployment) -> RecentlyDeployed:
    took = None if made.finished_at is None else (made.finished_at - made.requested_at).total_seconds()
    return {
        "deployment_id": made.deployment_id,
        "tenant_id": made.tenant_id,
        "method": made.method,
        "status": made.status,
        "requested_by": made.requested_by,
        "requested_at": made.requested_at,
        "finished_at": made.finished_at,
        "duration_seconds": took,
    }


def _alert(alert: FiringAlert) -> ActiveAlert:
    return {
        "source": alert.source,
        "alert_id": alert.alert_id,
        "tenant_id": alert.tenant_id,
        "alert_name": alert.alert_name,
        "severity": alert.severity,
        "status": "firing",
        "started_at": alert.since,
        "current_value": alert.value,
    }


def _sla(figures: Figures) -> SlaMetrics:
    known = figures.sla_by_status
    finished = figures.deployments_finished
    return {
        "window": "30d",
        "availability": percent(figures.availability),
        "measured_tenants": figures.sla_measured,
        "as_of": figures.sla_as_of,
        "by_status": {
            "meeting": known["meeting"],
            "at_risk": known["at_risk"],
            "violated": known["violated"],
            "no_data": figures.tenants - sum(known.values()),
        },
        "avg_response_time": figures.response_ms,
        "deployment_success_rate": 100 * figures.deployments_completed / finished if finished else None,
    }
