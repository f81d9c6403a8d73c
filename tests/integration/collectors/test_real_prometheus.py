"""A real Prometheus: what it repeats from memory, replaces or cuts off is not stored as if somebody had measured it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import PrometheusRule, load_sli_rules
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.samples import Frame
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from tests.scraped import PrometheusServer, Target
from tests.waiting import PATIENCE

EVERY = timedelta(seconds=1)
# As a user may have set it.
LOOKBACK = "--query.lookback-delta=10m"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: acme
    honor_labels: {honor}
    {more}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
# Each number is exposed by one scrape and never again.
EXPOSED = """
ecp_sim_tenant_ready{tenant_id="acme"} 1AT
ecp_sim_service_ready{tenant_id="acme",service="bot"} 1AT
ecp_sim_tenant_cpu_usage{tenant_id="acme"} {n}AT
ecp_sim_service_sessions{tenant_id="acme",service="bot"} {n}AT
ecp_sim_requests_total{tenant_id="acme",service="bot",code="200"} {n}AT
"""
NUMBERED = ("cpu_usage", "service_sessions", "requests_total")


def tenant(name: str) -> Tenant:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Tenant(
        key=1, tenant_id=name, name=None, preset="micro", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(), created_at=start, updated_at=start,
    )  # fmt: skip


class Pulling:
    """Pulls as the runner does; `frames`: all there were."""

    def __init__(self, url: str, rule: PrometheusRule) -> None:
        self.collector = PrometheusCollector(url, rule, EVERY, 10, timedelta(hours=1))
        self.frames: list[Frame] = []
        self.troubles: dict[tuple[str, str], str] = {}
        self.detail: str | None = None
        self.watermark: datetime | None = None

    async def turn(self) -> list[Frame]:
        try:
            found = await self.collector.collect([tenant("acme")], self.watermark, datetime.now(UTC))
        except MonitoringUnavailable:
            return []
        self.watermark = found.until
        self.troubles.update(found.troubles)
        self.detail = found.detail or self.detail
        self.frames += found.frames
        return list(found.frames)

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not check():
                await self.turn()
                await asyncio.sleep(0.5)

    async def for_seconds(self, seconds: float) -> None:
        """Time has to pass in Prometheus, whose clock is the real one."""
        end = time.monotonic() + seconds
        await self.until(lambda: time.monotonic() > end)

    def values(self, metric: str) -> dict[datetime, float]:
        return {f.ts: s.value for f in self.frames for s in f.samples if s.key.metric_name == metric}

    def up(self) -> list[float]:
        return [value for _, value in sorted(self.values("up").items())]


@pytest.fixture
def target(free_port: Callable[[], int]) -> Iterator[Target]:
    target = Target(free_port(), EXPOSED)
    target.start()
    yield target
    target.stop()


Serve = Callable[..., PrometheusServer]


@pytest.fixture
def serve(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int], target: Target
) -> Iterator[Serve]:
    """`serve(honor="true", more="sample_limit: 3")` is a running Prometheus that scrapes the target."""
    started: list[PrometheusServer] = []

    def start(*flags: str, honor: str = "true", more: str = "") -> PrometheusServer:
        config = CONFIG.format(port=target.port, honor=honor, more=more)
        server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config, flags)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


def nothing_is_twice(pulling: Pulling) -> None:
    """Each scrape's numbers are stored once: nobody has measured them at another instant."""
    for metric in NUMBERED:
        values = pulling.values(metric)
        assert values
        assert max(Counter(values.values()).values()) == 1, metric


@pytest.mark.parametrize(
    "own_times", [False, True], ids=["staleness markers", "no markers, as own times have none"]
)
async def test_of_a_target_that_died_nothing_is_stored_after_its_last_scrape(
    target: Target, serve: Serve, own_times: bool
) -> None:
    target.text = EXPOSED.replace("AT", " {ms}" if own_times else "")
    pulling = Pulling(serve(LOOKBACK).url, load_sli_rules().prometheus)
    await pulling.until(lambda: len(pulling.values("cpu_usage")) >= 4)
    target.stop()
    died = time.time()
    await pulling.for_seconds(6)
    pulling.collector.close()
    nothing_is_twice(pulling)
    assert max(f.ts.timestamp() for f in pulling.frames) < died + 0.01
    assert all(any(abs(f.ts.timestamp() - at) < 0.5 for at in target.scrapes) for f in pulling.frames)
    assert pulling.troubles == {}


