"""The same with a real Alertmanager between the alert and us."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from ecpmon.local.alertmanager import alertmanager_argv, render_alertmanager_config
from ecpmon.local.packages import Binaries
from ecpmon.local.ports import PortPlan
from tests.acceptance.test_recovery import crash, recoveries, turn
from tests.acceptance.world import World
from tests.processes import bound
from tests.waiting import PATIENCE


@asynccontextmanager
async def alertmanager(binaries: Binaries, world: World, folder: Path, port: int) -> AsyncIterator[str]:
    """A real one that posts to the world's API; its URL."""
    api = int(world.api.rsplit(":", 1)[1])
    plan = PortPlan(postgres=1, simulator=2, api=api, prometheus=3, alertmanager=port)
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(render_alertmanager_config(plan))
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *bound(alertmanager_argv(binaries, folder, port)), cwd=os.fspath(binaries.prometheus_root),
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _ready(world, url):
                await asyncio.sleep(0.05)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _ready(world: World, url: str) -> bool:
    try:
        async with world.session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_an_alert_of_a_real_alertmanager_restarts_once(
    world: World, stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    await world.add_tenant("broken")
    await world.advance(60)
    await crash(world, "broken")
    await world.advance(15)
    now = world.clock.now()
    # Alertmanager's own clock is the machine's; an end after both keeps the alert firing.
    alert = {
        "labels": {"alertname": "ECPTenantDown", "severity": "critical", "tenant_id": "broken"},
        "annotations": {"summary": "broken is down"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(days=3650)).isoformat(),
    }
    async with alertmanager(stack_binaries, world, tmp_path / "alertmanager", free_port()) as url:
        for _ in range(2):
            async with world.session.post(f"{url}/api/v2/alerts", json=[alert]) as answer:
                assert answer.status == 200, await answer.text()
        async with asyncio.timeout(PATIENCE):
            while not await recoveries(world, "broken"):
                await asyncio.sleep(0.1)
    await turn(world)
    await turn(world, 300)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("recovered", "up_again", 1)
    assert len(row["fingerprint"]) == 16


async def test_a_real_alertmanager_sends_a_long_message_again_until_all_of_it_is_taken(
    world_of: Any, stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with world_of(max_alerts=25) as world:
        await world.add_tenant("chatty", deploy=False)
        now = world.clock.now()
        alerts = [
            {
                "labels": {"alertname": "Chatter", "tenant_id": "chatty", "number": f"{n}"},
                "startsAt": now.isoformat(), "endsAt": (now + timedelta(days=3650)).isoformat(),
            }
            for n in range(60)
        ]  # fmt: skip
        tenant = await world.runtime.tenants.get("chatty")
        async with alertmanager(stack_binaries, world, tmp_path / "alertmanager", free_port()) as url:
            async with world.session.post(f"{url}/api/v2/alerts", json=alerts) as answer:
                assert answer.status == 200, await answer.text()
            async with asyncio.timeout(PATIENCE):
                while len(await world.runtime.external_alerts.recent(tenant, 100)) < 60:
                    await asyncio.sleep(0.1)
            async with world.session.get(f"{url}/metrics") as answer:
                told = await answer.text()
        assert 'alertmanager_notifications_failed_total{integration="webhook",reason="clientError"} 0' in told
        recorded = await world.runtime.external_alerts.recent(tenant, 100)
        assert {a.labels["number"] for a in recorded} == {f"{n}" for n in range(60)}
        assert len(recorded) == 60
