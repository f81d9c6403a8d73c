"""The simulator through the orchestrator: deploy tenants there and break them (api.md §7)."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, Field, StrictBool, StrictStr

from ecpmon.api.auth import runs_the_cluster
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, seen_tenants, tenant_of
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import EcpError, SimulatorUnavailable
from ecpmon.model.deployments import DeploymentStatus
from ecpmon.model.samples import Source
from ecpmon.ports.orchestrator import Reach, SimulatorClient

routes = Routes()


# What `failure_scenarios` starts: rules/simulator/scenarios.yaml.
SCENARIO: Final = "short_outage"


class DeployBody(BaseModel):
    # Simulated pods are always observable.
    include_monitoring: StrictBool = True
    # False is for a tenant whose availability is told by somebody else (`sli_source`).
    enable_sla_tracking: StrictBool = True
    failure_scenarios: StrictBool = False
    # Deploy although the error budget is spent; the reason is kept with the deployment.
    force: StrictBool = False
    reason: Annotated[StrictStr, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""


class FailureBody(BaseModel):
    failure_type: Annotated[StrictStr, Field(min_length=1, max_length=50)]
    duration_seconds: Annotated[float, Field(gt=0, le=30 * 86_400, strict=True)] | None = None
    severity: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None


def simulator_of(request: web.Request) -> SimulatorClient:
    client = backend_of(request).simulator
    if client is None:
        raise SimulatorUnavailable("no simulator is configured here; set ECPMON_SIMULATOR_URL")
    return client


def _reach(request: web.Request) -> Reach:
    """How far the caller's failures may go."""
    return "cluster" if runs_the_cluster(request[CALLER]) else "tenant"


@routes.post("/api/v1/simulator/deploy/{tenant_id}", Permission.OPERATE)
async def deploy(request: web.Request) -> web.Response:
    """Deploy a tenant into the simulator, whose readiness then is its SLA evidence."""
    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, DeployBody, optional=True)
    deployed = tenant.deployed("simulator")
    tracked = deployed.evidence_source is Source.SIMULATOR
    if tracked and not body.enable_sla_tracking:
        raise bad_field(
            "enable_sla_tracking",
            "the simulator is this tenant's evidence; give the tenant an sli_source of push or prometheus first",
        )
    settings = request.app[CONTEXT].settings
    client = simulator_of(request)
    deployment_id = f"sim-deploy-{uuid.uuid4().hex[:12]}"
    store, caller = backend.deployments.store, request[CALLER].name
    forced = await backend.deployments.check_gate(tenant, force=body.force, reason=body.reason)
    await store.request(tenant, deployment_id, "simulator", {}, caller, forced, now_of(request))
    try:
        count = await client.deploy(tenant)
        if body.failure_scenarios:
            await client.start_scenario(tenant.tenant_id, SCENARIO)
    except EcpError as error:
        await store.advance(
            tenant.key, deployment_id, DeploymentStatus.FAILED, error.message, now_of(request), level="error"
        )
        raise
    holds, age = backend.intervals.evidence(deployed)
    now = now_of(request)
    await backend.tenants.set_deployed(tenant, "simulator", "running", holds, age, now)
    await store.advance(tenant.key, deployment_id, DeploymentStatus.COMPLETED, f"{count} services", now)
    return reply(
        {
            "status": "success",
            "deployment_id": deployment_id,
            "simulator_dashboard": f"{settings.simulator_url}/api/v1/tenants/{tenant.tenant_id}",
            "resources_count": count,
            "sla_monitoring": tracked,
            "failure_scenario": SCENARIO if body.failure_scenarios else None,
        }
    )


@routes.get("/api/v1/simulator/status", Permission.READ)
async def status(request: web.Request) -> web.Response:
    """Capacity of the simulated cluster, and what the caller's tenants use of it."""
    cluster = await simulator_of(request).status(await seen_tenants(request))
    return reply({"status": "running", "cluster": cluster})


@routes.get("/api/v1/simulator/failures/types", Permission.READ)
async def failure_types(request: web.Request) -> web.Response:
    """Failures that can be triggered, and what each does."""
    return reply(await simulator_of(request).failure_types())


@routes.post("/api/v1/simulator/failures/{tenant_id}/trigger", Permission.OPERATE)
async def trigger(request: web.Request) -> web.Response:
    """Break a tenant on purpose; what tenants share is broken by administrators of all tenants only."""
    tenant = await tenant_of(request)
    body = await read_model(request, FailureBody)
    return reply(
        await simulator_of(request).trigger_failure(
            tenant.tenant_id, body.failure_type, body.duration_seconds, body.severity, _reach(request)
        ),
        202,
    )


@routes.delete("/api/v1/simulator/failures/{tenant_id}", Permission.OPERATE)
async def clear(request: web.Request) -> web.Response:
    """End every failure of a tenant now that the caller could have ordered."""
    tenant = await tenant_of(request)
    return reply(await simulator_of(request).clear_failures(tenant.tenant_id, _reach(request)))
