"""What a real Prometheus finds through us, and with which labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ecpmon.local.packages import Binaries
from tests.integration.api.conftest import Service
from tests.scraped import PrometheusServer, Target
from tests.waiting import until

URL = "/api/v1/sd/prometheus"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: tenants
    honor_labels: true
    http_sd_configs:
      - url: {url}
        refresh_interval: 1s
        authorization: {{credentials: {token}}}
"""


@pytest.fixture
def scraped(free_port: Callable[[], int]) -> Iterator[Target]:
    """In place of the simulator."""
    target = Target(free_port(), "")
    target.start()
    yield target
    target.stop()


@pytest.fixture
def service_settings(scraped: Target) -> dict[str, Any]:
    return {"simulator_url": f"http://127.0.0.1:{scraped.port}/below"}


async def deployed(service: Service, where: str, **services: int) -> str:
    name = await service.tenant(service_requirements=services)
    tenant = await service.runtime.tenants.get(name)
    holds, age = service.runtime.intervals.evidence(tenant.deployed(where))
    await service.runtime.tenants.set_deployed(tenant, where, "running", holds, age, service.clock.now())
    return name


async def groups(service: Service, who: str = "admin") -> dict[tuple[str, str], Any]:
    status, answer, headers = await service.ask("GET", URL, who=who)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    return {(g["labels"]["tenant_id"], g["labels"]["service"]): g for g in answer}


async def test_there_is_a_group_for_each_service_that_runs_with_the_labels_our_rules_go_by(
    service: Service, scraped: Target
) -> None:
    real, simulated = (
        await deployed(service, "kubernetes", callbot=10, chatbot=10),
        await deployed(service, "simulator", chatbot=10),
    )
    idle = await service.tenant()
    found = await groups(service)
    assert {key for key in found if key[0] in (real, simulated, idle)} == {
        (real, "callbot"), (real, "chatbot"), (simulated, "chatbot"),
    }  # fmt: skip
    assert found[real, "callbot"] == {
        "targets": [f"callbot-service.ecp-ai-{real}.svc:80"],
        "labels": {
            "tenant_id": real, "service": "callbot", "namespace": f"ecp-ai-{real}",
            "instance": f"ecp-ai-{real}/callbot", "__metrics_path__": "/metrics",
        },
    }  # fmt: skip
    labels = found[simulated, "chatbot"]["labels"]
    assert found[simulated, "chatbot"]["targets"] == [f"127.0.0.1:{scraped.port}"]
    assert (labels["__scheme__"], labels["__metrics_path__"]) == ("http", "/below/metrics")
    assert (labels["__param_tenant_id"], labels["__param_service"]) == (simulated, "chatbot")


async def test_a_caller_finds_its_own_tenants_only(service: Service) -> None:
    mine, _ = (
        await deployed(service, "kubernetes", chatbot=10),
        await deployed(service, "kubernetes", chatbot=10),
    )
    await service.token("owner", ["viewer"], [mine])
    assert {name for name, _ in await groups(service, "owner")} == {mine}
    assert await groups(service, "outsider") == {}


async def test_a_real_prometheus_reads_it_and_scrapes_with_our_labels(
    service: Service, scraped: Target, stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    name = await deployed(service, "simulator", chatbot=10)
    path = f"/below/metrics?service=chatbot&tenant_id={name}"
    scraped.pages[path] = f'ecp_sim_tenant_ready{{tenant_id="{name}"}} 1\n'
    config = CONFIG.format(url=service.url + URL, token=service.tokens["viewer"])
    prometheus = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config)
    prometheus.start()

    async def answered(query: str) -> list[dict[str, Any]]:
        async with service.session.get(f"{prometheus.url}/api/v1/query?query={quote(query)}") as answer:
            found: list[dict[str, Any]] = json.loads(await answer.text())["data"]["result"]
            return found

    async def scrapes() -> bool:
        return bool(await answered(f'ecp_sim_tenant_ready{{tenant_id="{name}"}}'))

    try:
        await until(scrapes, "it has scraped what it found")
        [up] = await answered(f'up{{tenant_id="{name}"}}')
        assert (up["value"][1], up["metric"]) == (
            "1",
            {
                "__name__": "up", "job": "tenants", "tenant_id": name, "service": "chatbot",
                "namespace": f"ecp-ai-{name}", "instance": f"ecp-ai-{name}/chatbot",
            },
        )  # fmt: skip
        [ready] = await answered(f'min by (tenant_id) (ecp_sim_tenant_ready{{tenant_id="{name}"}})')
        assert ready["metric"] == {"tenant_id": name}
    finally:
        prometheus.kill()
