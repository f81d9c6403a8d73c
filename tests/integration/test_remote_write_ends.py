"""A real Prometheus tells that a target is gone, and that a scrape failed: what was evidence ends as it should.

It writes a staleness marker of each series in both cases; `up` is 0 of a scrape that failed, and ends with its target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ecpmon.local.packages import Binaries
from tests.integration.serving import Serving, serving
from tests.scraped import PrometheusServer, Target
from tests.waiting import until

CONFIG = """\
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, external_labels: {{tenant_id: acme}}}}
scrape_configs:
  - {{job_name: bot, file_sd_configs: [{{files: [{folder}/bots.json], refresh_interval: 500ms}}]}}
  - {{job_name: blackbox, static_configs: [{{targets: ["127.0.0.1:{probe}"]}}]}}
remote_write:
  - url: http://127.0.0.1:{ours}/api/v1/write
    queue_config: {{batch_send_deadline: 100ms, min_backoff: 30ms, max_backoff: 200ms}}
"""
PROFILE = {"profile": "scrape", "match": {"job": "bot"}, "instances": "all", "probe": {"job": "blackbox"}}


class World:
    """Two bots and a probe, and who scrapes them."""

    def __init__(self, binaries: Binaries, folder: Path, free_port: Callable[[], int]) -> None:
        self._folder = folder
        self.ours = free_port()
        self.one, self.other = Target(free_port(), "sessions 1\n"), Target(free_port(), "sessions 2\n")
        self.probe = Target(free_port(), "probe_success 1\n")
        self.list(self.one, self.other)
        config = CONFIG.format(folder=folder, ours=self.ours, probe=self.probe.port)
        self.prometheus = PrometheusServer(binaries.prometheus, folder, free_port(), config)
        for target in self.targets:
            target.start()

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.one, self.other, self.probe

    def list(self, *bots: Target) -> None:
        """Those that there are to be scraped."""
        found = [{"targets": [_name(bot) for bot in bots]}]
        new = self._folder / "bots.new"
        new.write_text(json.dumps(found))
        new.rename(self._folder / "bots.json")

    def end(self) -> None:
        self.prometheus.kill()
        for target in self.targets:
            target.stop()


def _name(target: Target) -> str:
    return f"127.0.0.1:{target.port}"


@pytest.fixture
def world(stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[World]:
    world = World(stack_binaries, tmp_path, free_port)
    yield world
    world.end()


async def make(found: Serving, name: str = "acme") -> None:
    tenant = {"tenant_id": name, "name": "Acme", "service_requirements": {"chatbot": 10}, "sli_source": "push",
              "push_interval": 5, "evidence_profile": PROFILE}  # fmt: skip
    async with found.session.post(f"{found.url}/api/v1/tenants/", json=tenant) as answer:
        assert answer.status == 201, await answer.text()


async def becomes(found: Serving, state: str, what: str, name: str = "acme") -> None:
    async def it_is() -> bool:
        _, sla, _ = await found.get(f"/api/v1/tenants/{name}/sla")
        return bool(sla["state"] == state)

    await until(it_is, f"{what}: {state}")


async def ends(dsn: str) -> dict[str, set[str]]:
    """Which voices ended, by how."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT DISTINCT metric_name, labels FROM monitoring_data WHERE metric_name LIKE 'up\\_%'"
        )
    finally:
        await connection.close()
    found: dict[str, set[str]] = {}
    for row in rows:
        labels: dict[str, Any] = json.loads(row["labels"])
        if labels.keys() == {"service"}:
            found.setdefault(row["metric_name"], set()).add(labels["service"])
    return found


async def test_what_is_gone_is_missed_no_more_what_is_not_found_is_and_so_is_everybody_of_a_sender_that_was_killed(
    migrated_dsn: str, world: World
) -> None:
    async with serving(migrated_dsn, world.ours) as found:
        await make(found)
        world.prometheus.start()
        await becomes(found, "up", "all are there")
        world.other.stop()
        await becomes(found, "down", "one cannot be scraped")
        assert await ends(migrated_dsn) == {}
        world.list(world.one)
        await becomes(found, "up", "it is there no more")
        assert await ends(migrated_dsn) == {"up_over": {_name(world.other)}}
        world.probe.stop()
        await becomes(found, "gap", "nobody knows what the probe would say")
        probe = f"probe {_name(world.probe)}"
        assert await ends(migrated_dsn) == {"up_over": {_name(world.other)}, "up_silent": {probe}}
        world.probe.start()
        await becomes(found, "up", "it says so again")
        world.prometheus.kill()
        await becomes(found, "gap", "a sender that was killed says nothing")
        assert await ends(migrated_dsn) == {"up_over": {_name(world.other)}, "up_silent": {probe}}
