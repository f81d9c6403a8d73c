"""Native histograms of a real Prometheus: read, counted, and refused at thresholds that are no bounds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import CounterRule, PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.objectives import Objective
from ecpmon.model.samples import SeriesKey, Source
from ecpmon.sla.matching import Matches
from tests.integration.collectors.test_real_prometheus import tenant
from tests.protobuf_exposition import CONTENT_TYPE, family
from tests.scraped import PrometheusServer
from tests.waiting import PATIENCE

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: native
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{tenant_id: acme}}}}]
"""
# What was waited for, in seconds: by pod.
FIRST = {"a": [0.01, 0.1, 0.2, 0.25, 0.26, 0.9], "b": [0.02, 3.0]}
THEN = {"a": [*FIRST["a"], 0.03, 0.24, 0.6], "b": [*FIRST["b"], 0.21]}


class Exporter:
    def __init__(self, port: int) -> None:
        self.body = b""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(exporter.body)))
                self.end_headers()
                self.wfile.write(exporter.body)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def observed(self, seen: dict[str, list[float]]) -> None:
        series = {(("pod", pod),): values for pod, values in seen.items()}
        self.body = family("waits_seconds", series, schema=3)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def exporter(free_port: Callable[[], int]) -> Iterator[tuple[int, Exporter]]:
    port = free_port()
    exporter = Exporter(port)
    exporter.observed(FIRST)
    yield port, exporter
    exporter.stop()


@pytest.fixture
def prometheus(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int], exporter: tuple[int, Exporter]
) -> Iterator[PrometheusServer]:
    config = CONFIG.format(port=exporter[0])
    more = ["--enable-feature=native-histograms"]
    server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config, more)
    server.start()
    yield server
    server.kill()


def counted(seen: dict[str, list[float]], bounds: tuple[float, ...]) -> dict[SeriesKey, float]:
    found: dict[SeriesKey, float] = {}
    for pod, values in seen.items():
        found[SeriesKey("custom", "waits_count", (("pod", pod),))] = len(values)
        for bound in bounds:
            labels = (("le", f"{bound:g}"), ("pod", pod))
            found[SeriesKey("custom", "waits_bucket", labels)] = sum(v <= bound for v in values)
    return found


async def test_native_histograms_count_what_was_observed_and_only_at_bounds(
    prometheus: PrometheusServer, exporter: tuple[int, Exporter]
) -> None:
    rule = PrometheusRule(
        availability="min by (tenant_id) (up)",
        counters={
            "waits": CounterRule(expression="waits_seconds", labels=("pod",), bounds=(0.25, 0.5, 0.2)),
        },
    )
    collector = PrometheusCollector(prometheus.url, rule, timedelta(seconds=1), 20, timedelta(hours=1))
    watermark, troubles = None, {}
    found: dict[SeriesKey, float] = {}
    for seen in (FIRST, THEN):
        exporter[1].observed(seen)
        wanted = counted(seen, (0.25, 0.5))
        async with asyncio.timeout(PATIENCE):
            while {key: value for key, value in found.items() if key in wanted} != wanted:
                await asyncio.sleep(0.5)
                try:
                    pulled = await collector.collect([tenant("acme")], watermark, datetime.now(UTC))
                except MonitoringUnavailable:
                    continue
                watermark, troubles = pulled.until, troubles | dict(pulled.troubles)
                for frame in pulled.frames:
                    found |= {s.key: s.value for s in frame.samples}
    collector.close()
    assert {k for k in found if k.metric_name.startswith("waits")} == set(wanted)
    [why] = troubles.values()
    # 2 ** (-19 / 8) and 2 ** (-18 / 8)
    assert why.startswith("0.2 is no bound of the native histogram; the nearest are 0.19277")
    assert "and 0.21022" in why

    # An objective finds them as it finds classic buckets.
    known = [(Source.PROMETHEUS, k.metric_name, dict(k.labels)) for k in found]
    fast = {"name": "fast", "kind": "latency", "target": 0.9, "histogram": "waits", "unit": "s"}
    good = Matches(Objective.model_validate({**fast, "threshold_ms": 250.0}), Source.PROMETHEUS, known)
    assert good.refusals() == []
    assert {role: len(series) for role, series in good.roles.items()} == {"total": 2, "good": 2}
    off = Matches(Objective.model_validate({**fast, "threshold_ms": 300.0}), Source.PROMETHEUS, known)
    assert off.refusals() == [
        ("threshold_ms", "is no bound of the histogram; the nearest are 250 and 500 (ms)")
    ]
