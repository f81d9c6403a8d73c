"""A small world on one controllable clock: the real database, the real simulator process, the real service.

`advance(seconds)` moves the simulator's clock and the service's clock together, one observation interval at a
time, and turns the jobs as APScheduler would.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.collectors.runner import Heartbeat
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests.processes import bound
from tests.waiting import PATIENCE

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INTERVAL = 5


class ManualClock:
    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def set(self, now: datetime) -> None:
        self._now = now


@dataclass
class Delivery:
    path: str
    headers: dict[str, str]
    body: bytes
    document: dict[str, Any]


@dataclass
class Receiver:
    """A real HTTP server that takes webhooks; `answers` holds the status codes of the next replies."""

    url: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.deliveries.append(Delivery(request.path, dict(request.headers), body, await request.json()))
        self._changed.set()
        return web.Response(status=status)

    async def wait_for(
        self, condition: Callable[[list[Delivery]], bool], seconds: float = PATIENCE
    ) -> list[Delivery]:
        async with asyncio.timeout(seconds):
            while not condition(self.deliveries):
                self._changed.clear()
                await self._changed.wait()
        return self.deliveries


class World:
    def __init__(
        self, dsn: str, folder: Path, free_port: Callable[[], int], start: datetime = START, **settings: Any
    ) -> None:
        self.dsn = dsn
        self.folder = folder
        self.start = start
        self.clock = ManualClock(start)
        self.receiver = Receiver()
        self._free_port = free_port
        self._extra = settings
        self._stack = AsyncExitStack()
        self.simulator_url = ""
        self.api = ""
        self._simulator: asyncio.subprocess.Process | None = None
        self._runner: web.AppRunner | None = None
        self.session: aiohttp.ClientSession
        self.runtime: BackendRuntime

    async def __aenter__(self) -> World:
        try:
            return await self._begin()
        except BaseException:
            await self._end()
            raise

    async def _begin(self) -> World:
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession())
        await migrate(Database(self.dsn))
        await self._start_receiver()
        self._simulator_port = self._free_port()
        self.simulator_url = f"http://127.0.0.1:{self._simulator_port}"
        await self.start_simulator()
        await self.sim("POST", "/api/v1/clock/set", {"to": self.start.isoformat()})
        await self.start_service()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        """However far it came: what is left open would fail whichever test comes next."""
        async with self._stack:
            try:
                await self.stop_service()
            finally:
                await self.kill_simulator(signal.SIGTERM)

    async def _start_receiver(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.receiver.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        port = self._free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.receiver.url = f"http://127.0.0.1:{port}/hook"

    async def start_simulator(self) -> None:
        argv = [
            sys.executable, "-m", "ecpmon", "simulator", "--port", str(self._simulator_port),
            "--state-dir", str(self.folder / "simulator"), "--manual-clock",
        ]  # fmt: skip
        log = (self.folder / "simulator.log").open("ab")
        self._simulator = await asyncio.create_subprocess_exec(*bound(argv), stdout=log, stderr=log)
        log.close()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self.session.get(f"{self.simulator_url}/health") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)

    async def kill_simulator(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._simulator and self._simulator.returncode is None:
            self._simulator.send_signal(number)
            await self._simulator.wait()

    async def start_service(self) -> None:
        settings = Settings(
            database_url=SecretStr(self.dsn),
            simulator_url=self.simulator_url,
            simulator_interval=INTERVAL,
            auth="none",
            webhook_allow_loopback=True,
            sla_webhook_url=f"{self.receiver.url}/sla",
            webhook_secret=SecretStr("0123456789abcdef0123456789abcdef"),
            work_deadline=PATIENCE,
            **self._extra,
        )
        app = await create_app(settings, self.clock, run_jobs=False)
        self._runner = Runner(app, access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        port = self._free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.api = f"http://127.0.0.1:{port}"
        self.runtime = app[RUNTIMES][0]
        await self.runtime.lease.keep()
        await self.runtime.jobs.run_all()

    async def stop_service(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def sim(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, self.simulator_url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def call(
        self, method: str, path: str, body: Any = None, status: int | None = None, **kw: Any
    ) -> Any:
        async with self.session.request(method, self.api + path, json=body, **kw) as answer:
            text = await answer.text()
            assert status is None or answer.status == status, text
            assert status is not None or answer.status < 300, text
            return await answer.json() if text else None

    async def add_tenant(self, tenant_id: str, *, deploy: bool = True, **more: Any) -> None:
        body = {
            "tenant_id": tenant_id,
            "name": tenant_id,
            "service_requirements": {"callbot": 25, "chatbot": 50},
            "sla_target": {"availability": "99.5%"},
            **more,
        }
        await self.call("POST", "/api/v1/tenants/", body, 201)
        if deploy:
            await self.call("POST", f"/api/v1/simulator/deploy/{tenant_id}", {})

    async def advance(self, seconds: float, *, tick: bool = True, pull: bool = False) -> None:
        """Time passes for everybody, `INTERVAL` seconds at a time, each followed by a pull and a tick."""
        left = seconds
        while left > 0:
            step = min(INTERVAL, left)
            left -= step
            await self.advance_clocks(step)
            if tick:
                await self.tick()
            elif pull:
                await self.pull()

    async def advance_clocks(self, seconds: float) -> None:
        await self.sim("POST", "/api/v1/clock/advance", {"seconds": seconds})
        self.clock.advance(seconds)

    async def tick(self) -> None:
        """What the jobs of one collection interval do."""
        await self.pull()
        await self.runtime.work.evaluate_alerts()

    async def pull(self) -> None:
        for runner in self.runtime.work.pulling.runners:
            await runner.run_once()
        await Heartbeat(self.runtime.writer, self.clock).run_once()
        await self.runtime.work.trigger.settled()

    async def truth(self, tenant_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.sim("GET", f"/api/v1/truth/{tenant_id}")
        return found

    async def sla(self, tenant_id: str, window: str = "1h") -> dict[str, Any]:
        document = await self.call("GET", f"/api/v1/tenants/{tenant_id}/sla?windows={window}")
        found: dict[str, Any] = document["windows"][0]
        return found
