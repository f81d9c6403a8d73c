"""Services, and who may talk to whom."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from ecpmon.orchestrator.manifests.options import Manifest, Scope
from ecpmon.orchestrator.plans import ServicePlan

NODE_LOCAL_DNS: Final = "169.254.20.10"
REDIS_PORT: Final = 6379
OUTSIDE: Final = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}


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


def network_policy(scope: Scope) -> Manifest:
    """In: the same namespace, and who was let in. Out: the same namespace, DNS, HTTPS but no metadata address."""
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": _sources(scope)}],
        "egress": [{"to": [{"podSelector": {}}]}, *_dns(), {"to": [OUTSIDE], "ports": [_tcp(443)]}],
    }
    if scope.options.redis_url is not None:
        port = urlsplit(scope.options.redis_url).port or REDIS_PORT
        spec["egress"].append({"to": [{"namespaceSelector": {}}, OUTSIDE], "ports": [_tcp(port)]})  # type: ignore[attr-defined]
    return scope.object("networking.k8s.io/v1", "NetworkPolicy", "ecp-isolation", spec=spec)


def _sources(scope: Scope) -> list[dict[str, Any]]:
    options = scope.options
    sources: list[dict[str, Any]] = [{"podSelector": {}}]
    if options.include_ingress:
        spaces = [options.ingress_namespace]
        if options.route == "httproute" and "/" in options.gateway:
            spaces.append(options.gateway.partition("/")[0])
        sources += [_namespace(name) for name in dict.fromkeys(spaces)]
    if options.include_monitoring:
        sources.append(_namespace(options.monitoring_namespace))
    return sources


def _dns() -> list[dict[str, Any]]:
    """The cluster's DNS, and NodeLocal DNSCache: that runs in the node's network, where no label of a pod counts."""
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return [
        {"to": [_namespace("kube-system"), {"ipBlock": {"cidr": f"{NODE_LOCAL_DNS}/32"}}], "ports": ports}
    ]


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
