"""What a service manager is told, over a socket as systemd has one."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from ecpmon.local.service_manager import Reports, ServiceManager, report
from ecpmon.tasks import end
from tests.datagrams import Ear, ear
from tests.waiting import until

BOTH = ("front-1", "worker")


def ask(reports: Reports, name: str, *, ready: bool = True, alive: bool = True) -> str:
    """One question to a process that answers so."""
    asked = reports.question(name)
    reports.answered(name, asked, well=alive if asked == "/health" else ready)
    return asked


def test_ready_is_told_once_and_when_every_process_is(tmp_path: Path) -> None:
    with ear(tmp_path) as manager:
        reports = Reports(ServiceManager(manager.address, 10), BOTH)
        for _ in range(4):
            ask(reports, "front-1")
            ask(reports, "worker", ready=False)
        assert manager.count("READY=1") == 0
        assert manager.count("STATUS=waiting for worker to be ready") == 1
        asked = [ask(reports, "worker") for _ in range(4)]
        assert manager.count("READY=1") == 1
        assert asked == ["/health", "/ready", "/health", "/health"]
        assert reports.starting is False


def test_who_ended_before_all_were_ready_has_to_be_ready_again(tmp_path: Path) -> None:
    with ear(tmp_path) as manager:
        reports = Reports(ServiceManager(manager.address), BOTH)
        for _ in range(2):
            ask(reports, "front-1")
        reports.ended("front-1")
        for _ in range(2):
            ask(reports, "worker")
        assert manager.count("READY=1") == 0
        for _ in range(2):
            ask(reports, "front-1")
        assert manager.count("READY=1") == 1


def test_the_watchdog_hears_of_each_round_in_which_all_have_answered(tmp_path: Path) -> None:
    with ear(tmp_path) as manager:
        reports = Reports(ServiceManager(manager.address, 10), BOTH)
        reports.starting = False
        for _ in range(3):
            for name in BOTH:
                ask(reports, name)
        assert manager.count("WATCHDOG=1") == 3
        for _ in range(5):
            ask(reports, "front-1")
            ask(reports, "worker", alive=False)
        assert manager.count("WATCHDOG=1") == 3
        reports.ended("worker")
        ask(reports, "worker")
        assert manager.count("WATCHDOG=1") == 4
        reports.stopping()
        assert manager.listen()[-2:] == ["STOPPING=1", "STATUS=stopping"]


def test_ready_is_told_again_when_the_manager_had_no_room_for_it(tmp_path: Path) -> None:
    with ear(tmp_path) as manager:
        told = ServiceManager(manager.address)
        for _ in range(10_000):  # the kernel keeps some hundred
            if not told.waiting("x"):
                break
        reports = Reports(told, ("front-1",))
        ask(reports, "front-1")
        ask(reports, "front-1")
        assert reports.starting is True
        assert manager.count("READY=1") == 0
        ask(reports, "front-1")
        assert reports.starting is False
        assert manager.count("READY=1") == 1


@pytest.mark.parametrize(
    ("given", "patience"),
    [
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 3.0),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_manager_gave_is_taken_and_no_child_finds_it(
    given: dict[str, str], patience: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "HOME": "/", **given}
    found = ServiceManager.of(environ, 7)
    assert (found.listens, found.patience) == (True, patience)
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "relative"])
def test_nobody_is_told_where_nobody_can_be(address: str | None) -> None:
    found = ServiceManager(address, 3)
    assert (found.listens, found.patience) == (False, None)
    assert found.ready() is False
    assert Reports(found, BOTH).wanted is False


def test_a_manager_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    assert ServiceManager(str(tmp_path / "gone")).ready() is False


def test_an_abstract_address_is_told() -> None:
    name = "ecpmon-test-abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.bind(f"\0{name}")
        assert ServiceManager(f"@{name}").ready() is True
        assert Ear(bound, "").count("READY=1") == 1


async def test_one_process_that_is_all_tells_the_same_of_itself(tmp_path: Path) -> None:
    is_ready = False

    async def ready() -> bool:
        return is_ready

    with ear(tmp_path) as manager:
        told = asyncio.create_task(report(ServiceManager(manager.address, 0.3), ready))
        await until(lambda: at_least(manager, "WATCHDOG=1", 3), "it is alive")
        assert manager.count("READY=1") == 0
        is_ready = True
        await until(lambda: at_least(manager, "READY=1", 1), "it is ready")
        before = manager.count("WATCHDOG=1")
        await until(lambda: at_least(manager, "WATCHDOG=1", before + 3), "it is alive still")
        assert manager.count("READY=1") == 1
        await end(told)


async def at_least(manager: Ear, line: str, times: int) -> bool:
    return manager.count(line) >= times
