"""Incidents beside a real Alertmanager that is asked, and a real Prometheus that is killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ecpmon.local.packages import Binaries
from tests.acceptance.test_incidents import FIVE_MINUTES, HOLDS, rows
from tests.acceptance.test_recovery import outage, recoveries, told, turn
from tests.acceptance.test_recovery_alertmanager import alertmanager
from tests.acceptance.world import World
from tests.processes import bound
from tests.waiting import until

# Alertmanager's clock is the machine's.
LATER = datetime.now(UTC) + timedelta(days=3650)


async def heard_of(world: World, tenant_id: str, number: int) -> None:
    """So many alerts were told. Not asked over HTTP: the world's clock stands still, and requests are limited by it."""
    tenant = await world.runtime.tenants.get(tenant_id)

    async def heard() -> bool:
        return len(await world.runtime.recoverer.of_tenant(tenant, 100)) == number

    await until(heard, f"{number} alerts were told")


class Asked:
    """A world whose service asks a real Alertmanager."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.world.session.request(method, f"{self.url}/api/v2/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json(content_type=None)

    async def post(self, tenant_id: str, ends_at: datetime = LATER) -> None:
        labels = {"alertname": "ECPTenantDown", "severity": "critical", "tenant_id": tenant_id}
        starts_at = self.world.clock.now().isoformat()
        await self.call(
            "POST", "alerts", [{"labels": labels, "startsAt": starts_at, "endsAt": ends_at.isoformat()}]
        )

    async def fire(self, tenant_id: str) -> None:
        """An alert fires, and has been told."""
        await self.post(tenant_id)
        await heard_of(self.world, tenant_id, 1)

    async def silence(self, tenant_id: str) -> str:
        matcher = {"name": "tenant_id", "value": tenant_id, "isRegex": False, "isEqual": True}
        now = datetime.now(UTC)
        body = {
            "matchers": [matcher], "startsAt": now.isoformat(), "endsAt": LATER.isoformat(),
            "createdBy": "kim", "comment": "known",
        }  # fmt: skip
        made = await self.call("POST", "silences", body)
        await self.until_states_are({"suppressed"})
        return str(made["silenceID"])

    async def until_states_are(self, expected: set[str]) -> None:
        async def they_are() -> bool:
            return {a["status"]["state"] for a in await self.call("GET", "alerts")} == expected

        await until(they_are, f"the states of Alertmanager's alerts are {expected}")

    def questions(self, outcome: str) -> float:
        registry = self.world.runtime.telemetry.registry
        return registry.get_sample_value("ecpmon_alertmanager_questions_total", {"outcome": outcome}) or 0


@pytest.fixture
async def asked(
    world_of: Callable[..., World], stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> AsyncIterator[Asked]:
    port = free_port()
    async with (
        world_of(alertmanager_url=f"http://127.0.0.1:{port}") as world,
        alertmanager(stack_binaries, world, tmp_path / "alertmanager", port) as url,
    ):
        await world.add_tenant("acme")
        await world.advance(60)
        yield Asked(world, url)


async def test_an_alert_that_ends_while_it_is_silenced_is_over_when_the_tenant_is_up(asked: Asked) -> None:
    world = asked.world
    await asked.fire("acme")
    await turn(world, HOLDS)
    assert await rows(world, "acme", "state", "reason") == [("doubted", "measured_up")]
    await asked.silence("acme")
    await turn(world, 60)
    assert await rows(world, "acme", "state", "reason") == [("doubted", "silenced")]
    await asked.post("acme", datetime.now(UTC))
    await asked.until_states_are(set())
    await turn(world, 60)
    assert await rows(world, "acme", "state", "reason") == [("recovered", "alert_gone")]
    tenant = await world.runtime.tenants.get("acme")
    assert [a.status for a in await world.runtime.external_alerts.recent(tenant, 9)] == ["firing"]
    assert [d.document["status"] for d in await told(world, 2)] == ["firing", "resolved"]


async def test_a_silenced_alert_does_not_act_until_the_silence_is_over(asked: Asked) -> None:
    world = asked.world
    await outage(world, "acme")
    await world.advance(15)
    await asked.fire("acme")
    silence = await asked.silence("acme")
    for _ in range(2):
        await turn(world, 60)
        assert await rows(world, "acme", "state", "reason", "tries") == [("checking", "silenced", 0)]
    await told(world, 0)
    await asked.call("DELETE", f"silence/{silence}")
    await asked.until_states_are({"active"})
    await turn(world, 60)
    assert await rows(world, "acme", "state", "tries") == [("waiting", 1)]
    # Silenced again before people would be called.
    await asked.silence("acme")
    await turn(world, FIVE_MINUTES)
    assert await rows(world, "acme", "state", "reason") == [("waiting", "silenced")]
    await told(world, 1)


async def test_it_is_asked_once_a_turn_and_only_while_something_is_due(asked: Asked) -> None:
    world = asked.world
    await world.add_tenant("beta")
    for _ in range(3):
        await turn(world, 5)
    assert (asked.questions("answered"), asked.questions("failed")) == (0, 0)
    await asked.fire("acme")
    await asked.fire("beta")
    await turn(world)
    assert (asked.questions("answered"), asked.questions("failed")) == (1, 0)
    await turn(world)
    assert asked.questions("answered") == 1


async def test_an_alertmanager_that_is_away_changes_nothing_and_is_counted(
    world_of: Callable[..., World], free_port: Callable[[], int]
) -> None:
    from tests.acceptance.test_recovery import tell

    async with world_of(alertmanager_url=f"http://127.0.0.1:{free_port()}") as world:
        await world.add_tenant("acme")
        await world.advance(60)
        await outage(world, "acme")
        await world.advance(15)
        await tell(world, "acme")
        await turn(world)
        await turn(world, FIVE_MINUTES)
        assert await rows(world, "acme", "state", "reason", "tries") == [("escalated", "still_down", 1)]
        assert Asked(world, "").questions("failed") == 2


RULES = """
groups:
  - name: tenants
    interval: 1s
    rules:
      - alert: ECPTenantDown
        expr: vector(1)
        labels: {severity: critical, tenant_id: acme}
