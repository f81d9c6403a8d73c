"""Requests about tenants, their measurements and their deployments, made here once for both clients.

SLA, alerts and maintenance: `evidence`; for operators: `operations`. What is in none is reached by `client.request`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from ecpmon.client import types as t
from ecpmon.client.calls import API, Answer, Call, as_json, as_text, given, instant, queried, tenant_path

# What `send_test_metrics` sends: a tenant that is well.
TEST_METRICS: Final[Mapping[str, float]] = {
    "cpu_usage": 42.0,
    "memory_usage": 55.0,
    "request_count": 100,
    "response_time": 120.0,
    "error_rate": 0.0,
    "up": 1,
}
_LABEL: Final = "ecp.ai/tenant"


def request(
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    repeatable: bool | None = None,
) -> Call[Any]:
    """Any request: `path` below the service's root, such as `/api/v1/sd/prometheus`; JSON comes back parsed, else text.

    `repeatable` None: GET, PUT and HEAD are.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"path must begin with one slash, below the service's root: {path!r}")
    again = method.upper() in ("GET", "HEAD", "PUT") if repeatable is None else repeatable
    return Call(method.upper(), path, _whatever, query or {}, body, repeatable=again)


def _whatever(answer: Answer) -> Any:
    if not answer.body:
        return None
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text()


# --- tenants --------------------------------------------------------------------------------------------------


def get_tenants(
    *, skip: int = 0, limit: int = 100, preset: t.Preset | None = None, status: t.TenantStatus | None = None
) -> Call[t.TenantPage]:
    """A page of the tenants that the caller may see, `limit` (1,000 at most) from the place `skip` on."""
    asked = queried(skip=skip, limit=limit, preset=preset, status=status)
    return Call("GET", f"{API}/tenants/", as_json, asked, repeatable=True)


def get_tenant(tenant_id: str) -> Call[t.Tenant]:
    """One tenant in detail. Raises NotFound."""
    return Call("GET", tenant_path(tenant_id), _with_etag, repeatable=True)


def _with_etag(answer: Answer) -> t.Tenant:
    tenant: t.Tenant = answer.json()
    if "etag" in answer.headers:
        tenant["etag"] = answer.headers["etag"]
    return tenant


def create_tenant(tenant: t.TenantRequest) -> Call[t.CreatedTenant]:
    """Create a tenant; nothing is deployed yet. Raises Conflict when there is one of that name, InvalidRequest."""
    return Call("POST", f"{API}/tenants/", as_json, body=tenant)


def update_tenant(
    tenant_id: str, changes: t.TenantChanges, *, etag: str | None = None
) -> Call[t.UpdatedTenant]:
    """Change a tenant; says what a deployment of it would do. With an `etag` that is no longer current: Conflict."""
    headers = {"If-Match": etag} if etag is not None else {}
    # With an ETag the second of two would find itself overtaken by the first.
    return Call(
        "PUT", tenant_path(tenant_id), as_json, body=changes, headers=headers, repeatable=etag is None
    )


def delete_tenant(tenant_id: str, *, force: bool = False) -> Call[t.Deletion]:
    """Remove the deployment, then the tenant; its SLA history stays. Raises Conflict: it runs, and no `force`."""
    return Call("DELETE", tenant_path(tenant_id), as_json, queried(force=force))


def calculate_resources(
    service_requirements: Mapping[str, int], sla_target: t.SlaTarget | None = None
) -> Call[t.ResourcePlan]:
    """What a set of services would need, and what it would cost."""
    body = given(service_requirements=service_requirements, sla_target=sla_target)
    return Call("POST", tenant_path("calculate-resources"), as_json, body=body, repeatable=True)


def get_recommendations(tenant_id: str) -> Call[dict[str, Any]]:
    """Right-sizing from observed usage, with its evidence."""
    return Call("GET", tenant_path(tenant_id, "recommendations"), as_json, repeatable=True)


# --- measurements ---------------------------------------------------------------------------------------------


def send_metrics(
    tenant_id: str, metrics: t.Metrics, *, timestamp: datetime | str | None = None
) -> Call[t.PushResult]:
    """Measurements of one instant; without a `timestamp` of now, by this machine's clock. Committed when it returns.

    May be sent again: the same series at the same instant is stored once.
    """
    return send_batch(tenant_id, [{"metrics": metrics, "timestamp": instant(timestamp)}])