async def test_of_the_time_in_which_prometheus_was_dead_nothing_is_stored(
    target: Target, serve: Serve
) -> None:
    target.text = EXPOSED.replace("AT", "")
    server = serve(LOOKBACK)
    pulling = Pulling(server.url, load_sli_rules().prometheus)
    await pulling.until(lambda: len(pulling.values("cpu_usage")) >= 3)
    server.kill()
    died = time.time()
    await pulling.for_seconds(6)
    before = len(target.scrapes)
    began = time.time()
    server.start()
    await pulling.until(lambda: len(target.scrapes) >= before + 4)
    await pulling.for_seconds(2)
    pulling.collector.close()
    nothing_is_twice(pulling)
    assert [f.ts for f in pulling.frames if died < f.ts.timestamp() < began] == []
    assert any(f.ts.timestamp() > began for f in pulling.frames)


# What the profiles have for evidence from scrapes (docs/evidence.md).
SCRAPED = PrometheusRule(
    tenant_label="job",
    availability='min by (job) (up{job="acme"} == 1 or 0 * (scrape_samples_scraped{job="acme"} == 0))',
    metrics={"plain_up": 'min by (job) (up{job="acme"})'},
)


async def test_a_targets_own_up_is_not_believed(target: Target, serve: Serve) -> None:
    target.text = "up 0\nother {n}\n"
    pulling = Pulling(serve(LOOKBACK, honor="false").url, SCRAPED)
    await pulling.until(lambda: len(pulling.values("plain_up")) >= 4)
    # It replaces Prometheus' own; the target is there all the same, and nothing says that it is down.
    assert set(pulling.values("plain_up").values()) == {0.0}
    assert pulling.up() == []
    target.text = "up 1\nother {n}\n"
    await pulling.until(lambda: pulling.up()[-3:] == [1, 1, 1])
    target.stop()
    await pulling.until(lambda: 0.0 in pulling.up())
    pulling.collector.close()
    ups = pulling.up()
    assert ups == sorted(ups, reverse=True)


async def test_a_target_past_its_sample_limit_is_not_down(target: Target, serve: Serve) -> None:
    target.text = "".join(f'many{{n="{n}"}} 1\n' for n in range(20))
    pulling = Pulling(serve(LOOKBACK, honor="false", more="sample_limit: 10").url, SCRAPED)
    await pulling.until(lambda: len(pulling.values("plain_up")) >= 6)
    pulling.collector.close()
    assert 0.0 in pulling.values("plain_up").values()
    assert 0.0 not in pulling.up()


async def test_a_target_that_answers_with_something_else_is_down(target: Target, serve: Serve) -> None:
    target.text = "other {n}\n"
    pulling = Pulling(serve(LOOKBACK, honor="false").url, SCRAPED)
    await pulling.until(lambda: 1.0 in pulling.up())
    target.text = "<html>Bad gateway</html>\n"
    await pulling.until(lambda: pulling.up()[-2:] == [0, 0])
    pulling.collector.close()


async def test_two_series_of_one_tenant_and_a_bad_expression_cost_nobody_else(
    target: Target, serve: Serve
) -> None:
    target.text = (
        'ready{tenant_id="acme",pod="a"} 1\nready{tenant_id="acme",pod="b"} 1\n'
        'cpu{tenant_id="acme",pod="a"} 1\ncpu{tenant_id="acme",pod="b"} 2\n'
        'served_total{tenant_id="acme",pod="a",code="200"} 1\nserved_total{tenant_id="acme",pod="b",code="200"} 2\n'
    )
    rule = PrometheusRule.model_validate({
        "availability": "ready",
        "metrics": {
            "cpu_usage": "cpu", "sum": "sum by (tenant_id) (cpu)",
            "broken": "cpu * on (tenant_id) ready", "unknown": "no_such_function(cpu)",
        },
        "counters": {"requests_total": {"expression": "served_total", "labels": ["code"]}},
    })  # fmt: skip
    pulling = Pulling(serve(LOOKBACK).url, rule)
    await pulling.until(lambda: len(pulling.up()) >= 3 and len(pulling.values("sum")) >= 3)
    pulling.collector.close()
    assert set(pulling.up()) == {1.0}
    assert set(pulling.values("sum").values()) == {3.0}
    assert pulling.values("cpu_usage") == pulling.values("requests_total") == {}
    assert set(pulling.troubles) == {("acme", "metric cpu_usage"), ("acme", "counter requests_total")}
    assert "metric broken: execution" in (pulling.detail or "")
    assert "metric unknown: bad_data" in (pulling.detail or "")
