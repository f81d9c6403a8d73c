"""Profiles of servers that were not run here, asked of a real Prometheus that has scraped what such a server exposes.

Of those that were run there are recordings (`test_recordings.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.collectors.profiles import GPU, profiles
from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.samples import Frame
from ecpmon.ports.profiles import Chosen, Selection
from tests.integration.collectors.test_real_prometheus import tenant
from tests.recordings.recorded import NOT_RUN
from tests.scraped import PrometheusServer, Target
from tests.waiting import PATIENCE

EXPOSITIONS = Path(__file__).parents[2] / "corpus" / "expositions"
EVERY = timedelta(seconds=1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
JOB = """
  - job_name: "{name}-a.b"
    metrics_path: /{name}
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{team: "x|y", more: "{name}"}}}}]
"""


def truth(name: str) -> dict[str, float]:
    text = (EXPOSITIONS / f"{name}.prom").read_text()
    [line] = re.findall(r"^# truth: (.*)$", text, re.MULTILINE)
    return {"up": 1.0, **{part.split("=")[0]: float(part.split("=")[1]) for part in line.split()}}


class Choices:
    """One tenant per profile; the GPUs are of the tenant `scrape`."""

    async def chosen(self) -> Sequence[Chosen]:
        def match(name: str) -> dict[str, str]:
            return {"job": f"{name}-a.b", "team": "x|y"}

        return [
            Chosen(
                name, SINCE, None,
                Selection(
                    profile=name, match=match(name),
                    gpu=match(GPU) if name == "scrape" else None,
                ),
            )
            for name in NOT_RUN if name != GPU
        ]  # fmt: skip


@pytest.fixture
def prometheus(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[PrometheusServer]:
    target = Target(free_port(), "")
    names = [path.stem for path in sorted(EXPOSITIONS.glob("*.prom"))]
    target.pages = {f"/{name}": (EXPOSITIONS / f"{name}.prom").read_text() for name in names}
    target.start()
    config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
    config += "".join(JOB.format(name=name, port=target.port) for name in names)
    server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config)
    server.start()
    yield server
    server.kill()
    target.stop()


def test_every_profile_that_was_not_run_has_an_exposition_with_the_truth_about_all_that_it_says() -> None:
    assert {path.stem for path in EXPOSITIONS.glob("*.prom")} == NOT_RUN.keys()
    for name in NOT_RUN:
        profile = profiles()[name]
        # A rate needs more than what one page says.
        said = profile.counters.keys() | (profile.metrics.keys() - {"mean_request_seconds"})
        assert truth(name).keys() - {"up"} == said, name


async def test_profiles_say_what_is_true_of_such_servers(prometheus: PrometheusServer) -> None:
    rule = PrometheusRule(availability="min by (tenant_id) (no_such_metric)")
    collector = PrometheusCollector(prometheus.url, rule, EVERY, 20, timedelta(hours=1), profiles=Choices())
    names = [name for name in NOT_RUN if name != GPU]
    wanted = {name: truth(name) for name in names}
    wanted["scrape"] |= {name: value for name, value in truth(GPU).items() if name != "up"}
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    watermark, detail, troubles = None, "", {}
    async with asyncio.timeout(PATIENCE):
        while any(found[name].keys() < wanted[name].keys() for name in names):
            await asyncio.sleep(0.5)
            try:
                pulled = await collector.collect(
                    [tenant(name) for name in names], watermark, datetime.now(UTC)
                )
            except MonitoringUnavailable:
                continue
            watermark, detail, troubles = (
                pulled.until,
                detail or pulled.detail or "",
                troubles | pulled.troubles,
            )
            for frame in pulled.frames:
                found[frame.tenant_id] |= values(frame)
    collector.close()
    assert detail == ""
    assert troubles == {}
    for name in names:
        shown = {metric: value for metric, value in found[name].items() if metric in wanted[name]}
        assert shown == pytest.approx(wanted[name]), name


def values(frame: Frame) -> dict[str, float]:
    """Of a counter whose series are told apart all of them together."""
    found: dict[str, float] = {}
    for s in frame.samples:
        found[s.key.metric_name] = found.get(s.key.metric_name, 0.0) + s.value
    return found
