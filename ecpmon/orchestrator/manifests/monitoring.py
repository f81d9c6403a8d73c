"""ServiceMonitor and PrometheusRule of the Prometheus operator."""

from __future__ import annotations

from typing import Any

from ecpmon.orchestrator.manifests.options import Manifest, Scope

API = "monitoring.coreos.com/v1"


def service_monitor(scope: Scope) -> Manifest:
    """Scrapes /metrics of the AI services; databases and gateways have no such page."""
    kinds = sorted({s.service_type for s in scope.plan.services if s.service_type == "ai_service"})
    selector = {
        "matchLabels": {"ecp.ai/tenant": scope.tenant.tenant_id},
        "matchExpressions": [
            {"key": "app.kubernetes.io/component", "operator": "In", "values": kinds or ["ai_service"]}
        ],
    }
    spec = {
        "selector": selector,
        "namespaceSelector": {"matchNames": [scope.namespace]},
        "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s"}],
        "targetLabels": ["ecp.ai/tenant", "ecp.ai/service"],
    }
    return scope.object(API, "ServiceMonitor", "ecp-services", spec=spec)


def prometheus_rule(scope: Scope) -> Manifest:
    """Down and busy, from kube-state-metrics and cAdvisor; `tenant_id` leads the webhook to the tenant."""
    inside = f'{{namespace="{scope.namespace}"}}'
    down = f"min by (namespace) (kube_deployment_status_replicas_available{inside}) == 0"
    # Without a container's name there is a second series for the whole pod.
    used = f'sum by (namespace) (rate(container_cpu_usage_seconds_total{inside[:-1]}, container!=""}}[5m]))'
    granted = f'sum by (namespace) (kube_pod_container_resource_limits{inside[:-1]}, resource="cpu"}})'
    rules = [
        _rule(scope, "ECPTenantDown", down, "2m", "critical", "A service has no available pod."),
        _rule(scope, "ECPHighCPUUsage", f"{used} / {granted} > 0.8", "5m", "warning", "CPU is over 80 %."),
    ]
    spec = {"groups": [{"name": f"ecp-{scope.tenant.tenant_id}", "rules": rules}]}
    return scope.object(API, "PrometheusRule", "ecp-rules", spec=spec)


def _rule(scope: Scope, alert: str, expr: str, hold: str, severity: str, text: str) -> dict[str, Any]:
    return {
        "alert": alert,
        "expr": expr,
        "for": hold,
        "labels": {"severity": severity, "tenant_id": scope.tenant.tenant_id},
        "annotations": {"summary": f"Tenant {scope.tenant.tenant_id}: {text}"},
    }