"""
CONFIG = """
global: {{evaluation_interval: 1s}}
rule_files: ["{rules}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
"""


@asynccontextmanager
async def prometheus(
    binaries: Binaries, folder: Path, port: int, alertmanager_url: str
) -> AsyncIterator[None]:
    """A real one whose alert always fires; killed with -9 at the end."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text(RULES)
    target = alertmanager_url.removeprefix("http://")
    (folder / "prometheus.yml").write_text(CONFIG.format(rules=folder / "rules.yml", alertmanager=target))
    argv = [
        os.fspath(binaries.prometheus), f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*bound(argv), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.long
async def test_prometheus_and_alertmanager_started_anew_restart_nothing_again(
    world_of: Callable[..., World], stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The same firing comes with a new start: Prometheus was killed, and Alertmanager had the old one in memory."""
    ports = free_port(), free_port()
    url = f"http://127.0.0.1:{ports[0]}"
    async with world_of(alertmanager_url=url) as world:
        await world.add_tenant("acme")
        await world.advance(60)
        await outage(world, "acme")
        await world.advance(15)

        for number, folder in enumerate(("first", "second"), 1):
            async with (
                alertmanager(stack_binaries, world, tmp_path / folder, ports[0]),
                prometheus(stack_binaries, tmp_path / "prometheus", ports[1], url),
            ):
                await heard_of(world, "acme", number)
            await turn(world)
            await turn(world, FIVE_MINUTES)
            assert (await rows(world, "acme", "state", "reason", "tries"))[0] == (
                "escalated",
                "still_down",
                1,
            )
        found = await recoveries(world, "acme")
        assert len({r["fingerprint"] for r in found}) == 1
        assert len({r["alert_starts_at"] for r in found}) == 2
        assert await rows(world, "acme", "state") == [("escalated",), ("joined",)]
        await told(world, 2)
