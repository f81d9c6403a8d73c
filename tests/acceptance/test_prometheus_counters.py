"""Counters by way of a real Prometheus that scrapes the real simulator: series by series, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.samples import Frame, Sample
from tests.acceptance.world import World
from tests.processes import bound
from tests.waiting import PATIENCE

SCRAPE = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: simulator
    honor_labels: true
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture
def prometheus(
    world: World, stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[str]:
    port, config = free_port(), tmp_path / "prometheus.yml"
    config.write_text(SCRAPE.format(target=world.simulator_url.removeprefix("http://")))
    argv = [
        str(stack_binaries.prometheus), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(bound(argv), stdout=log, stderr=log)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(timeout=PATIENCE)


def counters(frame: Frame) -> list[Sample]:
    return [s for s in frame.samples if s.key.metric_name in ("requests_total", "errors_total")]


async def test_counters_come_series_by_series(world: World, prometheus: str) -> None:
    await world.add_tenant("scraped")
    await world.advance_clocks(600)
    tenant = await world.runtime.tenants.get("scraped")
    collector = PrometheusCollector(
        prometheus, load_sli_rules().prometheus, timedelta(seconds=1), 5, timedelta(hours=1)
    )
    frames: list[Frame] = []
    async with asyncio.timeout(PATIENCE):
        while not frames:
            await asyncio.sleep(0.5)
            with contextlib.suppress(MonitoringUnavailable):  # it is still starting
                collected = await collector.collect([tenant], None, datetime.now(UTC))
                frames = [f for f in collected.frames if counters(f)]
    collector.close()
    exposed = await world.sim("GET", "/api/v1/metrics/scraped")
    by_service = {(c["labels"]["service"], c["metric"]): c["value"] for c in exposed["counters"]}
    found = {(s.key.metric_name, s.key.labels): s.value for s in counters(frames[-1])}
    services = {service for service, _ in by_service}
    assert services >= {"callbot", "chatbot"}
    for service in services:
        whole = sum(
            value for (name, labels), value in found.items()
            if name == "requests_total" and ("service", service) in labels
        )  # fmt: skip
        # The clock stands still: what was scraped is what is there.
        assert whole == pytest.approx(by_service[service, "requests_total"], abs=1)
        assert found["errors_total", (("service", service),)] == by_service[service, "errors_total"]
    assert len(found) == 3 * len(services)  # two codes, and the errors
