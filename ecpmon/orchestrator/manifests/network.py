"""Services, Ingress and who may talk to whom."""

from __future__ import annotations

from typing import Any

from ecpmon.orchestrator.manifests.options import Manifest, Scope
from ecpmon.orchestrator.plans import ServicePlan


def service(scope: Scope, plan: ServicePlan) -> Manifest:
    """`{service}-service`, 80 → 8080 unless the catalogue says otherwise."""
    port = "http" if plan.spec.liveness.path else "tcp"
    spec = {
        "type": "ClusterIP",
        "selector": scope.selector(plan),
        "ports": [
            {"name": port, "port": plan.spec.service_port, "targetPort": plan.spec.port, "protocol": "TCP"}
        ],
    }
    return scope.object("v1", "Service", f"{plan.service_name}-service", plan, spec=spec)


def ingress(scope: Scope) -> Manifest:
    """TLS in front of the part that faces the users; the certificate is a Secret named, not written."""
    entry = next((s for s in scope.plan.services if s.spec.fronts_users), scope.plan.services[0])
    host = f"{scope.tenant.tenant_id}.{scope.options.ingress_domain}"
    backend = {"name": f"{entry.service_name}-service", "port": {"number": entry.spec.service_port}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": backend}}
    spec = {
        "ingressClassName": scope.options.ingress_class,
        "tls": [{"hosts": [host], "secretName": "ecp-tls"}],
        "rules": [{"host": host, "http": {"paths": [path]}}],
    }
    return scope.object("networking.k8s.io/v1", "Ingress", "ecp-ingress", spec=spec)


def network_policy(scope: Scope) -> Manifest:
    """In: the same namespace, and who was let in. Out: the same namespace, DNS, HTTPS but no metadata address."""
    sources: list[dict[str, Any]] = [{"podSelector": {}}]
    if scope.options.include_ingress:
        sources.append(_namespace(scope.options.ingress_namespace))
    if scope.options.include_monitoring:
        sources.append(_namespace(scope.options.monitoring_namespace))
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": sources}],
        "egress": [
            {"to": [{"podSelector": {}}]},
            {"to": [_namespace("kube-system")], "ports": dns},
            {"to": [outside], "ports": [{"protocol": "TCP", "port": 443}]},
        ],
    }
    return scope.object("networking.k8s.io/v1", "NetworkPolicy", "ecp-isolation", spec=spec)


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
