"""The disk of the database is full, or the database read-only: nothing is lost, everybody is told so, it heals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.local.packages import Binaries
from ecpmon.settings import Settings
from ecpmon.storage import writability
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests.acceptance.world import ManualClock
from tests.conftest import PostgresServer
from tests.integration.api.conftest import NOW, Service
from tests.integration.api.full_disk import Disk, may_mount, mounted, redirected
from tests.waiting import until

KINDS = ["a table", "a file system"] if may_mount() else ["a table"]


@pytest.fixture
def told_by_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness does not remember refusals: the probe alone says how it is, each time."""
    monkeypatch.setattr(writability, "HOLD_SECONDS", 0)
    monkeypatch.setattr(writability, "PROBE_SECONDS", 0)


@pytest.fixture(params=KINDS)
def disk(
    request: pytest.FixtureRequest,
    stack_binaries: Binaries,
    shared_tmp: Path,
    free_port: Callable[[], int],
    postgres_server: PostgresServer,
    make_database: Callable[[], str],
) -> Iterator[Disk]:
    if request.param == "a file system":
        request.getfixturevalue("told_by_the_probe")
        with mounted(stack_binaries, shared_tmp, free_port()) as found:
            yield found
    else:
        with redirected(postgres_server, make_database) as found:
            yield found


@pytest.fixture
async def served(disk: Disk, free_port: Callable[[], int]) -> AsyncIterator[Service]:
    """The service on that disk, without tokens."""
    async with serve(disk.dsn, free_port()) as service:
        yield service


@asynccontextmanager
async def serve(dsn: str, port: int) -> AsyncIterator[Service]:
    await migrate(Database(dsn))
    settings = Settings(database_url=SecretStr(dsn), auth="none", webhook_secret=SecretStr("x" * 32))
    clock = ManualClock(NOW)
    app = await create_app(settings, clock, run_jobs=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with aiohttp.ClientSession() as session:
            yield Service(f"http://127.0.0.1:{port}", session, app[RUNTIMES][0], clock, app, {"admin": "-"})
    finally:
        await runner.cleanup()


class Agent:
    """Pushes 200 samples at a time, each at a time of its own, and keeps what was acknowledged."""

    def __init__(self, service: Service, tenant: str) -> None:
        self._service = service
        self._path = f"/api/v1/tenants/{tenant}/monitoring"
        self._sent = 0
        self.acknowledged: set[float] = set()

    async def push(self) -> tuple[int, Any, Any]:
        numbers = range(self._sent, self._sent + 200)
        self._sent += 200
        body = [
            {"timestamp": (NOW - timedelta(seconds=n)).isoformat(), "metrics": {"queue_depth": n}}
            for n in numbers
        ]
        status, answer, headers = await self._service.ask("POST", self._path, body)
        if status == 202:
            self.acknowledged |= {float(n) for n in numbers}
        return status, answer, headers

    async def push_until(self, wanted: str, limit: int) -> tuple[Any, Any]:
        """(answer, headers) of the first push that is `taken`, or refused with the code `wanted` (several: `a|b`).

        Whatever else is answered meanwhile is a refusal that says what to do.
        """
        for _ in range(limit):
            status, answer, headers = await self.push()
            code = "taken" if status == 202 else answer["error"]["code"]
            assert (status, code) in {(202, "taken"), (503, "DATABASE_NOT_WRITABLE"), (503, "DATABASE_ERROR")}
            assert status == 202 or int(headers["Retry-After"]) >= 1
            if code in wanted.split("|"):
                return answer, headers
        raise AssertionError(f"not among {limit} pushes: {wanted}")


async def readiness(service: Service) -> tuple[int, Any]:
    status, body, _ = await service.ask("GET", "/ready")
    return status, body["components"]["production"]


async def until_ready(service: Service) -> None:
    async def is_ready() -> bool:
        await service.runtime.lease.keep()
        return (await readiness(service))[0] == 200

    await until(is_ready, "ready")


async def test_a_full_disk_refuses_with_a_reason_loses_nothing_and_heals(disk: Disk, served: Service) -> None:
    agent = Agent(served, await served.tenant())
    await until_ready(served)
    await agent.push_until("taken", 1)
    disk.fill()
    answer, headers = await agent.push_until("DATABASE_NOT_WRITABLE", 2000)
    assert answer["error"]["details"] == {"reason": "disk_full"}
    assert "disk" in answer["error"]["message"]
    assert int(headers["Retry-After"]) >= 5, "a full disk does not pass within a second"
    status, state = await readiness(served)
    assert (status, state["ok"]) == (503, False)
    assert "disk of the database is full" in state["writes"]
    _, read, _ = await served.ask("GET", "/api/v1/sla/summary")
    assert len(read["tenants"]) == 1, "what is read goes on"

    disk.free()
    await until_ready(served)
    await agent.push_until("taken", 100)
    stored = await served.runtime.database.fetch("SELECT metric_value FROM monitoring_data")
    assert agent.acknowledged <= {r["metric_value"] for r in stored}


async def test_a_server_that_panics_costs_refusals_and_nothing_that_was_acknowledged(
    disk: Disk, served: Service
) -> None:
    agent = Agent(served, await served.tenant())
    await until_ready(served)
    await agent.push_until("taken", 1)
    disk.panic()
    for _ in range(5):
        await agent.push_until("taken|DATABASE_ERROR", 100)
    disk.free()
    await until_ready(served)
    await agent.push_until("taken", 100)
    stored = await served.runtime.database.fetch("SELECT metric_value FROM monitoring_data")
    assert agent.acknowledged <= {r["metric_value"] for r in stored}


@pytest.mark.usefixtures("told_by_the_probe")
async def test_a_read_only_database_is_told_apart(
    make_database: Callable[[], str], free_port: Callable[[], int], postgres_server: PostgresServer
) -> None:
    dsn = make_database()
    name = dsn.rpartition("/")[2]

    def turn(read_only: str) -> None:
        postgres_server.cluster.psql(
            "postgres",
            f"ALTER DATABASE {name} SET default_transaction_read_only = {read_only}",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )

    async with serve(dsn, free_port()) as service:
        agent = Agent(service, await service.tenant())
        await until_ready(service)
        turn("on")

        async def noticed() -> bool:
            status, state = await readiness(service)
            return status == 503 and "read-only" in state.get("writes", "")

        await until(noticed, "it is noticed before anybody has written")
        answer, _ = await agent.push_until("DATABASE_NOT_WRITABLE", 10)
        assert answer["error"]["details"] == {"reason": "read_only"}
        turn("off")
        await until_ready(service)
        await agent.push_until("taken", 1)
