"""The whole stack on real parts; ecpmon itself is the stand-in of fake/, so that this tests the stack alone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession

from ecpmon.errors import LocalStackError
from ecpmon.local.packages import Binaries
from ecpmon.local.ports import PortPlan, plan_ports
from ecpmon.local.stack import LocalStack, StackOptions
from ecpmon.local.supervisor import Message
from tests import waiting
from tests.processes import bound

FAKE = Path(__file__).with_name("fake")
PARTS = ("postgres", "simulator", "api", "prometheus", "alertmanager", "mail")


@pytest.fixture
def checkout(shared_tmp: Path, stack_binaries: Binaries) -> Path:
    """A checkout with the stand-in package; the binaries are in the cache already."""
    shutil.copytree(FAKE / "ecpmon", shared_tmp / "ecpmon")
    return shared_tmp


@pytest.fixture
def ports(free_port: Callable[[], int]) -> PortPlan:
    return plan_ports(**{role: free_port() for role in plan_ports().roles()})


def environment(**extra: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "ECPMON_DATABASE_URL"}
    return inherited | extra


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def make(
    checkout: Path,
    ports: PortPlan,
    messages: list[Message] | None = None,
    *,
    scrape_pods: bool = False,
    **env: str,
) -> LocalStack:
    emit = (messages if messages is not None else []).append
    options = StackOptions(checkout, environment(**env), ports, durable=False, scrape_pods=scrape_pods)
    return LocalStack(options, emit=emit, progress=quiet)


@asynccontextmanager
async def running(stack: LocalStack) -> AsyncIterator[LocalStack]:
    await stack.start()
    try:
        yield stack
    finally:
        await stack.stop()


async def until(condition: Callable[[], Any]) -> None:
    async def holds() -> bool:
        return bool(condition())

    await waiting.until(holds, "what the test waits for")


def processes_below(folder: Path) -> list[str]:
    """Command lines of the processes that name `folder` or work in it."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(folder) in command or Path(cwd).is_relative_to(folder):
            found.append(command)
    return found


async def test_everything_starts_works_together_and_stops(checkout: Path, ports: PortPlan) -> None:
    stack = make(checkout, ports, scrape_pods=True, ECPMON_LOG_LEVEL="debug")
    async with running(stack), ClientSession() as session:
        pids = [stack.pid(name) for name in PARTS]
        assert None not in pids
        migrated = json.loads((checkout / "migrated.json").read_text())
        assert migrated["ECPMON_DATABASE_URL"].endswith(f"@127.0.0.1:{ports.postgres}/ecp_orchestrator")
        assert migrated["ECPMON_DEMO_DATABASE_URL"].endswith("/ecp_orchestrator_demo")
        assert migrated["ECPMON_LOG_LEVEL"] == "debug"
        await _the_demo_database_has_a_port_of_its_own(migrated, ports)
        await _until_targets_are(session, stack.urls.prometheus, {"simulator", "ecpmon"})
        config = (await _json(session, f"{stack.urls.prometheus}/api/v1/status/config"))["data"]["yaml"]
        assert "kubernetes_sd.yml" in config
        for path in ("graph", "static/jquery/jquery.min.js"):
            async with session.get(f"{stack.urls.prometheus}/classic/{path}") as answer:
                assert answer.status == 200
    assert processes_below(checkout) == []


async def _the_demo_database_has_a_port_of_its_own(migrated: dict[str, str], ports: PortPlan) -> None:
    url = migrated["ECPMON_DEMO_DATABASE_URL"].replace(f":{ports.postgres}/", f":{ports.demo}/")
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT current_database()") == "ecp_orchestrator_demo"
    # Nobody comes into the databases that every cluster has.
    open_to_all = "SELECT datname FROM pg_database WHERE has_database_privilege('public', datname, 'CONNECT')"
    assert {row[0] for row in await connection.fetch(open_to_all)} & {"postgres", "template1"} == set()
    await connection.close()


async def _until_targets_are(session: ClientSession, prometheus: str, expected: set[str]) -> None:
    """Prometheus discovers even its static targets a few seconds after it is ready."""

    async def found() -> bool:
        targets = (await _json(session, f"{prometheus}/api/v1/targets"))["data"]["activeTargets"]
        return {target["labels"]["job"] for target in targets} == expected

    await waiting.until(found, f"the targets are {expected}")


