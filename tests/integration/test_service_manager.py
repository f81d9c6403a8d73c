"""`ecpmon serve` as its unit starts it: told by a real datagram socket when it is ready, alive and about to end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests.datagrams import Ear, ear
from tests.integration.serving import Serving
from tests.integration.test_machine import of_role, send, tenant
from tests.processes import bound
from tests.units import SYSTEMD, command_of, credentials, read_environment
from tests.waiting import PATIENCE, until

UNIT = SYSTEMD / "system" / "ecpmon.service"
# What the unit leaves for the service to stop in, and what people are told.
STOP_SECONDS = 25.0
SENDERS = 8


@asynccontextmanager
async def started(tmp_path: Path, dsn: str, port: int, manager: Ear, role: str) -> AsyncIterator[Serving]:
    """By the unit's command, environment and credentials."""
    etc = tmp_path / "credentials"
    etc.mkdir()
    (etc / "database_url").write_text(dsn)
    credentials(UNIT, etc, tmp_path / "given")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    own = {
        "ECPMON_PORT": str(port),
        "ECPMON_AUTH": "none",
        "ECPMON_FRONTS": "2",
        "CREDENTIALS_DIRECTORY": str(tmp_path / "given"),
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "9000000",
    }
    argv = [role if word == "supervised" else word for word in command_of(UNIT)]
    process = await asyncio.create_subprocess_exec(
        *bound(argv), env=inherited | read_environment(SYSTEMD / "ecpmon.env") | own
    )
    async with aiohttp.ClientSession() as session:
        try:
            yield Serving(f"http://127.0.0.1:{port}", process, session)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def told(manager: Ear, line: str, times: int = 1) -> bool:
    return manager.count(line) >= times


async def test_it_is_ready_when_all_are_alive_while_all_answer_and_loses_nothing_when_it_stops(
    make_database: Callable[[], str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    dsn = make_database()
    with ear(tmp_path) as manager:
        async with started(tmp_path, dsn, free_port(), manager, "supervised") as found:
            waits = "STATUS=waiting for front-1, front-2, worker to be ready"
            await until(lambda: told(manager, waits), "it says what it waits for")
            await until(lambda: told(manager, "WATCHDOG=1", 2), "its processes are alive")
            assert manager.count("READY=1") == 0, "nobody has migrated"
            database = Database(dsn)
            await migrate(database)
            await until(lambda: told(manager, "READY=1"), "it is ready")
            assert (await found.get("/ready"))[0] == 200
            await silent_while_one_is_frozen(manager, of_role(found.process.pid, "front")[0])
            acknowledged, unanswered, seconds = await stopped_under_load(found)
            stored = await database.fetchval("SELECT count(*) FROM frames")
            await database.close()
        assert manager.count("READY=1") == 1
        assert manager.listen()[-2:] == ["STOPPING=1", "STATUS=stopping"]
    assert found.process.returncode == 0
    assert acknowledged > 0
    assert acknowledged <= stored <= acknowledged + unanswered
    assert seconds < STOP_SECONDS


async def silent_while_one_is_frozen(manager: Ear, front: int) -> None:
    """What is on its way when it stands still is told; then nothing more for two rounds, and more again afterwards."""
    os.kill(front, signal.SIGSTOP)
    try:
        before = manager.count("WATCHDOG=1")
        await asyncio.sleep(6)
        assert manager.count("WATCHDOG=1") <= before + 1
    finally:
        os.kill(front, signal.SIGCONT)
    after = manager.count("WATCHDOG=1")
    await until(lambda: told(manager, "WATCHDOG=1", after + 2), "all are alive again")


async def stopped_under_load(found: Serving) -> tuple[int, int, float]:
    """SIGTERM among pushes: how many were acknowledged, how many got no answer, and how long it took to end."""
    await tenant(found, "alpha")
    counts = {"acknowledged": 0, "unanswered": 0}

    async def push_on() -> None:
        while True:
            try:
                path, body = "/api/v1/tenants/alpha/monitoring", {"metrics": {"cpu": 1}}
                status, _ = await send(found, "POST", path, body)
            except aiohttp.ClientConnectorError:
                return  # nobody listens any more
            except (aiohttp.ClientError, OSError):
                counts["unanswered"] += 1
                continue
            counts["acknowledged"] += status == 202

    senders = [asyncio.create_task(push_on()) for _ in range(SENDERS)]

    async def flowing() -> bool:
        return counts["acknowledged"] >= 10 * SENDERS

    await until(flowing, "pushes are taken")
    began = time.monotonic()
    found.process.terminate()
    await asyncio.wait_for(found.process.wait(), PATIENCE)
    seconds = time.monotonic() - began
    await asyncio.gather(*senders)
    return counts["acknowledged"], counts["unanswered"], seconds


@pytest.mark.parametrize("role", ["all"])
async def test_one_process_tells_the_same_of_itself(
    make_migrated: Callable[[], str], free_port: Callable[[], int], tmp_path: Path, role: str
) -> None:
    with ear(tmp_path) as manager:
        async with started(tmp_path, make_migrated(), free_port(), manager, role) as found:
            await until(lambda: told(manager, "READY=1"), "it is ready")
            assert (await found.get("/ready"))[0] == 200
            await until(lambda: told(manager, "WATCHDOG=1", 3), "it is alive")
            found.process.terminate()
            await asyncio.wait_for(found.process.wait(), PATIENCE)
        assert manager.listen()[-2:] == ["STOPPING=1", "STATUS=stopping"]
    assert found.process.returncode == 0
