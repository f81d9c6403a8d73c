"""The supervisor with real processes: restarts, giving up, stopping, and what a kill -9 of us leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.deaths import RestartPolicy
from ecpmon.local.process import ChildSpec
from ecpmon.local.supervisor import Message, Supervisor
from tests import waiting
from tests.processes import bound
from tests.waiting import PATIENCE

ENV = {"PATH": "/usr/bin:/bin"}
FAST = RestartPolicy(quick_seconds=60, max_quick_deaths=3, first_backoff=0.01, max_backoff=0.01)


def shell(
    tmp_path: Path, name: str, script: str, *, ready_timeout: float = PATIENCE, **options: float
) -> ChildSpec:
    """A child that is ready as soon as it has made the file `<name>.ready`."""
    marker = tmp_path / f"{name}.ready"

    async def ready() -> bool:
        return marker.exists()

    return ChildSpec(
        name, ("sh", "-c", script), tmp_path / f"{name}.log", ready, env=ENV, cwd=tmp_path,
        prepare=lambda: marker.unlink(missing_ok=True), ready_timeout=ready_timeout, **options,
    )  # fmt: skip


@asynccontextmanager
async def supervised(
    *specs: ChildSpec, messages: list[Message] | None = None, policy: RestartPolicy = FAST
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(specs, (messages if messages is not None else []).append, policy)
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def until(condition: Callable[[], object]) -> None:
    async def holds() -> bool:
        return bool(condition())

    await waiting.until(holds, "what the test waits for")


def alive(pid: int) -> bool:
    """Neither gone nor a zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_start_returns_when_the_child_is_ready_not_before(tmp_path: Path) -> None:
    spec = shell(tmp_path, "a", "while [ ! -e go ]; do sleep 0.02; done; touch a.ready; exec sleep 60")
    async with supervised(spec) as supervisor:
        start = asyncio.create_task(supervisor.start("a"))
        await until(lambda: supervisor.pid("a"))
        await asyncio.sleep(0.2)
        assert not start.done()
        (tmp_path / "go").touch()
        await asyncio.wait_for(start, PATIENCE)


async def test_a_killed_child_comes_back_and_both_are_told(tmp_path: Path) -> None:
    messages: list[Message] = []
    spec = shell(tmp_path, "a", "echo hello; touch a.ready; exec sleep 60")
    async with supervised(spec, messages=messages) as supervisor:
        await supervisor.start("a")
        first = supervisor.pid("a")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(messages) == 2)
        assert messages[0] == Message("a", "a was killed (SIGKILL); starting it again", -9, "hello")
        assert messages[1].text == "a is running again"
        assert supervisor.pid("a") not in {None, first}


async def test_a_child_that_keeps_dying_is_given_up_with_its_log(tmp_path: Path) -> None:
    messages: list[Message] = []
    spec = shell(tmp_path, "a", "echo broken; exit 3")
    async with supervised(spec, messages=messages) as supervisor:
        with pytest.raises(LocalStackError, match=r"(?s)exit code 3, 3 times in a row\n.*broken") as caught:
            await supervisor.start("a")
    assert str(spec.log_file) in caught.value.hint
    assert len(messages) == 2  # two restarts before the third death


async def test_giving_up_later_ends_wait_failed(tmp_path: Path) -> None:
    spec = shell(tmp_path, "a", "if [ -e broken ]; then exit 1; fi; touch a.ready broken; exec sleep 60")
    async with supervised(spec) as supervisor:
        await supervisor.start("a")
        pid = supervisor.pid("a")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        error = await asyncio.wait_for(supervisor.wait_failed(), PATIENCE)
    assert "exit code 1" in error.message


async def test_a_full_disk_is_named(tmp_path: Path) -> None:
    spec = shell(tmp_path, "db", "echo 'PANIC: could not write: No space left on device'; exit 1")
    async with supervised(spec) as supervisor:
        with pytest.raises(LocalStackError, match="db stopped because the disk is full") as caught:
            await supervisor.start("db")
    assert "free some space" in caught.value.hint


async def test_a_child_that_ran_is_not_given_up_for_a_full_disk(tmp_path: Path) -> None:
    messages: list[Message] = []
    full = "echo 'PANIC: could not write: No space left on device'; exit 1"
    spec = shell(tmp_path, "db", f"if [ -e full ]; then {full}; fi; touch db.ready; exec sleep 60")
    async with supervised(spec, messages=messages) as supervisor:
        await supervisor.start("db")
        (tmp_path / "full").touch()
        pid = supervisor.pid("db")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(messages) > 2 * FAST.max_quick_deaths)
        assert messages[-1].text == "db stopped because the disk is full; starting it again"
        (tmp_path / "full").unlink()
        await until(lambda: messages[-1].text == "db is running again")


async def test_a_child_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    spec = shell(tmp_path, "a", "exec sleep 60", ready_timeout=0.2)
    async with supervised(spec) as supervisor:
        with pytest.raises(LocalStackError, match="did not become ready"):
            await supervisor.start("a")
        assert supervisor.pid("a") is None


async def test_a_child_whose_folder_is_gone_is_explained(tmp_path: Path) -> None:
    spec = replace(shell(tmp_path, "a", "exit 0"), cwd=tmp_path / "gone")
    async with supervised(spec) as supervisor:
        with pytest.raises(LocalStackError, match=r"a cannot be started: No such file .*gone"):
            await supervisor.start("a")