async def _json(session: ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        answer.raise_for_status()
        return await answer.json()


async def test_an_alert_travels_through_alertmanager_to_our_webhook(checkout: Path, ports: PortPlan) -> None:
    async with running(make(checkout, ports)) as stack, ClientSession() as session:
        alert = {"labels": {"alertname": "ECPTenantDown", "tenant_id": "t1"}}
        async with session.post(f"{stack.urls.alertmanager}/api/v2/alerts", json=[alert]) as answer:
            assert answer.status == 200
        received = checkout / "webhooks.jsonl"
        await until(lambda: received.exists() and received.read_text().endswith("\n"))
    body = json.loads(received.read_text().splitlines()[0])
    assert (body["version"], body["status"]) == ("4", "firing")
    assert body["groupLabels"] == {"alertname": "ECPTenantDown", "tenant_id": "t1"}


async def test_a_second_start_finds_the_data(checkout: Path, ports: PortPlan) -> None:
    statement = "CREATE TABLE kept AS SELECT 42 AS answer"
    async with running(make(checkout, ports)):
        _psql(checkout, statement)
    async with running(make(checkout, ports)):
        assert _psql(checkout, "SELECT answer FROM kept") == "42"


def _psql(checkout: Path, statement: str) -> str:
    dsn = json.loads((checkout / "migrated.json").read_text())["ECPMON_DATABASE_URL"]
    psql = Path(os.readlink(f"/proc/{_postmaster(checkout)}/exe")).with_name("psql")
    return subprocess.run(
        [psql, "-XAtq", dsn, "-c", statement], check=True, capture_output=True, text=True
    ).stdout.strip()  # fmt: skip


def _postmaster(checkout: Path) -> int:
    return int((checkout / ".ecpmon/postgres/data/postmaster.pid").read_text().split("\n", 1)[0])


async def test_every_part_comes_back_after_kill_9(checkout: Path, ports: PortPlan) -> None:
    messages: list[Message] = []
    async with running(make(checkout, ports, messages)) as stack:
        before = {name: stack.pid(name) for name in PARTS}
        for pid in before.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        back = {f"{name} is running again" for name in PARTS}
        await until(lambda: back <= {message.text for message in messages})
        assert all(stack.pid(name) not in {None, before[name]} for name in PARTS)


async def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_runs_on(
    checkout: Path, ports: PortPlan
) -> None:
    async with running(make(checkout, ports)) as stack:
        with pytest.raises(LocalStackError, match="is running in"):
            await make(checkout, ports).start()
        await _runs_until_told(stack)


async def test_a_taken_port_is_named_and_nothing_is_left_running(checkout: Path, ports: PortPlan) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports.alertmanager))
        listener.listen()
        with pytest.raises(LocalStackError, match=rf"port {ports.alertmanager} \(alertmanager\) is taken"):
            await make(checkout, ports).start()
    assert processes_below(checkout) == []


async def test_a_failing_migration_stops_the_start_and_everything_else(
    checkout: Path, ports: PortPlan
) -> None:
    (checkout / "migrate-fails").touch()
    with pytest.raises(LocalStackError, match="the schema is newer than this program") as caught:
        await make(checkout, ports).start()
    assert "migrate.log" in caught.value.hint
    assert processes_below(checkout) == []


async def _runs_until_told(stack: LocalStack) -> None:
    """The refused second one did the first no harm."""
    stop = asyncio.Event()
    run = asyncio.create_task(stack.run_until(stop))
    await asyncio.sleep(0.1)
    assert not run.done()
    stop.set()
    await run


async def test_the_users_own_database_is_used_and_no_server_is_started(
    checkout: Path, ports: PortPlan, make_database: Callable[[], str]
) -> None:
    production, demo = make_database(), make_database()
    stack = make(checkout, ports, ECPMON_DATABASE_URL=production, ECPMON_DEMO_DATABASE_URL=demo)
    async with running(stack):
        migrated = json.loads((checkout / "migrated.json").read_text())
    assert (migrated["ECPMON_DATABASE_URL"], migrated["ECPMON_DEMO_DATABASE_URL"]) == (production, demo)
    assert not (checkout / ".ecpmon/postgres").exists()


UP = """
import asyncio, json, os, sys
from pathlib import Path
from ecpmon.local.ports import PortPlan
from ecpmon.local.stack import LocalStack, StackOptions
async def main():
    checkout = Path(sys.argv[1])
    options = StackOptions(checkout, os.environ, PortPlan(**json.loads(sys.argv[2])))
    stack = LocalStack(options, emit=print, progress=lambda *_: None)
    await stack.start()
    (checkout / "started").touch()
    await stack.run_until(asyncio.Event())
asyncio.run(main())
"""


async def test_kill_9_of_the_stack_leaves_nothing_and_the_next_start_works(
    checkout: Path, ports: PortPlan
) -> None:
    # run from outside the checkout: there, "ecpmon" would be the stand-in for the stack's own process too
    parent = subprocess.Popen(
        bound([sys.executable, "-c", UP, str(checkout), json.dumps(ports.roles())]),
        env=environment(),
        cwd="/",
    )
    try:
        await until((checkout / "started").exists)
        assert len(processes_below(checkout)) >= len(PARTS)
    finally:
        parent.kill()
        parent.wait()
    await until(lambda: processes_below(checkout) == [])
    async with running(make(checkout, ports)) as stack:
        assert stack.pid("postgres") is not None
