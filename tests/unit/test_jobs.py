"""Jobs: awaited, counted when they fail, run only by the leader, finished before the process stops."""

from __future__ import annotations

import asyncio
from uuid import UUID

from ecpmon.errors import DatabaseUnavailable
from ecpmon.jobs import Job, Jobs
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import leading
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE

HOLDER = UUID(int=1)


class FakeLease:
    def __init__(self, held: bool, presumed: bool | None = None) -> None:
        self.held = held
        self.presumed = held if presumed is None else presumed
        self.term = 1

    @property
    def claim(self) -> Claim | None:
        return Claim("leader", self.term, HOLDER) if self.presumed else None

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


async def test_a_leadership_that_ran_out_between_turns_is_renewed_and_leaves_no_job_out() -> None:
    class Lapsing(FakeLease):
        async def keep(self) -> bool:
            self.held = True
            return True

    lease, ran = Lapsing(held=False, presumed=True), []

    def job(name: str) -> Job:
        async def run() -> None:
            ran.append(name)
            lease.held = False

        return Job(name, 60, run)

    await Jobs([job("alerts"), job("gauges")], lease, Telemetry()).run_all()
    assert ran == ["alerts", "gauges"]


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


async def test_who_stops_as_its_term_begins_begins_no_more_jobs() -> None:
    started, release, ran = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow() -> None:
        started.set()
        await release.wait()
        ran.append("slow")

    async def after() -> None:
        ran.append("after")

    jobs = Jobs([Job("slow", 3600, slow), Job("after", 3600, after)], FakeLease(True), Telemetry())
    jobs.begin_term()
    await asyncio.wait_for(started.wait(), PATIENCE)
    stopping = asyncio.create_task(jobs.stop())
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait_for(stopping, PATIENCE)
    assert ran == ["slow"]


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
    await jobs.start()
    async with asyncio.timeout(PATIENCE):
        while failures(telemetry, "slow", "still_running") < 2:
            await asyncio.sleep(0.01)
    release.set()
    await jobs.stop()
    assert most == 1


class Turns:
    """Jobs that note when they ran and in whose name."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int | None]] = []

    def job(self, name: str, **more: bool) -> Job:
        async def run() -> None:
            claim = leading.get()
            self.ran.append((name, claim.term if claim else None))

        return Job(name, 60, run, **more)


async def test_only_a_leaders_jobs_write_in_its_name() -> None:
    turns = Turns()
    jobs = [turns.job("collect"), turns.job("heartbeat", everywhere=True)]
    await Jobs(jobs, FakeLease(True), Telemetry()).run_all()
    assert turns.ran == [("collect", 1), ("heartbeat", None)]


async def test_while_nobody_can_be_asked_the_last_leader_writes_in_the_term_it_had() -> None:
    turns = Turns()
    jobs = [turns.job("collect", without_database=True)]
    await Jobs(jobs, FakeLease(held=False, presumed=True), Telemetry()).run_all()
    assert turns.ran == [("collect", 1)]


async def test_what_opens_a_term_runs_before_every_other_job_of_a_leader_and_once() -> None:
    turns, lease = Turns(), FakeLease(True)
    jobs = Jobs([turns.job("collect"), turns.job("blindness", opens=True)], lease, Telemetry())
    await jobs.run("collect")
    assert turns.ran == [("blindness", 1), ("collect", 1)]
    await jobs.run("collect")
    assert turns.ran[2:] == [("collect", 1)]
    lease.term = 2
    await jobs.run("blindness")
    await jobs.run("collect")
    assert turns.ran[3:] == [("blindness", 2), ("collect", 2)]


async def test_a_job_that_waited_for_the_opening_of_a_lost_term_does_not_run() -> None:
    turns, lease = Turns(), FakeLease(True)

    async def opening() -> None:
        lease.held = lease.presumed = False

    jobs = Jobs([Job("opening", 60, opening, opens=True), turns.job("collect")], lease, Telemetry())
    await jobs.run("collect")
    assert turns.ran == []


async def test_who_takes_over_turns_every_job_of_a_leader_at_once() -> None:
    turns, done = Turns(), asyncio.Event()

    async def last() -> None:
        done.set()

    leaders = [turns.job("daily"), turns.job("everywhere", everywhere=True), Job("last", 86400, last)]
    jobs = Jobs(leaders, FakeLease(True), Telemetry())
    jobs.begin_term()
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert turns.ran == [("daily", 1)]
    await jobs.stop()