def send_batch(tenant_id: str, entries: Iterable[t.PushEntry]) -> Call[t.PushResult]:
    """Measurements of several instants. Entries without a timestamp are of now."""
    now = instant(None)
    body = [{"timestamp": now, **entry} for entry in entries]
    return Call(
        "POST", tenant_path(tenant_id, "monitoring"), as_json,
        body=body[0] if len(body) == 1 else body, repeatable=True,
    )  # fmt: skip


def send_test_metrics(tenant_id: str) -> Call[t.PushResult]:
    """Plausible measurements of a tenant that is well, to see that pushing works. Not for a tenant that is measured."""
    return send_metrics(tenant_id, TEST_METRICS)


def get_monitoring(
    tenant_id: str,
    *,
    metric_type: t.MetricType | None = None,
    hours: float = 24,
    interval: t.Interval = "5m",
) -> Call[t.Monitoring]:
    """Measurements over time, and their means and maxima."""
    asked = queried(metric_type=metric_type, hours=hours, interval=interval)
    return Call("GET", tenant_path(tenant_id, "monitoring"), as_json, asked, repeatable=True)


def get_system_metrics() -> Call[t.SystemMetrics]:
    """The cluster as a whole."""
    return Call("GET", f"{API}/monitoring/system", as_json, repeatable=True)


# --- manifests and deployments --------------------------------------------------------------------------------


def get_manifest(
    tenant_id: str,
    *,
    format: Literal["yaml", "json"] = "yaml",
    include_monitoring: bool = True,
    include_ingress: bool = False,
    namespace: str | None = None,
) -> Call[str]:
    """The tenant's Kubernetes objects as a text, ready for `kubectl apply`."""
    asked = queried(
        format=format,
        include_monitoring=include_monitoring,
        include_ingress=include_ingress,
        namespace=namespace,
    )
    return Call("GET", tenant_path(tenant_id, "manifest"), as_text, asked, repeatable=True)


def validate_manifest(
    manifest: str,
    tenant_id: str | None = None,
    *,
    strict_validation: bool | None = None,
    target_simulator: bool | None = None,
    kubernetes_version: str | None = None,
    namespace: str | None = None,
) -> Call[t.ManifestReport]:
    """What is wrong with a manifest. Without a `tenant_id` it is the one that the manifest's labels name.

    Raises ValueError when they name none, or several.
    """
    body = given(
        tenant_id=tenant_id or _tenant_in(manifest),
        manifest_content=manifest,
        strict_validation=strict_validation,
        target_simulator=target_simulator,
        kubernetes_version=kubernetes_version,
        namespace=namespace,
    )
    return Call("POST", tenant_path("validate-manifest"), as_json, body=body, repeatable=True)


def _tenant_in(manifest: str) -> str:
    import yaml

    try:
        documents = list(yaml.safe_load_all(manifest))
    except yaml.YAMLError:
        documents = []
    names = {str(name) for name in map(_label_of, documents) if name}
    if len(names) != 1:
        raise ValueError(f"name the tenant_id: the manifest has no single label {_LABEL}")
    return names.pop()


def _label_of(document: Any) -> Any:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return labels.get(_LABEL) if isinstance(labels, dict) else None


def begin_deployment(
    tenant_id: str,
    method: t.Method,
    *,
    dry_run: bool = False,
    include_monitoring: bool = True,
    include_ingress: bool = False,
    force: bool = False,
    reason: str | None = None,
) -> Call[t.DeploymentBegun]:
    """Begin a deployment. Raises Conflict while another runs, or when the tenant's error budget is spent."""
    body = given(
        method=method,
        dry_run=dry_run,
        include_monitoring=include_monitoring,
        include_ingress=include_ingress,
        force=force,
        reason=reason,
    )
    return Call("POST", tenant_path(tenant_id, "deploy"), as_json, body=body, repeatable=dry_run)


def get_deployment_status(tenant_id: str) -> Call[t.Deployment]:
    """The latest deployment. Raises NotFound: it was never deployed."""
    return Call("GET", tenant_path(tenant_id, "deployment-status"), as_json, repeatable=True)


def get_deployments(tenant_id: str, *, limit: int = 20) -> Call[t.Deployments]:
    """The deployments, newest first."""
    return Call("GET", tenant_path(tenant_id, "deployments"), as_json, queried(limit=limit), repeatable=True)


def report_deployment(
    tenant_id: str,
    status: Literal["completed", "failed"],
    *,
    deployed_at: datetime | str | None = None,
    message: str | None = None,
) -> Call[t.DeploymentReport]:
    """A pipeline tells how its own deployment went."""
    at = None if deployed_at is None else instant(deployed_at)
    body = given(status=status, deployed_at=at, message=message)
    return Call("POST", tenant_path(tenant_id, "deployment-status"), as_json, body=body)
