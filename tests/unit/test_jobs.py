"""Jobs: awaited, counted when they fail, run only by the leader, finished before the process stops."""

from __future__ import annotations

import asyncio

from ecpmon.errors import DatabaseUnavailable
from ecpmon.jobs import Job, Jobs
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE


class FakeLease:
    def __init__(self, held: bool, presumed: bool | None = None) -> None:
        self.held = held
        self.presumed = held if presumed is None else presumed

    async def keep(self) -> bool:
        return self.held


def failures(telemetry: Telemetry, job: str, reason: str) -> float:
    return (
        telemetry.registry.get_sample_value("ecpmon_job_failures_total", {"job": job, "reason": reason})
        or 0.0
    )


async def test_the_scheduler_awaits_jobs_and_goes_on_after_a_failure() -> None:
    enough, turns = asyncio.Event(), 0

    async def fails() -> None:
        nonlocal turns
        turns += 1
        if turns >= 3:
            enough.set()
        raise ZeroDivisionError

    telemetry = Telemetry()
    jobs = Jobs([Job("fails", 0.05, fails)], FakeLease(True), telemetry)
    await jobs.start()
    await asyncio.wait_for(enough.wait(), PATIENCE)
    await jobs.stop()
    assert failures(telemetry, "fails", "bug") >= 3


async def test_a_dependency_that_is_away_is_counted_under_its_code() -> None:
    async def away() -> None:
        raise DatabaseUnavailable("away")

    telemetry = Telemetry()
    await Jobs([Job("away", 60, away)], FakeLease(True), telemetry).run_all()
    assert failures(telemetry, "away", "database_error") == 1


async def test_a_follower_runs_only_what_runs_everywhere() -> None:
    ran: list[str] = []

    def job(name: str, *, everywhere: bool) -> Job:
        async def run() -> None:
            ran.append(name)

        return Job(name, 60, run, everywhere)

    jobs = [job("collect", everywhere=False), job("heartbeat", everywhere=True)]
    await Jobs(jobs, FakeLease(False), Telemetry()).run_all()
    assert ran == ["heartbeat"]
    await Jobs(jobs, FakeLease(True), Telemetry()).run_all()
    assert ran == ["heartbeat", "collect", "heartbeat"]


async def test_who_led_last_goes_on_pulling_while_nobody_can_be_asked() -> None:
    ran: list[str] = []

    def job(name: str, *, without_database: bool) -> Job:
        async def run() -> None:
            ran.append(name)

        return Job(name, 60, run, without_database=without_database)

    jobs = [job("collect", without_database=True), job("retention", without_database=False)]
    await Jobs(jobs, FakeLease(held=False, presumed=True), Telemetry()).run_all()
    assert ran == ["collect"]
    await Jobs(jobs, FakeLease(held=False, presumed=False), Telemetry()).run_all()
    assert ran == ["collect"]


async def test_a_running_job_is_finished_before_the_process_stops() -> None:
    started, release, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await release.wait()
        done.set()

    jobs = Jobs([Job("slow", 0.01, slow)], FakeLease(True), Telemetry())
    await jobs.start()
    await asyncio.wait_for(started.wait(), PATIENCE)
    stopping = asyncio.create_task(jobs.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    release.set()
    await asyncio.wait_for(stopping, PATIENCE)
    assert done.is_set()


async def test_a_job_that_is_still_running_is_not_started_again() -> None:
    release, running, most = asyncio.Event(), 0, 0
    telemetry = Telemetry()

    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    jobs = Jobs([Job("slow", 0.05, slow)], FakeLease(True), telemetry)
    jobs._scheduler.start()
    async with asyncio.timeout(PATIENCE):
        while failures(telemetry, "slow", "still_running") < 2:
            await asyncio.sleep(0.01)
    release.set()
    await jobs.stop()
    assert most == 1
