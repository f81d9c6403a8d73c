"""The whole stack as processes; each is killed with -9 in turn. Nothing acknowledged is lost, blind time is a gap."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecpmon.app.demo import TENANTS, ensure_demo_tenants
from ecpmon.local.ports import PortPlan
from ecpmon.local.stack import LocalStack, StackOptions
from ecpmon.local.supervisor import Message

PUSHED = {
    "tenant_id": "pusher",
    "name": "Pushes its own measurements",
    "service_requirements": {"chatbot": 10},
    "push_interval": 2,
}


class Pusher:
    """Pushes all the time and remembers what was acknowledged."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.acknowledged: list[str] = []
        self.refused: list[int | str] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        assert self._task
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            while True:
                stamp = datetime.now(UTC).isoformat()
                body = {"timestamp": stamp, "metrics": {"up": 1, "cpu_usage": 50.5}}
                try:
                    async with session.post(
                        f"{self.api}/api/v1/tenants/pusher/monitoring", json=body
                    ) as answer:
                        if answer.status == 202:
                            self.acknowledged.append(stamp)
                        else:
                            self.refused.append(answer.status)
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.refused.append(type(error).__name__)
                await asyncio.sleep(0.05)


async def until(check: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Poll `check` until it holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if await check():
                return
        except (aiohttp.ClientError, TimeoutError):
            pass
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.1)


class Running:
    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.session = session
        self.api = stack.urls.api

    async def get(self, path: str) -> Any:
        async with self.session.get(self.api + path) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def ready(self) -> bool:
        async with self.session.get(f"{self.api}/ready") as answer:
            return answer.status == 200

    async def states(self) -> dict[str, str]:
        return {t["tenant_id"]: t["state"] for t in (await self.get("/api/v1/sla/summary"))["tenants"]}

    async def all_up(self) -> bool:
        return set((await self.states()).values()) == {"up"}

    async def kill(self, part: str) -> None:
        """kill -9, and wait until the supervisor has started it again."""
        before = self.stack.pid(part)
        assert before
        os.kill(before, signal.SIGKILL)

        async def replaced() -> bool:
            now = self.stack.pid(part)
            return now is not None and now != before

        await until(replaced, 20, f"{part} is started again")

    async def psql(self, sql: str) -> list[Any]:
        from ecpmon.storage.database import Database

        database = Database(self.stack.database_url, max_connections=1)
        try:
            return await database.fetch(sql)
        finally:
            await database.close()


@pytest.fixture
async def running(shared_tmp: Path, free_port: Callable[[], int]) -> AsyncIterator[Running]:
    ports = PortPlan(free_port(), free_port(), free_port(), free_port(), free_port())
    environ = {**os.environ, "ECPMON_SIMULATOR_INTERVAL": "1", "ECPMON_PROMETHEUS_INTERVAL": "5"}
    environ.pop("ECPMON_DATABASE_URL", None)
    messages: deque[Message] = deque(maxlen=100)
    options = StackOptions(checkout=shared_tmp, environ=environ, ports=ports, durable=False)
    stack = LocalStack(options, emit=messages.append, progress=lambda *_: None)
    await stack.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield Running(stack, session)
    finally:
        await stack.stop()


@pytest.mark.timeout(240)
async def test_every_part_is_killed_in_turn(running: Running) -> None:
    await ensure_demo_tenants(running.api, lambda _: None)
    async with running.session.post(f"{running.api}/api/v1/tenants/", json=PUSHED) as answer:
        assert answer.status == 201
    by_prometheus = {**PUSHED, "tenant_id": "scraped", "sli_source": "prometheus"}
    async with running.session.post(f"{running.api}/api/v1/tenants/", json=by_prometheus) as answer:
        assert answer.status == 201
    async with running.session.post(f"{running.api}/api/v1/simulator/deploy/scraped", json={}) as answer:
        assert answer.status == 200
    pusher = Pusher(running.api)
    pusher.start()
    await until(running.all_up, 40, "every tenant is up")
    began = datetime.now(UTC)

    # Prometheus was killed in between as well, so this also shows that it resumed.
    for part in ("api", "postgres", "prometheus", "simulator", "alertmanager"):
        await running.kill(part)
        await until(running.ready, 30, f"ready after {part} was killed")
        await until(running.all_up, 30, f"every tenant is up again after {part} was killed")
        acknowledged = len(pusher.acknowledged)

        async def pushed_more(seen: int = acknowledged) -> bool:
            return len(pusher.acknowledged) > seen + 5

        await until(pushed_more, 20, f"pushes are taken again after {part} was killed")

    await the_circle_through_alertmanager_is_closed(running)
    await pusher.stop()
    await nothing_acknowledged_is_missing(running, pusher)
    await blind_time_is_a_gap_with_its_reason(running, began)


async def the_circle_through_alertmanager_is_closed(running: Running) -> None:
    """Simulator → Prometheus → Alertmanager → our webhook → the tenant's socket."""
    name = str(TENANTS[0]["tenant_id"])
    async with running.session.ws_connect(f"{running.api}/ws/alerts/{name}") as socket:
        for status in ("firing", "resolved"):
            if status == "firing":
                body = {"failure_type": "full_outage", "duration_seconds": 20.0}
                url = f"{running.api}/api/v1/simulator/failures/{name}/trigger"
                async with running.session.post(url, json=body) as answer:
                    assert answer.status == 202
            async with asyncio.timeout(90):
                message: dict[str, Any] = {}
                while (message.get("type"), message.get("status")) != ("alertmanager", status):
                    message = await socket.receive_json()
            assert "is down" in message["message"]


async def nothing_acknowledged_is_missing(running: Running, pusher: Pusher) -> None:
    rows = await running.psql(
        "SELECT timestamp FROM monitoring_data WHERE tenant_id = 'pusher' AND metric_name = 'cpu_usage'"
    )
    stored = {r["timestamp"] for r in rows}
    missing = [s for s in pusher.acknowledged if datetime.fromisoformat(s) not in stored]
    assert len(pusher.acknowledged) > 100
    assert not missing
    # Deaths were noticed: some pushes were refused, none of them silently.
    assert pusher.refused


async def blind_time_is_a_gap_with_its_reason(running: Running, began: datetime) -> None:
    rows = await running.psql(
        "SELECT t.tenant_id, s.state, s.reason, lower(s.period) AS at, upper(s.period) - lower(s.period) AS lasting"
        " FROM availability_spans s JOIN tenants t ON t.id = s.tenant ORDER BY 4"
    )
    demo = {str(t["tenant_id"]) for t in TENANTS}
    gaps = [r for r in rows if r["state"] == "gap"]
    down = [(r["tenant_id"], r["at"]) for r in rows if r["state"] == "down" and r["at"] > began]
    assert [name for name, _ in down] == [str(TENANTS[0]["tenant_id"])], "being blind is not being down"
    assert all(r["reason"] for r in gaps)
    assert all(r["lasting"] < timedelta(seconds=60) for r in gaps)
    # Whatever gaps the simulated tenants have, they start after a kill and both tenants have the same ones.
    by_tenant = {name: [r["reason"] for r in gaps if r["tenant_id"] == name] for name in demo}
    assert len({tuple(v) for v in by_tenant.values()}) == 1
