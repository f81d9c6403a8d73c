"""The deploy gate over a tenant's first hours: what it protects, and from when on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ecpmon.app import RUNTIMES
from tests.integration.api.conftest import Service

pytestmark = pytest.mark.demo

DEMO = {"X-Demo-Mode": "true"}


class Young:
    """A tenant of the demo database, whose deployer needs no cluster; it pushes once a minute."""

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.path = f"/api/v1/tenants/{name}"

    @classmethod
    async def made(cls, service: Service) -> Young:
        name = f"{await service.tenant()}-young"
        body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
        status, answer, _ = await service.ask("POST", "/api/v1/tenants/", body, **DEMO)
        assert status == 201, answer
        return cls(service, name)

    async def live(self, minutes: int, up: int) -> None:
        start = self.service.clock.now()
        self.service.clock.advance(60 * minutes)
        body = [
            {"timestamp": (start + timedelta(minutes=n + 1)).isoformat(), "metrics": {"up": up}}
            for n in range(minutes)
        ]
        status, answer, _ = await self.service.ask("POST", f"{self.path}/monitoring", body, **DEMO)
        assert status == 202, answer

    async def deploy(self, **more: Any) -> str:
        """How a deployment ended, or the code by which it was refused."""
        body = {"method": "kubernetes", **more}
        status, answer, _ = await self.service.ask("POST", f"{self.path}/deploy", body, **DEMO)
        if status != 202:
            return str(answer["error"]["code"])
        await self.service.app[RUNTIMES][1].deployments.wait(answer["deployment_id"])
        _, found, _ = await self.service.ask("GET", f"{self.path}/deployment-status", **DEMO)
        return str(found["status"])


async def test_a_new_tenant_that_is_down_can_be_deployed_for_the_first_time(service: Service) -> None:
    young = await Young.made(service)
    await young.live(1, up=0)
    service.clock.advance(10)
    assert await young.deploy() == "completed"


async def test_a_budget_counts_from_the_first_deployment_and_one_measured_hour_on(service: Service) -> None:
    young = await Young.made(service)
    # Two hours of down time before anything was deployed: what a deployment is to mend.
    await young.live(120, up=0)
    assert await young.deploy() == "completed"
    # The first try did not help. Less than an hour was measured since.
    await young.live(50, up=0)
    assert await young.deploy() == "completed"
    await young.live(9, up=0)
    assert await young.deploy() == "completed"
    await young.live(1, up=0)
    assert await young.deploy() == "ERROR_BUDGET_EXHAUSTED"
    assert await young.deploy(force=True, reason="it is the fix for the outage") == "completed"


async def test_what_was_down_before_the_first_deployment_is_no_spent_budget(service: Service) -> None:
    young = await Young.made(service)
    await young.live(120, up=0)
    assert await young.deploy() == "completed"
    # The push that ends the down time is a minute after the deployment; 99.5 % of five hours is a minute and a half.
    await young.live(300, up=1)
    assert await young.deploy() == "completed"


async def test_time_that_nobody_measured_is_no_measured_hour(service: Service) -> None:
    young = await Young.made(service)
    assert await young.deploy() == "completed"
    await young.live(20, up=0)
    service.clock.advance(7200)
    await young.live(20, up=0)
    assert await young.deploy() == "completed"


async def test_a_deployment_that_failed_is_not_the_first_one(service: Service) -> None:
    young = await Young.made(service)
    for _ in range(2):
        told = {"status": "failed", "message": "no such image"}
        await service.ask("POST", f"{young.path}/deployment-status", told, **DEMO)
        await young.live(90, up=0)
    assert await young.deploy() == "completed"
