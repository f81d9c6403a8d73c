"""Where Prometheus finds the services of the caller's tenants: a document of `http_sd_configs` (api.md §3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, reply
from ecpmon.api.context import CALLER
from ecpmon.api.routing import Permission, Routes
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import TypedDict
from ecpmon.slices import Slices

routes = Routes()
# Where the services of a tenant are real pods.
_CLUSTERS: Final = ("kubernetes", "gitops")
_METRICS: Final = "/metrics"


class TargetGroup(TypedDict):
    """One service of one tenant. Labels that begin with `__` tell Prometheus how to scrape it; the others are those
    that our rules go by: `tenant_id`, `service`, `namespace`, `instance`."""

    targets: Annotated[list[str], Field(examples=[["chatbot-service.ecp-ai-my-ai-service.svc:80"]])]
    labels: Annotated[
        dict[str, str],
        Field(
            examples=[{"tenant_id": "my-ai-service", "service": "chatbot", "__metrics_path__": "/metrics"}]
        ),
    ]


@routes.get("/api/v1/sd/prometheus", Permission.READ, answers={200: list[TargetGroup]})
async def prometheus(request: web.Request) -> web.Response:
    """Target groups for Prometheus: one for each service of the caller's tenants that runs somewhere."""
    from ecpmon.orchestrator.catalogue import default_catalogue
    from ecpmon.orchestrator.manifests import namespace_of

    backend, allowed = backend_of(request), request[CALLER].tenants
    ports = {
        name: spec.service_port
        for name, spec in default_catalogue().services.items()
        if spec.service_type == "ai_service"  # others have no such page: as in the ServiceMonitor
    }
    simulator = backend.operating.started_with.deployment.deploymentEndpoint
    groups: list[TargetGroup] = []
    slices = Slices()
    for name, standing in sorted((await backend.directory.standings()).items()):
        tenant = standing.tenant
        if tenant is None or not (allowed is None or tenant.key in allowed):
            continue
        labels = {"tenant_id": name, "namespace": namespace_of(name)}
        if tenant.deployed_to in _CLUSTERS:
            groups += _in_cluster(tenant, labels, ports)
        elif tenant.deployed_to == "simulator" and simulator is not None:
            groups += _in_simulator(tenant, labels, ports, simulator)
        await slices.pause()
    return reply(groups)


def _services(tenant: Tenant, ports: dict[str, int]) -> Iterator[str]:
    return (name for name in tenant.as_deployed().service_requirements if name in ports)


def _in_cluster(tenant: Tenant, labels: dict[str, str], ports: dict[str, int]) -> Iterator[TargetGroup]:
    """By the names that its DNS gives their Services."""
    for service in _services(tenant, ports):
        yield {
            "targets": [f"{service}-service.{labels['namespace']}.svc:{ports[service]}"],
            "labels": {
                **labels,
                "service": service,
                "instance": f"{labels['namespace']}/{service}",
                "__metrics_path__": _METRICS,
            },
        }


def _in_simulator(
    tenant: Tenant, labels: dict[str, str], ports: dict[str, int], url: str
) -> Iterator[TargetGroup]:
    """Simulated pods have addresses that nobody can reach: the simulator speaks for each service."""
    parts = urlsplit(url)
    for service in _services(tenant, ports):
        yield {
            "targets": [parts.netloc.rpartition("@")[2]],
            "labels": {
                **labels,
                "service": service,
                "instance": f"{labels['namespace']}/{service}",
                "__scheme__": parts.scheme,
                "__metrics_path__": parts.path + _METRICS,
                "__param_tenant_id": tenant.tenant_id,
                "__param_service": service,
            },
        }