async def test_a_mistake_in_a_probe_surfaces_and_the_child_is_stopped(tmp_path: Path) -> None:
    async def broken() -> bool:
        raise ZeroDivisionError

    spec = replace(shell(tmp_path, "a", "echo $$ > pid; exec sleep 60"), ready=broken)
    async with supervised(spec) as supervisor:
        with pytest.raises(ZeroDivisionError):
            await supervisor.start("a")
        assert supervisor.pid("a") is None


async def test_children_stop_in_the_reverse_order(tmp_path: Path) -> None:
    script = "trap 'echo {0} >> order; exit 0' TERM; touch {0}.ready; while :; do sleep 0.02; done"
    specs = [shell(tmp_path, name, script.format(name)) for name in ("one", "two", "three")]
    async with supervised(*specs) as supervisor:
        for name in ("two", "one", "three"):
            await supervisor.start(name)
    assert (tmp_path / "order").read_text().split() == ["three", "two", "one"]


async def test_a_child_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    messages: list[Message] = []
    script = "trap '' TERM; touch a.ready; while :; do sleep 0.02; done"
    spec = shell(tmp_path, "a", script, stop_timeout=0.2)
    async with supervised(spec, messages=messages) as supervisor:
        await supervisor.start("a")
        pid = supervisor.pid("a")
    assert pid is not None
    assert not alive(pid)
    assert "did not stop in time" in messages[-1].text


async def test_stopping_takes_the_grandchildren_along(tmp_path: Path) -> None:
    spec = shell(tmp_path, "a", "sleep 60 & echo $! > grandchild; touch a.ready; wait")
    async with supervised(spec) as supervisor:
        await supervisor.start("a")
        grandchild = int((tmp_path / "grandchild").read_text())
        assert alive(grandchild)
    await until(lambda: not alive(grandchild))


async def test_stopping_during_a_back_off_does_not_wait_for_it(tmp_path: Path) -> None:
    policy = RestartPolicy(first_backoff=600, max_backoff=600)
    messages: list[Message] = []
    async with supervised(shell(tmp_path, "a", "exit 1"), messages=messages, policy=policy) as supervisor:
        start = asyncio.create_task(supervisor.start("a"))
        await until(lambda: messages)
        await asyncio.wait_for(supervisor.stop(), PATIENCE)
        with contextlib.suppress(asyncio.CancelledError):
            await start
        assert start.cancelled()


async def test_run_once_waits_for_success_and_explains_failure(tmp_path: Path) -> None:
    async with supervised() as supervisor:
        await supervisor.run_once(shell(tmp_path, "ok", "touch done"))
        assert (tmp_path / "done").exists()
        with pytest.raises(LocalStackError, match=r"migrate ended with exit code 4\nno such table") as caught:
            await supervisor.run_once(shell(tmp_path, "migrate", "echo no such table; exit 4"))
        assert "migrate.log" in caught.value.hint


async def test_cancelling_run_once_kills_the_program(tmp_path: Path) -> None:
    async with supervised() as supervisor:
        task = asyncio.create_task(supervisor.run_once(shell(tmp_path, "a", "echo $$ > pid; exec sleep 60")))
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not alive(int((tmp_path / "pid").read_text()))


PARENT = """
import asyncio, signal, sys
from pathlib import Path
from ecpmon.local.process import ChildSpec
from ecpmon.local.supervisor import Supervisor
here = Path(sys.argv[1])
async def ready(): return (here / "ready").exists()
async def main():
    script = "sleep 300 & echo $$ $! > pids; touch ready; wait"
    spec = ChildSpec("a", ("sh", "-c", script), here / "a.log", ready, env={"PATH": "/usr/bin:/bin"}, cwd=here,
                     death_signal=signal.Signals(int(sys.argv[2])))
    supervisor = Supervisor([spec], print)
    await supervisor.start("a")
    (here / "guard").write_text(str(supervisor._guard._process.pid))
    (here / "started").touch()
    await asyncio.Event().wait()
asyncio.run(main())
"""


def start_parent(tmp_path: Path, death_signal: signal.Signals) -> subprocess.Popen[bytes]:
    return subprocess.Popen(bound([sys.executable, "-c", PARENT, str(tmp_path), str(int(death_signal))]))


@pytest.mark.parametrize("death_signal", [signal.SIGKILL, signal.SIGTERM])
async def test_kill_9_of_the_parent_leaves_no_child_and_no_grandchild(
    tmp_path: Path, death_signal: signal.Signals
) -> None:
    parent = start_parent(tmp_path, death_signal)
    try:
        await until((tmp_path / "started").exists)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    pids.append(int((tmp_path / "guard").read_text()))
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_without_its_guard_a_child_still_dies_with_the_parent(tmp_path: Path) -> None:
    parent = start_parent(tmp_path, signal.SIGKILL)
    try:
        await until((tmp_path / "started").exists)
        os.kill(int((tmp_path / "guard").read_text()), signal.SIGKILL)
    finally:
        parent.kill()
        parent.wait()
    child, grandchild = (int(pid) for pid in (tmp_path / "pids").read_text().split())
    try:
        await until(lambda: not alive(child))
    finally:
        os.kill(grandchild, signal.SIGKILL)  # nobody else does, without the guard
