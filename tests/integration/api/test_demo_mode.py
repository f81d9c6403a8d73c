"""Demo mode: a cluster and tenants of its own, made once, and nothing of it in production's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ecpmon.app import RUNTIMES
from ecpmon.app.backend import BackendRuntime
from ecpmon.app.demo_tenants import SEEDS
from tests.integration.api.conftest import NOW, Service
from tests.integration.simulator.sim_process import SERVICE, Simulator

pytestmark = pytest.mark.demo

DEMO = {"X-Demo-Mode": "true"}
NAMES = {seed.tenant_id for seed in SEEDS}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder: Path = tmp_path_factory.mktemp("demo") / "state"
    running = Simulator(folder, "--manual-clock", "--seed", "7").start()
    running.ok("POST", "/demo/api/v1/clock/set", {"to": NOW.isoformat()})
    yield running
    running.kill()


@pytest.fixture
def service_settings(simulator: Simulator) -> dict[str, Any]:
    return {"simulator_url": f"http://127.0.0.1:{simulator.port}"}


def demo_of(service: Service) -> BackendRuntime:
    return service.app[RUNTIMES][1]


async def ask(service: Service, method: str, path: str, body: Any = None) -> Any:
    status, answer, _ = await service.ask(method, f"/api/v1{path}", body, **DEMO)
    assert status < 300, (path, status, answer)
    return answer


async def listed(service: Service) -> dict[str, str]:
    return {t["tenant_id"]: t["status"] for t in (await ask(service, "GET", "/tenants/"))["tenants"]}


async def test_it_begins_with_the_tenants_of_the_source_documents_and_makes_none_of_them_twice(
    service: Service, simulator: Simulator
) -> None:
    for _ in range(2):
        await demo_of(service).jobs.run("demo_tenants")
        assert await listed(service) == dict.fromkeys(NAMES, "running")
    detail = await ask(service, "GET", "/tenants/global-call-center")
    assert detail["is_demo"] is True
    assert detail["service_requirements"] == {"callbot": 25, "chatbot": 85, "advisor": 32}
    assert detail["sla_target"] == {"availability": "99.86%", "response_time": "265ms"}
    # In a cluster of their own, and not among production's tenants.
    found = simulator.ok("GET", "/demo/api/v1/tenants")["tenants"]
    assert {t["tenant_id"] for t in found} == NAMES
    assert simulator.ok("GET", "/api/v1/tenants")["tenants"] == []
    _, production, _ = await service.ask("GET", "/api/v1/tenants/")
    assert not NAMES & {t["tenant_id"] for t in production["tenants"]}


async def test_what_the_demo_cluster_says_is_their_evidence(service: Service, simulator: Simulator) -> None:
    simulator.ok("POST", "/demo/api/v1/clock/advance", {"seconds": 300})
    service.clock.advance(300)
    for _ in range(3):
        await demo_of(service).jobs.run("collect_simulator")
        simulator.ok("POST", "/demo/api/v1/clock/advance", {"seconds": 5})
        service.clock.advance(5)
    analysis = await ask(service, "GET", "/simulator/sla/my-ai-service/analysis?period=24h")
    assert (analysis["current_sla"], analysis["target_sla"]) == (100.0, 99.9)


async def test_the_simulators_routes_answer_and_reach_the_demo_cluster_alone(
    service: Service, simulator: Simulator
) -> None:
    simulator.deploy("test-ai-service", {**SERVICE, "replicas": 1})
    simulator.advance(60)
    body = {"tenant_id": "test-ai-service", "name": "테스트", "service_requirements": {"chatbot": 10}}
    await ask(service, "POST", "/tenants/", body)
    made = await ask(service, "POST", "/simulator/deploy/test-ai-service", {"include_monitoring": True})
    assert made["status"] == "success"
    told = await ask(service, "GET", "/tenants/test-ai-service/deployment-status")
    assert [o["type"] for o in told["created_resources"]].count("Deployment") == made["resources_count"]
    assert made["simulator_dashboard"].endswith("/demo/dashboard/test-ai-service")
    status = await ask(service, "GET", "/simulator/status")
    assert status["cluster"]["tenants"] == len(simulator.ok("GET", "/demo/api/v1/tenants")["tenants"])
    assert (await ask(service, "GET", "/monitoring/system"))["cluster_status"] == "healthy"
    assert (await ask(service, "GET", "/simulator/failures/types"))["failure_types"]
    failure = {"failure_type": "full_outage", "duration_seconds": 600.0}
    await ask(service, "POST", "/simulator/failures/test-ai-service/trigger", failure)
    assert len(simulator.ok("GET", "/demo/api/v1/failures/test-ai-service")["failures"]) == 1
    simulator.advance(60)
    assert simulator.ok("GET", "/api/v1/truth/test-ai-service")["down_seconds"] == 0
    assert len((await ask(service, "DELETE", "/simulator/failures/test-ai-service"))["ended"]) == 1
    await ask(service, "DELETE", "/tenants/test-ai-service?force=true")
    assert simulator.call("GET", "/demo/api/v1/tenants/test-ai-service")[0] == 404
    assert simulator.call("GET", "/api/v1/tenants/test-ai-service")[0] == 200


async def test_who_deletes_one_does_not_find_it_again(service: Service) -> None:
    await ask(service, "DELETE", "/tenants/ai-call-center-prod?force=true")
    # This process has not made any: it asks what was made before.
    await demo_of(service).jobs.run("demo_tenants")
    assert "ai-call-center-prod" not in await listed(service)
    assert "my-ai-service" in await listed(service)


async def test_nothing_of_it_counts_in_productions_metrics(service: Service, simulator: Simulator) -> None:
    async def counted() -> dict[str, str]:
        _, page, _ = await service.ask("GET", "/metrics")
        lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
        names = (
            "ecp_",
            "ecpmon_samples",
            "ecpmon_pull",
            "ecpmon_external",
            "ecpmon_rejected",
            "ecpmon_recover",
        )
        return {series: value for series, _, value in lines if series.startswith(names)}

    now = datetime.fromisoformat(simulator.ok("GET", "/demo/api/v1/clock")["now"])
    service.clock.advance((now - NOW).total_seconds())
    same = await service.tenant(tenant_id="my-ai-service")
    await service.ask("GET", f"/api/v1/tenants/{same}")
    before = await counted()
    alert = {
        "status": "firing", "labels": {"alertname": "Full", "tenant_id": same}, "annotations": {},
        "startsAt": "2026-03-02T08:59:00Z", "fingerprint": "demo",
    }  # fmt: skip
    await ask(
        service, "POST", f"/tenants/{same}/monitoring", {"metrics": {"cpu_usage": 91, "bad name\x00": 1}}
    )
    await ask(service, "POST", "/webhooks/tenant-alert", {"version": "4", "alerts": [alert]})
    await ask(service, "GET", f"/tenants/{same}")
    await demo_of(service).jobs.run("collect_simulator")
    await demo_of(service).jobs.run("gauges")
    assert await counted() == before
    assert any(series.startswith("ecp_tenant_") for series in before)
