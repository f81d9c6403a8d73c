"""The shipped alerts on tenants: what promtool says of them, and a real Prometheus over our own `/metrics`."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from ecpmon.local.packages import Binaries
from ecpmon.resources import data_dir
from tests.integration.serving import Serving, serving
from tests.scraped import PrometheusServer
from tests.waiting import PATIENCE, until

RULES = data_dir("rules") / "prometheus" / "tenants.yml"
UP, CPU, SIM_CPU = "ecp_tenant_up", "ecp_tenant_cpu_usage", "ecp_sim_tenant_cpu_usage"
READY = "ecp_sim_tenant_ready"
# Of the source documents, as it is written there.
SUCCESS = 'rate(ecp_tenant_requests_total{status="success"}[5m]) / rate(ecp_tenant_requests_total[5m]) * 100'
# The same by tenant, as it is meant.
SUCCESS_OF_TENANTS = (
    'sum by (tenant_id) (rate(ecp_tenant_requests_total{status="success"}[5m]))'
    " / sum by (tenant_id) (rate(ecp_tenant_requests_total[5m])) * 100"
)
CONFIG = """
global: {{scrape_interval: 5s, scrape_timeout: 5s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs: [{{job_name: ecpmon, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


def series(name: str, tenant: str, values: str, **labels: str) -> dict[str, str]:
    told = ",".join(f'{k}="{v}"' for k, v in {**labels, "tenant_id": tenant}.items())
    return {"series": f"{name}{{{told}}}", "values": values}


# Every 5 s; `at`: seconds at which the alert of the tenant `t` stands or does not.
CASES: dict[str, tuple[str, list[dict[str, str]], dict[int, bool]]] = {
    "a pushing tenant at 95 % fires after 5 min, not before, and is over when it is silent": (
        "ECPHighCPUUsage",
        [series(CPU, "t", "95x80 _x20")],
        {295: False, 300: True, 400: True, 405 + 300: False},
    ),
    "at 80 % nothing is high": ("ECPHighCPUUsage", [series(CPU, "t", "80x100")], {400: False}),
    "two machines that say alike are one tenant": (
        "ECPHighCPUUsage",
        [series(CPU, "t", "95x100", instance="a"), series(CPU, "t", "95x100", instance="b")],
        {295: False, 300: True},
    ),
    "what ecpmon says of a tenant comes before what its simulated pods say": (
        "ECPHighCPUUsage",
        [series(CPU, "t", "20x100"), series(SIM_CPU, "t", "95x100")],
        {400: False},
    ),
    "while ecpmon is away the simulator's word is all there is": (
        "ECPHighCPUUsage",
        [series(SIM_CPU, "t", "95x100")],
        {300: True},
    ),
    "a pushing tenant that is down for 10 s": (
        "ECPTenantDown",
        [series(UP, "t", "1x9 0x9 1x20")],
        {45: False, 55: False, 60: True, 95: True, 100: False},
    ),
    "half of a tenant is down": ("ECPTenantDown", [series(UP, "t", "0.5x20")], {10: True}),
    "of whom nobody knows whether it is up, nothing is told": (
        "ECPTenantDown",
        [series(UP, "t", "1x9 _x20"), series(UP, "other", "1x40")],
        {100: False, 140: False},
    ),
    "evidence says that it is up, whatever its pods do": (
        "ECPTenantDown",
        [series(UP, "t", "1x20"), series(READY, "t", "0x20")],
        {90: False},
    ),
    "while ecpmon is away its pods are what there is": (
        "ECPTenantDown",
        [series(READY, "t", "0x20")],
        {5: False, 10: True},
    ),
}


def expected(alert: str, value: float) -> dict[str, Any]:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    rule = next(r for r in rules if r["alert"] == alert)
    shown = {"{{ $labels.tenant_id }}": "t", "{{ $value }}": f"{value:g}"}
    annotations = dict(rule["annotations"])
    for name, text in annotations.items():
        for placeholder, instead in shown.items():
            text = text.replace(placeholder, instead)
        annotations[name] = text
    return {"exp_labels": {**rule["labels"], "tenant_id": "t"}, "exp_annotations": annotations}


@pytest.mark.parametrize("sentence", CASES)
def test_promtool_agrees_with_what_the_shipped_alerts_are_for(
    sentence: str, stack_binaries: Binaries, tmp_path: Path
) -> None:
    alert, told, stands = CASES[sentence]
    checks = [
        {"eval_time": f"{at}s", "alertname": alert, "exp_alerts": [expected(alert, 95)] if on else []}
        for at, on in stands.items()
    ]
    test = {"interval": "5s", "input_series": told, "alert_rule_test": checks}
    (tmp_path / "tenants.yml").write_text(RULES.read_text())
    document = {"rule_files": ["tenants.yml"], "evaluation_interval": "5s", "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    argv = [str(stack_binaries.promtool), "test", "rules", "test.yml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def asked(session: aiohttp.ClientSession, url: str, what: str) -> Any:
    async with session.get(f"{url}/api/v1/{what}") as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["data"]


async def values(found: Serving, url: str, query: str) -> dict[tuple[str, str], float]:
    """(tenant, status) -> value."""
    data = await asked(found.session, url, f"query?query={quote(query)}")
    return {
        (r["metric"].get("tenant_id", ""), r["metric"].get("status", "")): float(r["value"][1])
        for r in data["result"]
    }


async def push(found: Serving, tenant: str, *, status: int = 202, **metrics: Any) -> None:
    url = f"{found.url}/api/v1/tenants/{tenant}/monitoring"
    async with found.session.post(url, json={"metrics": metrics}) as answer:
        assert answer.status == status, await answer.text()


async def pushing(found: Serving) -> None:
    """Two tenants that nobody simulates; one of what either sends every second is refused."""
    while True:
        await push(found, "busy", cpu_usage=95, up=1)
        await push(found, "broken", cpu_usage=10, up=0)
        await push(found, "broken", status=422)
        await asyncio.sleep(1)


async def test_a_real_prometheus_over_our_metrics_alerts_about_who_only_pushes(
    stack_binaries: Binaries, make_migrated: Callable[[], str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    async with serving(make_migrated(), free_port(), ECPMON_METRICS_MAX_AGE="0") as found:
        for name in ("busy", "broken"):
            body = {
                "tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}, "push_interval": 5,
            }  # fmt: skip
            async with found.session.post(f"{found.url}/api/v1/tenants/", json=body) as answer:
                assert answer.status == 201, await answer.text()
        config = CONFIG.format(rules=RULES, port=found.url.rsplit(":", 1)[1])
        server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config)
        sender = asyncio.create_task(pushing(found))
        server.start()
        try:

            async def alerts() -> set[tuple[str, str, str]]:
                data = await asked(found.session, server.url, "alerts")
                return {
                    (a["labels"]["alertname"], a["labels"]["tenant_id"], a["state"]) for a in data["alerts"]
                }

            async def told() -> bool:
                return await alerts() == {
                    ("ECPHighCPUUsage", "busy", "pending"), ("ECPTenantDown", "broken", "firing"),
                }  # fmt: skip

            await until(told, "one waits for its 5 minutes, one is down")

            async def counted() -> bool:
                return {("busy", ""), ("broken", "")} <= (
                    await values(found, server.url, SUCCESS_OF_TENANTS)
                ).keys()

            await until(counted, "requests have a rate")
            rates = await values(found, server.url, SUCCESS_OF_TENANTS)
            assert rates["busy", ""] == 100
            assert 30 < rates["broken", ""] < 70
            # As it is written it holds each series against itself.
            as_written = await values(found, server.url, SUCCESS)
            assert as_written["broken", "success"] == 100

            sender.cancel()

            async def silent() -> bool:
                return ("busy", "") not in await values(found, server.url, CPU)

            await until(silent, "who says nothing more has no usage")
            await until(lambda: nobody(alerts), "and no alert")
        finally:
            sender.cancel()
            server.kill()


async def nobody(alerts: Callable[[], Any]) -> bool:
    return not await alerts()
