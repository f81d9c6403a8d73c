"""What Prometheus 3 does and 2 does not: custom buckets, names in UTF-8, bounds of buckets written anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import CounterRule, PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.objectives import Objective
from ecpmon.model.samples import SeriesKey, Source
from ecpmon.sla.matching import Matches
from tests.integration.collectors.test_real_prometheus import tenant
from tests.scraped import PrometheusServer, Target
from tests.waiting import PATIENCE

pytestmark = pytest.mark.long
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: custom
    metrics_path: /custom
    convert_classic_histograms_to_nhcb: true
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{tenant_id: acme}}}}]
  - job_name: classic
    metrics_path: /classic
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{tenant_id: acme}}}}]
"""
# Nothing took between 0.25 and 1 s, so the bucket of 0.5 s is empty.
HISTOGRAM = """# TYPE {name} histogram
{name}_bucket{pod="a",le="0.1"} 4
{name}_bucket{pod="a",le="0.25"} 9
{name}_bucket{pod="a",le="0.5"} 9
{name}_bucket{pod="a",le="1"} 9
{name}_bucket{pod="a",le="200"} 10
{name}_bucket{pod="a",le="+Inf"} 12
{name}_sum{pod="a"} 700
{name}_count{pod="a"} 12
"""
UTF8 = """# TYPE "http.server.requests" counter
{"http.server.requests","k8s.pod"="a"} 7
{"http.server.requests","k8s.pod"="b"} 5
"""
RULE = PrometheusRule(
    availability="min by (tenant_id) (up)",
    counters={
        "custom": CounterRule(expression="custom_seconds", labels=("pod",), bounds=(0.25, 0.5, 0.2)),
        "unnamed": CounterRule(expression="custom_seconds", labels=("pod",)),
        "classic_bucket": CounterRule(expression="classic_seconds_bucket", labels=("pod", "le")),
        "classic_count": CounterRule(expression="classic_seconds_count", labels=("pod",)),
        "dotted": CounterRule(expression='{"http.server.requests"}', labels=("k8s.pod",)),
    },
)
WANTED = {
    ("custom_count", ()): 12, ("custom_bucket", ("0.25",)): 9, ("custom_bucket", ("0.5",)): 9,
    ("unnamed_count", ()): 12,
    ("classic_bucket", ("0.1",)): 4, ("classic_bucket", ("1.0",)): 9, ("classic_bucket", ("200.0",)): 10,
    ("classic_count", ()): 12, ("dotted", ("a",)): 7, ("dotted", ("b",)): 5,
}  # fmt: skip


def short(key: SeriesKey) -> tuple[str, tuple[str, ...]]:
    return key.metric_name, tuple(value for name, value in key.labels if name in ("le", "k8s.pod"))


@pytest.fixture
def prometheus(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[PrometheusServer]:
    target = Target(free_port(), "")
    target.pages = {
        "/custom": HISTOGRAM.replace("{name}", "custom_seconds"),
        "/classic": HISTOGRAM.replace("{name}", "classic_seconds") + UTF8,
    }
    target.start()
    config = CONFIG.format(port=target.port)
    more = ["--enable-feature=native-histograms"]
    server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config, more)
    server.start()
    yield server
    server.kill()
    target.stop()


async def test_what_three_tells_in_other_words_is_understood(prometheus: PrometheusServer) -> None:
    collector = PrometheusCollector(prometheus.url, RULE, timedelta(seconds=1), 20, timedelta(hours=1))
    watermark, troubles, detail = None, {}, set()
    found: dict[SeriesKey, float] = {}
    async with asyncio.timeout(PATIENCE):
        while not {short(key) for key in found} >= WANTED.keys():
            await asyncio.sleep(0.5)
            try:
                pulled = await collector.collect([tenant("acme")], watermark, datetime.now(UTC))
            except MonitoringUnavailable:
                continue
            watermark, troubles = pulled.until, troubles | dict(pulled.troubles)
            detail.add(pulled.detail)
            for frame in pulled.frames:
                found |= {s.key: s.value for s in frame.samples}
    collector.close()
    assert {short(k): v for k, v in found.items() if short(k) in WANTED} == WANTED
    assert detail == {None}
    assert sorted(troubles.values()) == [
        "0.2 is no bound of the native histogram; the nearest are 0.1 and 0.25",
        "a native histogram with buckets of its own: name its `bounds`; known are 0.1 and 0.25 and 1 and 200",
    ]
    known = [(Source.PROMETHEUS, k.metric_name, dict(k.labels)) for k in found]
    for name, threshold in (("custom", 250.0), ("classic", 1000.0), ("classic", 200_000.0)):
        fast = Objective.model_validate(
            {
                "name": "fast", "kind": "latency", "target": 0.9, "histogram": name, "unit": "s",
                "threshold_ms": threshold,
            }
        )  # fmt: skip
        matches = Matches(fast, Source.PROMETHEUS, known)
        assert matches.refusals() == []
        assert {role: len(series) for role, series in matches.roles.items()} == {"total": 1, "good": 1}, name
