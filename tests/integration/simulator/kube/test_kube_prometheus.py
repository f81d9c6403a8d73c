"""A real Prometheus finds every simulated pod through the Kubernetes API and scrapes it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml

from ecpmon.collectors.promql import selectors
from ecpmon.local.packages import Binaries
from ecpmon.local.ports import plan_ports
from ecpmon.local.prometheus import prepare_prometheus, prometheus_argv
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import ManifestOptions, render
from ecpmon.orchestrator.tuning import plan_of
from ecpmon.resources import data_dir
from tests.integration.simulator.kube.kube_objects import deployment, namespace
from tests.integration.simulator.sim_process import Simulator, free_port
from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

TENANTS = ("acme", "globex")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TENANT = Tenant(
    key=1, tenant_id="acme", name=None, preset="medium", is_demo=False, status=TenantStatus.PENDING,
    service_requirements={"callbot": 25}, resources=Resources(), sla_target=SlaTarget(availability="99.9%"),
    created_at=NOW, updated_at=NOW,
)  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder = tmp_path_factory.mktemp("discovered")
    running = Simulator(folder / "state", "--seed", "7", "--speed", "10").start()
    for tenant in TENANTS:
        running.deploy(tenant)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, stack_binaries: Binaries
) -> Iterator[int]:
    """The port of a Prometheus as `ecpmon up --scrape-pods` configures and starts it, which only scrapes more often."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    ports = plan_ports(simulator=simulator.port, prometheus=port, api=free_port(), alertmanager=free_port())
    prepare_prometheus(folder, ports, data_dir("rules") / "prometheus", None, scrape_pods=True)
    (discovery,) = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_config_files"]
    text = Path(discovery).read_text()
    Path(discovery).write_text(text.replace("scrape_interval: 15s", "scrape_interval: 1s"))
    checked = subprocess.run(
        [stack_binaries.promtool, "check", "config", folder / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            bound(prometheus_argv(stack_binaries, folder, port)), stdout=log, stderr=log, cwd=folder
        )
    yield port
    process.terminate()
    process.wait(timeout=PATIENCE)


def _post(simulator: Simulator, path: str, document: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{simulator.port}{path}"
    with urlopen(Request(url, json.dumps(document).encode(), headers), timeout=PATIENCE) as answer:
        assert answer.status == 201


def _query(port: int, expression: str) -> list[dict[str, Any]]:
    try:
        with urlopen(
            f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}", timeout=PATIENCE
        ) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found
    except OSError:
        return []


def _pods_of(port: int, tenant: str) -> set[str]:
    return {item["metric"]["pod"] for item in _query(port, f'up{{tenant_id="{tenant}"}} == 1')}


def test_nodes_and_kube_state_metrics_are_found_at_addresses_that_can_be_scraped(
    simulator: Simulator, prometheus: int
) -> None:
    wanted = {("cadvisor", f"node-{number}") for number in range(1, 5)}
    wanted |= {("kubelet", node) for _, node in wanted} | {("kube-state-metrics", "")}

    def healthy() -> bool:
        found = _query(prometheus, 'up{job=~"cadvisor|kubelet|kube-state-metrics"} == 1')
        return {(f["metric"]["job"], f["metric"].get("node", "")) for f in found} == wanted

    wait_until(healthy, "every exporter is scraped")
    (node,) = [f["metric"]["instance"] for f in _query(prometheus, 'up{job="kubelet",node="node-3"}')]
    assert node == "node-3"
    assert {f["metric"]["node"] for f in _query(prometheus, "kubelet_node_name")} == {
        f"node-{number}" for number in range(1, 5)
    }


def _expressions() -> list[str]:
    """Of the rules that we render, those that are about kube-state-metrics and cAdvisor: all of them."""
    (rule,) = [o for o in render(TENANT, plan_of(TENANT), ManifestOptions()) if o["kind"] == "PrometheusRule"]
    return [r["expr"] for group in rule["spec"]["groups"] for r in group["rules"]]


def test_rendered_rules_and_right_sizers_find_what_they_ask_for(
    simulator: Simulator, prometheus: int
) -> None:
    for expression in _expressions():
        for selector in selectors(expression):
            rows = lambda asked=selector.text: bool(_query(prometheus, asked))  # noqa: E731
            wait_until(rows, f"{selector.text} has series")
        bare = re.sub(r" (==|>) [0-9.]+$", "", expression)
        assert bare != expression
        wait_until(lambda bare=bare: len(_query(prometheus, bare)) == 1, f"{bare} has a value")
    inside = 'namespace="ecp-ai-acme", container="callbot"'
    cpu = f"quantile_over_time(0.95, rate(container_cpu_usage_seconds_total{{{inside}}}[10s])[30s:1s])"
    wait_until(lambda: len(_query(prometheus, cpu)) == 3, "what each pod used lately")
    # Ten simulated seconds pass in one: the counters run ten times as fast as Prometheus' clock.
    assert all(0.01 < float(row["value"][1]) < 10 for row in _query(prometheus, cpu))
    memory = _query(prometheus, f"max_over_time(container_memory_working_set_bytes{{{inside}}}[1m])")
    assert len(memory) == 3
    assert all(float(row["value"][1]) > 1024**2 for row in memory)
    both = "kube_pod_owner * on (namespace, pod) group_left kube_pod_status_phase{phase='Running'} == 1"
    assert {row["metric"]["owner_kind"] for row in _query(prometheus, both)} == {"ReplicaSet"}


def test_every_pod_is_found_labelled_scraped_and_forgotten(simulator: Simulator, prometheus: int) -> None:
    wanted = {}
    for tenant in TENANTS:
        pods = simulator.ok("GET", f"/api/v1/namespaces/ecp-ai-{tenant}/pods")["items"]
        wanted[tenant] = {pod["metadata"]["name"] for pod in pods}
        assert len(wanted[tenant]) == 3
    for tenant, names in wanted.items():
        wait_until(
            lambda tenant=tenant, names=names: _pods_of(prometheus, tenant) == names, f"{tenant}'s pods"
        )
    series = _query(prometheus, 'ecp_pod_ready{tenant_id="acme"}')
    assert {item["metric"]["namespace"] for item in series} == {"ecp-ai-acme"}
    assert {item["metric"]["service"] for item in series} == {"callbot"}
    assert all(item["metric"]["node"].startswith("node-") for item in series)
    memory = _query(prometheus, 'ecp_pod_memory_usage_bytes{tenant_id="acme"}')
    assert all(float(item["value"][1]) > 1024**2 for item in memory)
    assert len(memory) == 3
    # The watch brings what changes afterwards.
    simulator.ok("DELETE", "/api/v1/tenants/globex")
    _post(simulator, "/api/v1/namespaces", namespace("own"))
    _post(simulator, "/apis/apps/v1/namespaces/own/deployments", deployment("web", "own", replicas=2))
    wait_until(lambda: _pods_of(prometheus, "globex") == set(), "the deleted tenant's pods are forgotten")
    wait_until(lambda: len(_query(prometheus, 'up{namespace="own"} == 1')) == 2, "the new pods are found")
