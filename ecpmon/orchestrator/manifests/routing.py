"""The way from outside to a tenant's services: `/{service}/…` each, by an Ingress or an HTTPRoute, and the gateway.

The gateway, where the catalogue has one, gets the routes as its configuration, and all that comes from outside goes to
it. Without one, the paths lead straight to the services. The names of Services are resolved once, when nginx starts:
their addresses stay as long as they exist.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from ecpmon.orchestrator.manifests.options import Manifest, Scope
from ecpmon.orchestrator.plans import ServicePlan

ROUTES: Final = "ecp-routes"
# Where the image of the gateway reads its servers from, and the file of that name that it comes with.
ROUTES_PATH: Final = "/etc/nginx/conf.d"
ROUTES_FILE: Final = "default.conf"
# On the gateway's pods: other routes are other pods, since nginx reads them when it starts.
ROUTES_ANNOTATION: Final = "ecp.ai/routes"
TLS_SECRET: Final = "ecp-tls"  # noqa: S105 - the name of a Secret, not its value
_ISSUER: Final = "cert-manager.io/cluster-issuer"
_HEAD: Final = """\
map $http_upgrade $connection_upgrade {
  default upgrade;
  '' close;
}
map $http_x_forwarded_proto $forwarded_proto {
  default $http_x_forwarded_proto;
  '' $scheme;
}
server {
  listen %d;
  server_name _;
  server_tokens off;
  absolute_redirect off;
  client_max_body_size 50m;
  proxy_http_version 1.1;
  proxy_read_timeout 300s;
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $forwarded_proto;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
"""
_ROUTE: Final = """\
  location = /{name} {{
    return 308 /{name}/$is_args$args;
  }}
  location /{name}/ {{
    proxy_pass http://{name}-service:{port}/;
  }}
"""


def gateway_of(scope: Scope) -> ServicePlan | None:
    """The part that users meet first."""
    return next((s for s in scope.plan.services if s.spec.fronts_users), None)


def routed(scope: Scope) -> list[ServicePlan]:
    """Who answers users: not the gateway itself, nor what keeps state."""
    return [s for s in scope.plan.services if not s.spec.stateful and not s.spec.fronts_users]


def routes_text(scope: Scope, gateway: ServicePlan) -> str:
    """The gateway's configuration."""
    services = routed(scope)
    named = json.dumps({"services": [f"/{s.service_name}/" for s in services]})
    return "".join(
        (
            _HEAD % gateway.spec.port,
            *(_ROUTE.format(name=s.service_name, port=s.spec.service_port) for s in services),
            f"  location / {{\n    default_type application/json;\n    return 404 '{named}';\n  }}\n}}\n",
        )
    )


def routes(scope: Scope, gateway: ServicePlan) -> Manifest:
    """The ConfigMap of that."""
    return scope.object("v1", "ConfigMap", ROUTES, gateway, data={ROUTES_FILE: routes_text(scope, gateway)})


def routes_digest(scope: Scope, gateway: ServicePlan) -> str:
    return hashlib.sha256(routes_text(scope, gateway).encode()).hexdigest()[:16]


def entrance(scope: Scope) -> list[Manifest]:
    """What leads to the tenant from outside; nothing where nobody in it answers users."""
    if not routed(scope):
        return []
    return [_http_route(scope) if scope.options.route == "httproute" else _ingress(scope)]


def _targets(scope: Scope) -> list[tuple[str, ServicePlan]]:
    """Path prefixes and where they lead."""
    gateway = gateway_of(scope)
    return [("/", gateway)] if gateway else [(f"/{s.service_name}", s) for s in routed(scope)]


def _ingress(scope: Scope) -> Manifest:
    """TLS in front; the certificate is a Secret named, not written: an issuer's, or there already."""
    options, host = scope.options, _host(scope)
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": _backend(target)}}
        for path, target in _targets(scope)
    ]
    spec = {
        "ingressClassName": options.ingress_class,
        "tls": [{"hosts": [host], "secretName": TLS_SECRET}],
        "rules": [{"host": host, "http": {"paths": paths}}],
    }
    made = scope.object("networking.k8s.io/v1", "Ingress", "ecp-ingress", spec=spec)
    if options.tls_issuer is not None:
        made["metadata"]["annotations"] = {_ISSUER: options.tls_issuer}
    return made


def _http_route(scope: Scope) -> Manifest:
    """TLS is the Gateway's. Without a gateway of ours the service's own prefix is taken off, as ours does."""
    space, _, name = scope.options.gateway.rpartition("/")
    rules: list[dict[str, Any]] = []
    for path, target in _targets(scope):
        rule: dict[str, Any] = {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
        if path != "/":
            rewritten = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
            rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewritten}]
        rule["backendRefs"] = [{"name": _service_of(target), "port": target.spec.service_port}]
        rules.append(rule)
    spec = {
        "parentRefs": [{"name": name, **({"namespace": space} if space else {})}],
        "hostnames": [_host(scope)],
        "rules": rules,
    }
    return scope.object("gateway.networking.k8s.io/v1", "HTTPRoute", "ecp-route", spec=spec)


def _host(scope: Scope) -> str:
    return f"{scope.tenant.tenant_id}.{scope.options.ingress_domain}"


def _service_of(target: ServicePlan) -> str:
    return f"{target.service_name}-service"


def _backend(target: ServicePlan) -> dict[str, Any]:
    return {"name": _service_of(target), "port": {"number": target.spec.service_port}}
