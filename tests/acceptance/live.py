"""The embedded stack on real time, and what a test does with it: kill -9, ask, push and remember.

`live_stack(folder, free_port)` starts it; `LiveStack.kill(part)` kills one of PARTS; `Pusher` is an agent that
measures itself and keeps what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from ecpmon.api.sla import window_document
from ecpmon.local.ports import PortPlan
from ecpmon.local.stack import LocalStack, StackOptions
from ecpmon.local.supervisor import Message
from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.sla.terms import terms_of
from ecpmon.sla.windows import evaluate
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.tenants import PgTenantStore
from tests.acceptance.accuracy import down_intervals, pushed_down
from tests.acceptance.rows import WINDOWS, Row, row_of
from tests.waiting import PATIENCE

PARTS = ("api", "postgres", "prometheus", "simulator", "alertmanager")
MAX_ENTRIES = 400


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


class LiveStack:
    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.session = session
        self.api = stack.urls.api

    async def get(self, path: str, **query: str) -> Any:
        async with self.session.get(self.api + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def post(self, path: str, body: Any, status: int) -> Any:
        async with self.session.post(self.api + path, json=body) as answer:
            assert answer.status == status, await answer.text()
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

        await until(replaced, PATIENCE, f"{part} is started again")

    async def psql(self, sql: str) -> list[Any]:
        database = Database(self.stack.database_url, max_connections=1)
        try:
            return await database.fetch(sql)
        finally:
            await database.close()

    async def break_tenant(self, tenant_id: str, seconds: float) -> None:
        """The simulated tenant is down from now on for so long, whatever else runs. Waits for the simulator."""
        url = f"{self.stack.urls.simulator}/api/v1/failures/{tenant_id}"
        body = {"failure_type": "full_outage", "duration_seconds": seconds}

        async def taken() -> bool:
            async with self.session.post(url, json=body) as answer:
                assert answer.status < 300, await answer.text()
                return True

        await until(taken, PATIENCE, f"the simulator takes an outage of {tenant_id}")

    async def mend_tenant(self, tenant_id: str) -> None:
        """The simulated tenant's outages are over now."""
        async with self.session.delete(f"{self.stack.urls.simulator}/api/v1/failures/{tenant_id}") as answer:
            assert answer.status == 200, await answer.text()

    async def truth(self, tenant_id: str, now: datetime) -> list[Interval]:
        """When the simulated tenant was down."""
        async with self.session.get(f"{self.stack.urls.simulator}/api/v1/truth/{tenant_id}") as answer:
            assert answer.status == 200, await answer.text()
            return down_intervals(await answer.json(), now)

    async def caught_up(self, at: datetime, tenants: Iterable[str]) -> None:
        """Wait until every tenant has been observed after `at`, so that nothing before it will change."""
        wanted = set(tenants)

        async def all_seen() -> bool:
            rows = await self.psql(
                "SELECT tenant_id, last_observed_at AS last FROM availability_heads h JOIN tenants t ON t.id = h.tenant"
            )
            return wanted <= {r["tenant_id"] for r in rows if r["last"] and r["last"] > at}

        await until(all_seen, PATIENCE, "every tenant has been observed")

    async def compare(self, tenant_id: str, at: datetime, truth: list[Interval]) -> list[Row]:
        """What the service says about the windows that end at `at`, beside the truth."""
        path = f"/api/v1/tenants/{tenant_id}/sla"
        document = await self.get(path, windows=",".join(WINDOWS), at=at.isoformat())
        _, spans = await self._timeline(tenant_id, at)
        return [row_of(tenant_id, window, spans, truth, [], at) for window in document["windows"]]

    async def compare_periods(
        self, tenant_id: str, periods: Iterable[tuple[str, Interval]], truth: list[Interval]
    ) -> list[Row]:
        """The same for periods with a name each, of which the service has no window."""
        rows = []
        for name, period in periods:
            tenant, spans = await self._timeline(tenant_id, period.end)
            terms = terms_of(tenant, (), period.end)
            found = evaluate(name, spans, period.start, period.end, 0.995, None, terms)
            window = {**window_document(found), "start": period.start.isoformat()}
            rows.append(row_of(tenant_id, window, spans, truth, [], period.end))
        return rows

    async def _timeline(self, tenant_id: str, at: datetime) -> tuple[Tenant, list[Span]]:
        database = Database(self.stack.database_url, max_connections=1)
        try:
            tenant = await PgTenantStore(database).get(tenant_id)
            store = PgAvailabilityStore(database)
            return tenant, await store.timeline(tenant, at - timedelta(days=40), at, reasons=True)
        finally:
            await database.close()


@asynccontextmanager
async def live_stack(folder: Path, free_port: Callable[[], int], **environ: str) -> AsyncIterator[LiveStack]:
    """Everything that `ecpmon up` starts, on free ports; the database is private and does without fsync."""
    ports = PortPlan(*(free_port() for _ in PortPlan().roles()))
    surroundings = {**os.environ, **environ}
    surroundings.pop("ECPMON_DATABASE_URL", None)
    messages: deque[Message] = deque(maxlen=100)
    options = StackOptions(checkout=folder, environ=surroundings, ports=ports, durable=False)
    stack = LocalStack(options, emit=messages.append, progress=lambda *_: None)
    await stack.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield LiveStack(stack, session)
    finally:
        await stack.stop()


class Pusher:
    """Pushes how a tenant is, all the time. What is not acknowledged is kept and sent again."""

    def __init__(self, api: str, tenant_id: str, every: float = 0.05) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int | str] = []
        self._url = f"{api}/api/v1/tenants/{tenant_id}/monitoring"
        self._every = every
        self._changes: list[tuple[datetime, bool]] = []
        self._waiting: deque[dict[str, Any]] = deque()
        self._down = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop measuring, and send what is left."""
        assert self._task
        self._task.cancel()
        await asyncio.wait({self._task})
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            while self._waiting:
                await self._send(session)

    def turn(self, down: bool) -> None:
        """From this instant on the tenant is down, or up again."""
        self._down = down
        self._changes.append((self._measure(), down))

    def truth(self, now: datetime) -> list[Interval]:
        return pushed_down(self._changes, now)

    def _measure(self) -> datetime:
        now = datetime.now(UTC)
        metrics = {"up": 0 if self._down else 1, "cpu_usage": 50.5}
        self._waiting.append({"timestamp": now.isoformat(), "metrics": metrics})
        return now

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            while True:
                self._measure()
                await self._send(session)
                await asyncio.sleep(self._every)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        entries = list(itertools.islice(self._waiting, MAX_ENTRIES))
        try:
            async with session.post(self._url, json=entries) as answer:
                if answer.status != 202:
                    self.refused.append(answer.status)
                    return
        except (aiohttp.ClientError, TimeoutError) as error:
            self.refused.append(type(error).__name__)
            return
        for entry in entries:
            self._waiting.popleft()
            self.acknowledged.append(entry["timestamp"])
