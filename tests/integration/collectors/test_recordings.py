"""Each shipped profile against what real servers exposed, before and after requests whose ends their client counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.collectors.profiles import profiles
from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.local.packages import Binaries
from ecpmon.model.samples import Frame
from ecpmon.ports.profiles import Chosen, Selection
from tests.integration.collectors.test_real_prometheus import tenant
from tests.recordings.recorded import NOT_RUN, RECORDINGS, Recorded, recordings
from tests.scraped import PrometheusServer, Target
from tests.waiting import PATIENCE

EVERY = timedelta(seconds=1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
RECORDED = recordings()
JOB = """
  - job_name: "{name}"
    metrics_path: /{name}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Choices:
    """One tenant per recording."""

    async def chosen(self) -> Sequence[Chosen]:
        return [
            Chosen(
                r.name, SINCE, None,
                Selection(
                    profile=r.profile, match={"job": r.name}, parameters=dict(r.parameters), threshold=r.threshold
                ),
            )
            for r in RECORDED
        ]  # fmt: skip


@pytest.fixture
def target(free_port: Callable[[], int]) -> Iterator[Target]:
    target = Target(free_port(), "")
    target.pages = {f"/{r.name}": r.before for r in RECORDED}
    target.start()
    yield target
    target.stop()


@pytest.fixture
def prometheus(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int], target: Target
) -> Iterator[PrometheusServer]:
    config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
    config += "".join(JOB.format(name=r.name, port=target.port) for r in RECORDED)
    server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config)
    server.start()
    yield server
    server.kill()


class Reading:
    """What the collector brings of each recording, newest last."""

    def __init__(self, url: str) -> None:
        rule = PrometheusRule(availability="min by (tenant_id) (no_such_metric)")
        self._collector = PrometheusCollector(url, rule, EVERY, 20, timedelta(hours=1), profiles=Choices())
        self._watermark: datetime | None = None
        self.troubles: dict[tuple[str, str], str] = {}

    async def since(self, begin: datetime) -> dict[str, dict[str, float]]:
        """Per recording what was true a second after `begin` or later."""
        found: dict[str, dict[str, float]] = {}
        async with asyncio.timeout(PATIENCE):
            while found.keys() < {r.name for r in RECORDED}:
                await asyncio.sleep(0.5)
                try:
                    pulled = await self._collector.collect(
                        [tenant(r.name) for r in RECORDED], self._watermark, datetime.now(UTC)
                    )
                except MonitoringUnavailable:
                    continue
                self._watermark = pulled.until
                self.troubles |= pulled.troubles
                for frame in pulled.frames:
                    if frame.ts > begin + timedelta(seconds=1) and "up" in values(frame):
                        found[frame.tenant_id] = values(frame)
        return found

    def close(self) -> None:
        self._collector.close()


def values(frame: Frame) -> dict[str, float]:
    return {s.key.metric_name: s.value for s in frame.samples}


async def test_what_profiles_count_is_what_the_clients_counted(
    prometheus: PrometheusServer, target: Target
) -> None:
    reading = Reading(prometheus.url)
    before = await reading.since(datetime.now(UTC))
    target.pages = {f"/{r.name}": r.after for r in RECORDED}
    after = await reading.since(datetime.now(UTC))
    reading.close()
    assert reading.troubles == {}
    grown = {
        r.name: {n: after[r.name].get(n, 0) - before[r.name].get(n, 0) for n in r.truth} for r in RECORDED
    }
    assert grown == {r.name: r.truth for r in RECORDED}
    for r in RECORDED:
        for when, seen in (("before", before), ("after", after)):
            levels = {"up": 1.0, **r.levels.get(when, {})}
            assert {n: seen[r.name].get(n) for n in levels} == levels, (r.name, when)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda r: r.name)
def test_a_recording_tells_of_every_request_and_every_counter(recorded: Recorded) -> None:
    profile = profiles()[recorded.profile]
    assert recorded.truth.keys() <= profile.counters.keys()
    counted = {name for names in recorded.sums.values() for name in names}
    assert counted | recorded.left_out.keys() == recorded.client.keys() or recorded.levels
    assert not {"requests_total"} & recorded.sums.keys() or not (
        set(recorded.sums["requests_total"]) & recorded.left_out.keys()
    )


def test_every_profile_was_run_or_is_said_not_to_have_been() -> None:
    assert {r.profile for r in RECORDED} == profiles().keys() - NOT_RUN.keys()
    assert {path.stem for path in RECORDINGS.glob("*.prom")} == {r.name for r in RECORDED}
