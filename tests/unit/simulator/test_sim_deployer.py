"""What the orchestrator asks of the simulator's own call, held against a simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ecpmon.app.demo import TENANTS
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.deployers.simulator import SimulatorDeployer
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app
from ecpmon.simulator.snapshot import SnapshotStore

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient]:
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=5, manual_clock=True))
    async with TestClient(TestServer(create_app(engine))) as made:
        yield made


def tenant(name: str = "acme", **requirements: int) -> Tenant:
    target = SlaTarget(availability="99.5%")
    plan = plan_tenant(requirements, target)
    return Tenant(
        key=1, tenant_id=name, name=name, preset=plan.preset, is_demo=False, status=TenantStatus.PENDING,
        service_requirements=requirements, resources=Resources(), sla_target=target, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


async def test_gpus_are_asked_for_used_and_can_fail(client: TestClient) -> None:
    deployer = SimulatorDeployer(client.session, str(client.make_url("")).rstrip("/"), 10)
    await deployer.deploy(tenant(callbot=35, chatbot=50))
    await client.post("/api/v1/clock/advance", json={"seconds": 60})
    system = await deployer.status(None)
    assert system["used"]["gpu"] == 2
    seen = await (await client.get("/api/v1/metrics/acme")).json()
    assert seen["ready"]
    assert seen["metrics"]["gpu_usage"] > 0
    await deployer.trigger_failure("acme", "gpu_failure", 60, 1.0, "tenant")
    broken = await (await client.get("/api/v1/metrics/acme")).json()
    assert not broken["ready"]


async def test_what_was_made_is_told(client: TestClient) -> None:
    deployer = SimulatorDeployer(client.session, str(client.make_url("")).rstrip("/"), 10)
    first = {(o.kind, o.name): (o.status, o.replicas) for o in await deployer.deploy(tenant(chatbot=50))}
    assert first["Namespace", "ecp-ai-acme"] == ("created", None)
    assert first["Deployment", "chatbot"] == ("created", "0/2")
    await client.post("/api/v1/clock/advance", json={"seconds": 60})
    again = {o.name: o.status for o in await deployer.deploy(tenant(chatbot=100, stt=20))}
    assert (again["ecp-ai-acme"], again["chatbot"], again["stt"]) == ("unchanged", "configured", "created")
    assert again["redis"] == "unchanged"
    last = {o.name: o.status for o in await deployer.deploy(tenant(chatbot=100))}
    assert last["stt"] == "pruned"


async def test_the_demo_fits_into_the_cluster_with_its_gpus(client: TestClient) -> None:
    deployer = SimulatorDeployer(client.session, str(client.make_url("")).rstrip("/"), 10)
    for demo in TENANTS:
        await deployer.deploy(tenant(demo["tenant_id"], **demo["service_requirements"]))
    await client.post("/api/v1/clock/advance", json={"seconds": 60})
    for demo in TENANTS:
        seen = await (await client.get(f"/api/v1/metrics/{demo['tenant_id']}")).json()
        assert seen["ready"], demo["tenant_id"]
    assert (await deployer.status(None))["used"]["gpu"] > 0
