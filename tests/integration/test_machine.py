"""`ecpmon serve --role supervised`: fronts that answer on one port, a worker that works, all of them watched."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecpmon.api.pushing import SAMPLES_PER_REQUEST
from ecpmon.local.machine import socket_of
from ecpmon.storage.database import Database
from tests.integration.fronts import series_of
from tests.integration.serving import Serving, serving
from tests.processes import bound
from tests.waiting import PATIENCE, until


def children(pid: int) -> dict[int, str]:
    """The processes of a supervisor and what each is called: `front-1`, …, `worker`."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                name = stat.with_name("comm").read_text().strip()
                found[int(stat.parent.name)] = name.removeprefix("ecp-")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def of_role(pid: int, role: str) -> list[int]:
    return [child for child, name in children(pid).items() if name.partition("-")[0] == role]


def run_dir(child: int) -> Path | None:
    """The folder in which a process answers the others, once it does."""
    paths = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()]
    return next((Path(path).parent for path in paths if path.endswith(f"/{child}.sock")), None)


@asynccontextmanager
async def machine(dsn: str, port: int, fronts: int = 2, **more: str) -> AsyncIterator[Serving]:
    settings = {"ECPMON_ROLE": "supervised", "ECPMON_FRONTS": str(fronts), **more}
    async with serving(dsn, port, **settings) as found:
        pid = found.process.pid
        await until(lambda: _complete(found, pid, fronts), "every process answers")
        yield found


async def _complete(found: Serving, pid: int, fronts: int) -> bool:
    if (len(of_role(pid, "front")), len(of_role(pid, "worker"))) != (fronts, 1):
        return False
    answers = [await ask_process(pid, child) for child in children(pid)]
    leads = (await found.get("/ready"))[1]["components"]["production"]["leadership"]
    return all(answers) and leads == "a worker leads"


async def ask_process(pid: int, child: int, path: str = "/ready") -> Any:
    """The answer of one process over its socket; None while it has none."""
    folder = run_dir(child)
    if folder is None:
        return None
    connector = aiohttp.UnixConnector(str(socket_of(folder, child)))
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://x{path}") as answer,
        ):
            return await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, OSError):
        return None


async def send(found: Serving, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Over a connection of its own, which any front may take."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, found.url + path, json=body) as answer,
    ):
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


async def tenant(found: Serving, name: str) -> None:
    body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
    status, answer = await send(found, "POST", "/api/v1/tenants/", body)
    assert status == 201, answer


async def push(found: Serving, name: str, **metrics: float) -> None:
    status, answer = await send(found, "POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": metrics})
    assert status == 202, answer


