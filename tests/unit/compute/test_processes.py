"""Processes that compute: they end when they must, are replaced, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ecpmon.compute import nursery as tender
from ecpmon.compute import processes
from ecpmon.compute.processes import Nursery, Processes
from ecpmon.errors import Overloaded
from ecpmon.workers import Workers
from tests.unit.compute import calls
from tests.waiting import PATIENCE

# A nursery as a program, with the modules of the tests.
TEND = (
    "import socket, sys; from ecpmon.compute.nursery import tend; "
    "tend(socket.socket(fileno=int(sys.argv[1])), lambda: None)"
)
# A process that lets another compute, tells both numbers, and waits.
PARENT = """
import asyncio, sys
from ecpmon.compute.processes import Nursery, Processes
from tests.unit.compute import calls

async def main():
    nursery = Nursery(lambda: None, (sys.executable,))
    hands = Processes(nursery, 2)
    idle = await hands.work(calls.who, (), {}, 60)
    busy = asyncio.create_task(hands.work(calls.spin, (), {}, 600))
    other = await hands.work(calls.who, (), {}, 60)
    print(nursery.pid, idle, other, flush=True)
    await busy

asyncio.run(main())
"""
CHECKOUT = Path(__file__).parents[3]


class Ends(list[str]):
    """Why processes ended."""


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
async def hands(ends: Ends) -> AsyncIterator[Processes]:
    made = Processes(Nursery(lambda: None, (sys.executable, "-c", TEND)), 2, ends.append)
    yield made
    await made.close()


def is_there(pid: int) -> bool:
    """Not even as one that nobody has asked for its end."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(*pids: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(map(is_there, pids)):
            await asyncio.sleep(0.01)


async def test_one_process_is_used_again_and_works_at_low_priority(hands: Processes) -> None:
    first = await hands.work(calls.who, (), {}, PATIENCE)
    assert first != os.getpid()
    assert await hands.work(calls.who, (), {}, PATIENCE) == first
    assert await hands.work(calls.niceness, (), {}, PATIENCE) == min(os.nice(0) + tender.NICE, 19)


@pytest.mark.skipif(not calls.niceness_of_session(), reason="this kernel shares nothing among sessions")
async def test_it_gives_way_to_other_sessions_too(hands: Processes) -> None:
    assert await hands.work(calls.niceness_of_session, (), {}, PATIENCE) == str(tender.SESSION_NICE)


async def test_two_work_at_once(hands: Processes) -> None:
    one, other = await asyncio.gather(*(hands.work(calls.who, (), {}, PATIENCE) for _ in range(2)))
    assert one != other


@pytest.mark.parametrize("call", [calls.spin, calls.hang])
async def test_what_computes_too_long_is_ended_and_replaced(
    hands: Processes, ends: Ends, call: object
) -> None:
    before = await hands.work(calls.who, (), {}, PATIENCE)
    with pytest.raises(Overloaded, match="too long") as late:
        await hands.work(call, (), {}, 0.05)  # type: ignore[arg-type]
    assert late.value.details == {"limit": "workers_late"}
    assert late.value.retry_after
    await gone(before)
    assert await hands.work(calls.who, (), {}, PATIENCE) != before
    assert ends == ["late"]


async def test_who_waits_for_a_process_that_dies_is_refused_and_the_next_call_has_another(
    hands: Processes, ends: Ends
) -> None:
    with pytest.raises(Overloaded, match="has ended") as died:
        await hands.work(calls.crash, (), {}, PATIENCE)
    assert died.value.details == {"limit": "workers_died"}
    assert died.value.status == 503
    assert await hands.work(calls.owner, (), {}, PATIENCE) == "nobody"
    assert ends == ["died"]


async def test_one_that_dies_while_it_waits_costs_nobody_an_answer(hands: Processes, ends: Ends) -> None:
    before = await hands.work(calls.who, (), {}, PATIENCE)
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        while not ends:
            await asyncio.sleep(0.01)
    assert await hands.work(calls.who, (), {}, PATIENCE) != before
    assert ends == ["ended"]


async def test_a_cancelled_caller_s_computation_is_ended(hands: Processes) -> None:
    before = await hands.work(calls.who, (), {}, PATIENCE)
    under_way = asyncio.create_task(hands.work(calls.spin, (), {}, PATIENCE))
    await asyncio.sleep(0)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    await gone(before)


