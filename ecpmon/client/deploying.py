"""A deployment, followed until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ecpmon.client import requests
from ecpmon.client.calls import segment
from ecpmon.client.errors import DeploymentFailed, NotFound
from ecpmon.client.streams import Stream
from ecpmon.client.transport import Transport
from ecpmon.client.types import Deployment, DeploymentStep

Progress = Callable[[DeploymentStep], None]
COMPLETED: Final = "completed"
# Of a tenant one deployment runs at a time, and what a pipeline tells meanwhile is listed too.
_RECENT: Final = 100


def steps(transport: Transport, deployment_id: str) -> Stream[DeploymentStep]:
    return Stream(transport, f"/ws/deployment/{segment(deployment_id)}")


async def finished(
    transport: Transport,
    tenant_id: str,
    deployment_id: str,
    progress: Progress | None,
    timeout: float | None,
) -> Deployment:
    """The deployment once it is over; `progress` hears of every step.

    Raises DeploymentFailed when it failed or was rolled back, TimeoutError after `timeout` seconds: it goes on.
    """
    async with asyncio.timeout(timeout), steps(transport, deployment_id) as stream:
        async for step in stream:
            if progress is not None:
                progress(step)
        found = await _found(transport, tenant_id, deployment_id)
    if found["status"] != COMPLETED:
        raise DeploymentFailed(
            f"{found['status']}: {found['message']}", code="DEPLOYMENT_FAILED", details=found
        )
    return found


async def _found(transport: Transport, tenant_id: str, deployment_id: str) -> Deployment:
    listed = await transport.send(requests.get_deployments(tenant_id, limit=_RECENT))
    for deployment in listed["deployments"]:
        if deployment["deployment_id"] == deployment_id:
            return deployment
    raise NotFound(
        "the deployment is over, and no longer listed", code="NOT_FOUND", details={"id": deployment_id}
    )