async def test_fronts_take_pushes_the_worker_judges_them_and_sockets_of_any_front_hear_it(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    async with machine(make_migrated(), free_port()) as found:
        assert (await found.get("/health"))[1]["leadership"] == "a worker leads"
        await tenant(found, "alpha")
        rule = {"alert_name": "hot", "condition": "cpu > 80"}
        assert (await send(found, "POST", "/api/v1/tenants/alpha/alerts", rule))[0] == 201
        opened = [
            await found.session.ws_connect(f"{found.url}/ws/alerts/alpha") for _ in range(6)
        ]  # so many that both fronts have some
        for status, cpu in (("firing", 95), ("resolved", 5), ("firing", 96)):
            await push(found, "alpha", cpu=cpu, up=1)
            for each in opened:
                assert (await each.receive_json(timeout=PATIENCE))["status"] == status
        for each in opened:
            with pytest.raises(TimeoutError):
                await each.receive_json(timeout=0.2)
            await each.close()


async def test_a_deployment_that_a_front_was_asked_for_is_carried_out_by_the_worker(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    demo = {"X-Demo-Mode": "true"}
    async with machine(make_migrated(), free_port(), ECPMON_DEMO_DATABASE_URL=make_migrated()) as found:
        body = {"tenant_id": "alpha", "name": "alpha", "service_requirements": {"chatbot": 10}}
        path = "/api/v1/tenants/alpha"

        async def led() -> bool:
            return (await found.get("/ready"))[1]["components"]["demo"]["leadership"] == "a worker leads"

        async def completed() -> bool:
            _, answer, _ = await found.get(f"{path}/deployments", **demo)
            return answer["deployments"][0]["status"] == "completed"

        await until(led, "the worker leads the demo database as well")
        async with found.session.post(f"{found.url}/api/v1/tenants/", json=body, headers=demo) as answer:
            assert answer.status == 201
        async with found.session.post(
            f"{found.url}{path}/deploy", json={"method": "kubernetes"}, headers=demo
        ) as answer:
            assert answer.status == 202, await answer.text()
        await until(completed, "the worker has done it")


async def test_a_tenants_rate_and_sockets_are_bounded_in_sum_over_the_fronts(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    # Two pushes a second, and eight at once.
    rate = str(2 * (1 + SAMPLES_PER_REQUEST))
    limits = {"ECPMON_MAX_SAMPLES_PER_SECOND": rate, "ECPMON_MAX_SOCKETS_PER_TENANT": "5"}
    async with machine(make_migrated(), free_port(), **limits) as found:
        await tenant(found, "alpha")
        began, accepted = time.monotonic(), 0
        for _ in range(60):
            path, body = "/api/v1/tenants/alpha/monitoring", {"metrics": {"cpu": 1}}
            status, _ = await send(found, "POST", path, body)
            assert status in (202, 429)
            accepted += status == 202
        # Each front may let in one too much.
        assert 8 <= accepted <= 8 + 2 * (time.monotonic() - began) + 2
        opened = []
        for _ in range(20):
            try:
                opened.append(await found.session.ws_connect(f"{found.url}/ws/alerts/alpha"))
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 429  # noqa: PT017 - what comes of it is counted
        assert len(opened) == 5
        for each in opened:
            await each.close()


async def scrape(found: Serving) -> dict[str, float]:
    async with aiohttp.ClientSession() as session, session.get(f"{found.url}/metrics") as answer:
        return series_of(await answer.text())


async def test_the_metrics_of_any_front_are_those_of_the_whole_machine(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    pushed, requests = 'ecpmon_ingest_samples_total{source="push"}', "ecp_tenant_requests_total"
    async with machine(make_migrated(), free_port(), ECPMON_METRICS_MAX_AGE="0") as found:
        await tenant(found, "alpha")
        for cpu in range(1, 13):
            await push(found, "alpha", cpu=cpu, up=1)
        for _ in range(6):  # whichever answers
            told = await scrape(found)
            assert (told[pushed], told["ecpmon_leader"]) == (24, 1)
            assert told['ecp_tenant_cpu_usage{tenant_id="alpha"}'] == 12

        async def has_sla() -> bool:
            return 'ecp_tenant_sla_availability_ratio{tenant_id="alpha",window="1h"}' in await scrape(found)

        await until(has_sla, "the worker's figures are shown")
        victim = of_role(found.process.pid, "front")[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: _gone(victim), "it is gone")
        await until(lambda: _complete(found, found.process.pid, 2), "all are there again")
        told = await scrape(found)
        assert told[pushed] == 24, "what was counted by who is gone stays counted"
        assert [v for k, v in told.items() if k.startswith(requests) and 'code="202"' in k] == [12]


async def test_a_process_that_is_killed_is_started_again_and_what_was_acknowledged_is_there(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    dsn = make_migrated()
    async with machine(dsn, free_port()) as found:
        pid = found.process.pid
        await tenant(found, "alpha")
        for role in ("front", "worker", "front"):
            victim = of_role(pid, role)[0]
            await push(found, "alpha", cpu=50)
            os.kill(victim, signal.SIGKILL)
            await until(lambda victim=victim: _gone(victim), "it is gone")  # type: ignore[misc]
            await until(lambda: _complete(found, pid, 2), "all are there again")
        database = Database(dsn)
        assert await database.fetchval("SELECT count(*) FROM frames") == 3
        await database.close()
    assert found.process.returncode == 0


async def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.long
async def test_a_process_that_stands_still_is_replaced(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    async with machine(make_migrated(), free_port(), ECPMON_WATCHDOG_SECONDS="12") as found:
        pid = found.process.pid
        frozen = of_role(pid, "front")[0]
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: _gone(frozen), "it is gone")
        await until(lambda: _complete(found, pid, 2), "all are there again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_no_process_outlives_the_one_that_watches(
    make_migrated: Callable[[], str], free_port: Callable[[], int], number: signal.Signals
) -> None:
    async with machine(make_migrated(), free_port()) as found:
        pids = children(found.process.pid)
        assert len(pids) == 3
        folder = run_dir(next(iter(pids)))
        assert folder is not None
        found.process.send_signal(number)
        code = await asyncio.wait_for(found.process.wait(), PATIENCE)
        for pid in pids:
            await until(lambda pid=pid: _gone(pid), "it has ended")  # type: ignore[misc]
    assert code == (-9 if number is signal.SIGKILL else 0)
    assert folder.exists() == (number is signal.SIGKILL)


async def test_a_port_that_is_taken_is_told_at_once_though_fronts_share_theirs(
    free_port: Callable[[], int], make_migrated: Callable[[], str]
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        settings = {"ECPMON_DATABASE_URL": make_migrated(), "ECPMON_PORT": str(port), "ECPMON_AUTH": "none"}
        process = await asyncio.create_subprocess_exec(
            *bound([sys.executable, "-m", "ecpmon", "serve", "--role", "supervised"]),
            env=dict(os.environ) | settings,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said.decode()


# What a machine of two processes does, one of which ends at once.
FAILING = """
import pathlib, sys, time
from ecpmon.errors import LocalStackError
from ecpmon.local.machine import Machine, ProcessSpec
from ecpmon.local.deaths import RestartPolicy

folder = pathlib.Path(sys.argv[1])

def bad():
    with (folder / "lives").open("a") as lives:
        lives.write("x")
    raise SystemExit(3)

def good():
    (folder / "good").touch()
    time.sleep(600)

specs = [ProcessSpec("good", good, 10.0), ProcessSpec("bad", bad, 10.0)]
try:
    Machine(specs, folder, 0, RestartPolicy(max_quick_deaths=3, first_backoff=0.2)).run()
except LocalStackError as error:
    print(error.message)
"""


async def test_a_process_that_ends_again_and_again_ends_all_and_the_reason_is_told(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *bound([sys.executable, "-c", FAILING, str(tmp_path)]), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().splitlines()[-1] == "bad ended with exit code 3, 3 times in a row"
    assert (tmp_path / "lives").read_text() == "xxx"
    assert (tmp_path / "good").exists()
    # Its output would be open still if there was one left.


# One of them is to begin half a second after the other, though it stands first.
ONE_AFTER_THE_OTHER = """
import os, pathlib, signal, sys, time
from ecpmon.local.machine import Machine, ProcessSpec

folder, began = pathlib.Path(sys.argv[1]), time.monotonic()

def note(name, last):
    (folder / name).write_text(str(time.monotonic() - began))
    if last:
        os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(600)

late = ProcessSpec("late", lambda: note("late", True), 10.0, 0.5)
soon = ProcessSpec("soon", lambda: note("soon", False), 10.0)
Machine([late, soon], folder, 0).run()
"""


async def test_a_process_begins_after_those_that_are_to_be_there_before_it(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *bound([sys.executable, "-c", ONE_AFTER_THE_OTHER, str(tmp_path)])
    )
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0
    late, soon = (float((tmp_path / name).read_text()) for name in ("late", "soon"))
    assert late >= 0.5
    assert soon < late