async def test_one_that_nobody_needs_goes(ends: Ends) -> None:
    hands = Processes(Nursery(lambda: None, (sys.executable,)), 2, ends.append, idle_seconds=0.05)
    before = await hands.work(calls.who, (), {}, PATIENCE)
    await gone(before)
    assert ends == ["idle"]
    assert await hands.work(calls.who, (), {}, PATIENCE) != before
    await hands.close()


async def test_one_that_has_held_much_memory_is_not_kept(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tender, "MOST_HELD", 0)
    hands = Processes(Nursery(lambda: None, (sys.executable,)), 2, ends.append)
    before = await hands.work(calls.who, (), {}, PATIENCE)
    await gone(before)
    await hands.close()


async def test_who_may_have_nothing_to_compute_loads_nothing_ahead(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads for the second process, when the first is on its way."""
    monkeypatch.setattr(tender, "REST_SECONDS", 0.0)
    hands = Processes(Nursery(lambda: None, (sys.executable,), calls.load, ahead=False), 2, ends.append)
    both = await asyncio.gather(*(hands.work(calls.loaded, (), {}, PATIENCE) for _ in range(2)))
    assert both == [[], ["late"]]
    await hands.close()


async def test_who_is_asked_any_time_loads_ahead(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tender, "REST_SECONDS", 0.0)
    told, tell = os.pipe()
    with os.fdopen(told, "rb") as told_of:

        def load() -> None:
            calls.load()
            os.write(tell, b"loaded")

        hands = Processes(Nursery(lambda: None, (sys.executable,), load), 2, ends.append)
        assert await asyncio.to_thread(told_of.read, 6) == b"loaded"
        assert await hands.work(calls.loaded, (), {}, PATIENCE) == ["late"]
        await hands.close()
        os.close(tell)


async def test_a_nursery_that_dies_is_replaced_by_a_program(hands: Processes) -> None:
    before = await hands.work(calls.who, (), {}, PATIENCE)
    lost = await hands.work(calls.parent, (), {}, PATIENCE)
    os.kill(lost, signal.SIGKILL)
    await gone(lost)
    await gone(before)  # whom it forked ends with it

    async def another() -> int:
        found: int = await hands.work(calls.parent, (), {}, PATIENCE)
        return found

    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await another() != lost
                return
            except Overloaded:  # not more often than once a second
                await asyncio.sleep(0.05)


async def test_a_nursery_that_stands_still_is_ended_and_replaced(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery = Nursery(lambda: None, (sys.executable, "-c", TEND))
    hands, frozen = Processes(nursery, 2, ends.append), nursery.pid
    os.kill(await hands.work(calls.who, (), {}, PATIENCE), signal.SIGKILL)  # so that another one is needed
    os.kill(frozen, signal.SIGSTOP)
    monkeypatch.setattr(processes, "_STANDS_STILL", 0.05)
    async with asyncio.timeout(PATIENCE):
        while nursery.pid == frozen:
            with contextlib.suppress(Overloaded):
                await hands.work(calls.who, (), {}, 0.1)
    monkeypatch.setattr(processes, "_STANDS_STILL", PATIENCE)
    await gone(frozen)
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(Overloaded):  # not more often than once a second
                assert await hands.work(calls.parent, (), {}, PATIENCE) == nursery.pid
                break
            await asyncio.sleep(0.05)
    await hands.close()


async def test_closing_leaves_no_process_behind(ends: Ends) -> None:
    nursery = Nursery(lambda: None, (sys.executable,))
    hands = Processes(nursery, 2, ends.append)
    workers = Workers(hands)
    idle = await workers.run("a", calls.who)
    busy = asyncio.create_task(workers.run("a", calls.spin))
    other = await workers.run("b", calls.who)
    await workers.close(patience=0.05)
    await gone(nursery.pid, idle, other)
    busy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await busy


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_outlives_the_one_it_works_for(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        told = await asyncio.to_thread(parent.stdout.readline)
        pids = [int(pid) for pid in told.split()]
        assert len(pids) == 3
        assert all(map(is_there, pids))
        parent.send_signal(how)
        await asyncio.to_thread(parent.wait)
        await gone(*pids)


async def test_a_tenant_never_has_all_processes(hands: Processes) -> None:
    workers = Workers(hands, patience=PATIENCE)
    greedy = [asyncio.create_task(workers.run("greedy", calls.hang)) for _ in range(3)]
    # Everything waits for them for ever, and another's comes at once.
    assert await workers.run("modest", calls.owner) == "nobody"
    assert (workers.running, workers.waiting) == (1, 2)
    for task in greedy:
        task.cancel()
    await asyncio.gather(*greedy, return_exceptions=True)
    await workers.close(patience=0.05)
