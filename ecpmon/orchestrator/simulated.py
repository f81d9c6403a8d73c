"""Bringing a tenant out in the simulator by its own call, and what is stored of that."""

from __future__ import annotations

import uuid

from ecpmon.errors import EcpError
from ecpmon.model.deployments import DeploymentStatus
from ecpmon.model.tenants import Tenant
from ecpmon.ports.orchestrator import DeploymentStore, SimulatorClient
from ecpmon.ports.service import Clock
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.evidence import Intervals


async def bring_out(
    tenant: Tenant,
    client: SimulatorClient,
    deployments: DeploymentStore,
    tenants: TenantStore,
    intervals: Intervals,
    clock: Clock,
    *,
    by: str,
    forced_because: str | None = None,
    scenario: str | None = None,
) -> tuple[str, int]:
    """The id of the deployment and the number of its services; its readiness is the tenant's evidence from now on.

    What the simulator made is kept with the deployment.

    `scenario` is started in it. Raises what the simulator's client does; the deployment has failed then.
    """
    deployment_id = f"sim-deploy-{uuid.uuid4().hex[:12]}"
    await deployments.request(tenant, deployment_id, "simulator", {}, by, forced_because, clock.now())
    try:
        objects = await client.deploy(tenant)
        if scenario is not None:
            await client.start_scenario(tenant.tenant_id, scenario)
    except EcpError as error:
        failed = DeploymentStatus.FAILED
        await deployments.advance(
            tenant.key, deployment_id, failed, error.message, clock.now(), level="error"
        )
        raise
    now = clock.now()
    holds, age = intervals.evidence(tenant.deployed("simulator"))
    await tenants.set_deployed(tenant, "simulator", "running", holds, age, now)
    count = sum(made.kind == "Deployment" and made.status != "pruned" for made in objects)
    await deployments.advance(
        tenant.key, deployment_id, DeploymentStatus.COMPLETED, f"{count} services", now, objects=objects
    )
    return deployment_id, count
