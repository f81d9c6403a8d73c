"""The routes inside this process: what they answer, and that none of them fails with a 500."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer

from ecpmon.resources import data_dir
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app
from ecpmon.simulator.snapshot import SnapshotStore

START = "2026-11-02T08:00:00Z"
SERVICES = {
    "services": [{"name": "callbot", "replicas": 3}, {"name": "stt", "gpu": 1, "startup_seconds": 20}]
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient]:
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=5, manual_clock=True))
    async with TestClient(TestServer(create_app(engine))) as made:
        await _ok(made, "POST", "/api/v1/clock/set", {"to": START})
        await _ok(made, "PUT", "/api/v1/tenants/acme", SERVICES)
        await _ok(made, "POST", "/api/v1/clock/advance", {"seconds": 60})
        yield made


async def _ok(client: TestClient, method: str, path: str, document: Any = None) -> Any:
    async with client.request(method, path, json=document) as response:
        text = await response.text()
        assert response.status < 300, (path, text)
        assert response.headers["X-Request-ID"]
        return json.loads(text) if response.content_type == "application/json" else text


async def test_pods_explain_themselves_under_every_failure(client: TestClient) -> None:
    expected = {
        "full_outage": "FullOutage",
        "network_partition": "Unreachable",
        "pod_crash": "CrashLoopBackOff",
        "gpu_failure": "CrashLoopBackOff",
        "node_down": "NodeLost",
    }
    for kind, reason in expected.items():
        await _ok(client, "POST", "/api/v1/failures/acme", {"failure_type": kind, "severity": 1.0})
        tenant = await _ok(client, "GET", "/api/v1/tenants/acme")
        reasons = {pod["reason"] for service in tenant["services"] for pod in service["pods"]}
        assert reason in reasons, kind
        assert tenant["ready"] is False
        assert (await _ok(client, "GET", "/api/v1/metrics/acme"))["ready"] is False
        assert 'ecp_sim_tenant_ready{tenant_id="acme"} 0.0' in await _ok(client, "GET", "/metrics")
        assert f'failure_type="{kind}"' in await _ok(client, "GET", "/metrics")
        await _ok(client, "DELETE", "/api/v1/failures/acme")
        await _ok(client, "POST", "/api/v1/clock/advance", {"seconds": 30})
        assert (await _ok(client, "GET", "/api/v1/metrics/acme"))["ready"] is True


async def test_a_tenant_that_was_never_ready_is_not_down(client: TestClient) -> None:
    await _ok(client, "PUT", "/api/v1/tenants/wanting", {"services": [{"name": "stt", "gpu": 9}]})
    await _ok(client, "POST", "/api/v1/clock/advance", {"to": "2026-11-02T09:00:00Z"})
    seen = await _ok(client, "GET", "/api/v1/metrics/wanting")
    assert seen["ready"] is None
    assert seen["metrics"]["error_rate"] == 0
    truth = await _ok(client, "GET", "/api/v1/truth/wanting")
    assert truth["intervals"] == []
    assert truth["since"] is None
    text = await _ok(client, "GET", "/metrics")
    assert 'ecp_sim_tenant_ready{tenant_id="wanting"}' not in text


async def test_prometheus_is_asked_for_all_that_the_simulator_tells(client: TestClient) -> None:
    """A tenant that came by kubectl or GitOps is pulled from Prometheus, and has the same metrics."""
    asked = yaml.safe_load((data_dir("rules") / "sli.yaml").read_text())["prometheus"]["metrics"]
    told = (await _ok(client, "GET", "/api/v1/metrics/acme"))["metrics"]
    assert set(asked) == set(told)
    page = await _ok(client, "GET", "/metrics")
    for name, expression in asked.items():
        (series,) = re.findall(r"ecp_sim_\w+", expression)
        assert f"{series}{{" in page, name
    assert f'ecp_sim_tenant_network_in_bytes{{tenant_id="acme"}} {told["network_in"]}' in page


async def test_history_continues_into_the_live_truth(client: TestClient) -> None:
    lines = (
        await _ok(client, "POST", "/api/v1/history", {"duration_seconds": 86_400, "end": START})
    ).splitlines()
    assert len(lines) == 1440
    assert json.loads(lines[-1])["timestamp"] == "2026-11-02T07:59:00.000000Z"
    truth = await _ok(client, "GET", "/api/v1/truth/acme")
    assert truth["since"] == "2026-11-01T08:00:00.000000Z"
    assert truth["intervals"][-1]["end"] is None
    assert len((await _ok(client, "POST", "/api/v1/history")).splitlines()) == 43_200


@pytest.mark.parametrize("route", ["types", "acme"])
async def test_failures_can_be_listed(client: TestClient, route: str) -> None:
    assert await _ok(client, "GET", f"/api/v1/failures/{route}")


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/api/v1/failures/nobody", "테넌트를 찾을 수 없습니다."),
        ("POST", "/api/v1/failures/acme", "입력값이 올바르지 않습니다. (요청에 잘못된 필드가 있습니다)"),
        ("GET", "/nowhere", "요청한 항목을 찾을 수 없습니다. (GET /nowhere: Not Found)"),
    ],
)
async def test_errors_are_korean_for_those_who_prefer_it(
    client: TestClient, method: str, path: str, said: str
) -> None:
    headers = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}
    async with client.request(method, path, json={}, headers=headers) as response:
        error = (await response.json())["error"]
    assert error["message"] == said
    assert [f["message"] for f in error["details"].get("fields", ())] == ["필수 항목입니다"] * (
        method == "POST"
    )


async def test_external_sources_are_bounded(client: TestClient) -> None:
    for number in range(16):
        body = {"tenant_id": "acme", "source": f"s{number}", "metrics": {"mos": 4}}
        await _ok(client, "POST", "/api/v1/external-metrics", body)
    body = {"tenant_id": "acme", "source": "one-more", "metrics": {"mos": 4}}
    async with client.post("/api/v1/external-metrics", json=body) as response:
        assert response.status == 422
    seen = await _ok(client, "GET", "/api/v1/metrics")
    assert len(seen["tenants"][0]["external"]) == 16


async def test_every_documented_route_answers(client: TestClient) -> None:
    document = await _ok(client, "GET", "/openapi.json")
    routes = [(method, path) for path, of in document["paths"].items() for method in of]
    for method, path in routes:
        if method == "delete":
            continue
        filled = path.replace("{tenant_id}", "acme").replace("{file}", "docs.js")
        async with client.request(method.upper(), filled, data=b"[]") as response:
            assert response.status == (200 if method == "get" else 422), (path, await response.text())
    await _ok(client, "DELETE", "/api/v1/tenants/acme")
    assert (await _ok(client, "GET", "/api/v1/metrics/system"))["used"]["cpu_millicores"] == 0
    async with client.get("/api/v1/tenants/acme", headers={"X-Request-ID": "mine"}) as response:
        assert (await response.json())["error"]["request_id"] == "mine"
