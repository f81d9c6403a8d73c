"""A real Prometheus finds every simulated pod through the Kubernetes API and scrapes it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml
from kube_objects import deployment, namespace
from sim_process import Simulator, free_port

from ecpmon.local.packages import Binaries
from ecpmon.resources import data_dir
from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

SCRAPE = data_dir("rules") / "prometheus/scrape/kubernetes_sd.yml"
TENANTS = ("acme", "globex")


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    running = Simulator(tmp_path / "state", "--seed", "7", "--speed", "10").start()
    for tenant in TENANTS:
        running.deploy(tenant)
    yield running
    running.kill()


@pytest.fixture
def prometheus(tmp_path: Path, simulator: Simulator, stack_binaries: Binaries) -> Iterator[int]:
    """The port of a Prometheus that runs our scrape configuration, only faster."""
    text = SCRAPE.read_text().replace("127.0.0.1:6360", f"127.0.0.1:{simulator.port}")
    (tmp_path / "kubernetes_sd.yml").write_text(text.replace("scrape_interval: 15s", "scrape_interval: 1s"))
    config = {"global": {"scrape_interval": "1s"}, "scrape_config_files": ["kubernetes_sd.yml"]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    checked = subprocess.run(
        [stack_binaries.promtool, "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            bound([
                stack_binaries.prometheus,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ]),
            stdout=log, stderr=log, cwd=tmp_path,
        )  # fmt: skip
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
