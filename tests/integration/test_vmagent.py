"""A real vmagent as the sender: nothing is lost while we are ended, killed and frozen, and what ends, ends.

Its package is what `bench.servers` fetches, which the set-up of `make test` does not: so all of this is `long`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from bench import servers
from tests.integration.serving import serving
from tests.integration.test_remote_write_ends import World, becomes, ends, make
from tests.integration.test_remote_write_senders import counted, newest, through
from tests.processes import bound
from tests.scraped import Target
from tests.waiting import wait_until

pytestmark = pytest.mark.long
PAGE = 'requests_total{tenant_id="acme",code="200"} {n}\nnobodys{a="b"} 1\n'
FAILURES = ("packets_dropped_total",)


class Agent:
    """vmagent, as `tests.scraped.PrometheusServer` is used."""

    def __init__(self, folder: Path, port: int, ours: int, config: str) -> None:
        _, victoria = servers.fetch()
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        (folder / "vmagent.yml").write_text(config)
        self._argv = [
            victoria.with_name("vmagent"), f"-promscrape.config={folder / 'vmagent.yml'}", "-loggerLevel=ERROR",
            f"-remoteWrite.url=http://127.0.0.1:{ours}/api/v1/write", f"-remoteWrite.tmpDataPath={folder / 'queue'}",
            "-remoteWrite.flushInterval=200ms", "-remoteWrite.retryMinInterval=50ms",
            f"-httpListenAddr=127.0.0.1:{port}", "-promscrape.fileSDCheckInterval=1s",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "vmagent.log").open("ab") as log:
            self._process = subprocess.Popen(bound(self._argv), stdout=log, stderr=log)
        wait_until(lambda: servers.answers(int(self.url.rpartition(":")[2]), "/health"), "vmagent answers")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def target(free_port: Callable[[], int]) -> Iterator[Target]:
    target = Target(free_port(), PAGE)
    target.start()
    yield target
    target.stop()


async def counts(dsn: str) -> list[int]:
    """What is stored of the counter, which each scrape raises by one."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT metric_value FROM monitoring_data WHERE metric_name = 'requests_total' ORDER BY \"timestamp\""
        )
    finally:
        await connection.close()
    return [int(row["metric_value"]) for row in rows]


async def test_vmagent_loses_nothing_while_we_are_ended_killed_and_frozen(
    migrated_dsn: str, target: Target, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    config = "global: {scrape_interval: 500ms}\nscrape_configs:\n" + (
        f'  - {{job_name: acme, static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]}}\n'
    )
    ours = free_port()
    agent: Any = Agent(tmp_path, free_port(), ours, config)
    try:
        await through(migrated_dsn, ours, agent, frozen=3)
        found = await counts(migrated_dsn)
        assert len(found) > 10
        assert found == [*range(found[0], found[0] + len(found))]
        assert await newest(migrated_dsn) > 0
        async with aiohttp.ClientSession() as session:
            assert await counted(agent.url, session, FAILURES) == {"packets_dropped_total": 0}
    finally:
        agent.kill()


async def test_what_is_gone_is_missed_no_more_and_what_is_not_found_is(
    migrated_dsn: str, stack_binaries: Any, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    world = World(stack_binaries, tmp_path, free_port)
    config = (tmp_path / "prometheus.yml").read_text().partition("remote_write:")[0]
    config = (
        config.replace("250ms", "500ms")
        .replace("tenant_id: acme", "tenant_id: bees")
        .replace(", refresh_interval: 500ms", "")
    )
    agent = Agent(tmp_path, free_port(), world.ours, config)
    try:
        async with serving(migrated_dsn, world.ours) as found:
            await make(found, "bees")
            agent.start()
            await becomes(found, "up", "all are there", "bees")
            world.other.stop()
            await becomes(found, "down", "one cannot be scraped", "bees")
            world.list(world.one)
            await becomes(found, "up", "it is there no more", "bees")
            assert (await ends(migrated_dsn)).keys() == {"up_over"}
            world.probe.stop()
            await becomes(found, "gap", "nobody knows what the probe would say", "bees")
            assert (await ends(migrated_dsn)).keys() == {"up_over", "up_silent"}
    finally:
        agent.kill()
        world.end()
