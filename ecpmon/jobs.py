"""Which job runs when, and under which lease. The only user of APScheduler.

APScheduler only wakes us: its memory store holds no state worth keeping, every job finds what is due by its own
watermark or mark, and only the holder of the lease runs the jobs that must run once. Those write in its name: what they
and the tasks they start still write when its term is over is refused by the database. In every term what `opens` it
runs before any other of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from operator import or_
from time import perf_counter
from typing import Any, Protocol

import structlog

from ecpmon.errors import EcpError
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import as_leader
from ecpmon.tasks import end
from ecpmon.telemetry import Telemetry

_log = structlog.get_logger(__name__)
# The default of one second silently drops a job when the loop stalls.
MISFIRE_GRACE_SECONDS = 60
# For so long they are waited for until everything goes by the clock. Less than any job's period.
FIRST_TURNS_SECONDS = 1.0


class Leadership(Protocol):
    @property
    def held(self) -> bool: ...

    @property
    def presumed(self) -> bool: ...

    @property
    def claim(self) -> Claim | None: ...

    async def keep(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Job:
    """`run` every `seconds`; `everywhere`: on every replica, else only where the lease is held.

    `without_database`: also while the lease is unknown, where it was held last. For what waits in memory until the
    database is back, and what may without harm be done twice. `opens`: before every other job of a leader's, whenever
    this process begins to lead.
    """

    name: str
    seconds: float
    run: Callable[[], Awaitable[object]]
    everywhere: bool = False
    without_database: bool = False
    opens: bool = False

    def is_due(self, lease: Leadership) -> bool:
        return self.everywhere or lease.held or (self.without_database and lease.presumed)


class Jobs:
    """Runs jobs until stopped. A job that fails is logged, counted and tried again at its next turn."""

    def __init__(
        self, jobs: Sequence[Job], lease: Leadership, telemetry: Telemetry, *, shown: bool = True
    ) -> None:
        """`shown` False: of a demo database, whose successes must not stand for those of the other."""
        self._shown = shown
        # In seconds since 1970.
        self._succeeded: dict[str, float] = {}
        self._jobs = {job.name: job for job in jobs}
        self._busy = dict.fromkeys(self._jobs, False)
        self._lease = lease
        self._opened: Claim | None = None
        self._opening = asyncio.Lock()
        self._telemetry = telemetry
        self._running: set[asyncio.Task[object]] = set()
        self._stopping = False
        # What APScheduler tells of a turn that was not, by its code.
        self._reasons: dict[int, str] = {}
        self._scheduler: Any = None
        self._scheduling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run what runs everywhere once in the background, in the order given, then everything by the clock."""
        first = self._begin([name for name, job in self._jobs.items() if job.everywhere])
        self._scheduling = asyncio.create_task(self._schedule(first), name="scheduling")

    async def _schedule(self, first: asyncio.Task[None]) -> None:
        """Importing APScheduler takes longer than all else that a process does until it is ready: so it comes after
        the first turns, unless those take their time."""
        await asyncio.wait({first}, timeout=FIRST_TURNS_SECONDS)
        events = await asyncio.to_thread(import_module, "apscheduler.events")
        schedulers = await asyncio.to_thread(import_module, "apscheduler.schedulers.asyncio")
        self._reasons = {
            events.EVENT_JOB_MISSED: "missed",
            events.EVENT_JOB_MAX_INSTANCES: "still_running",
            events.EVENT_JOB_ERROR: "error",
        }
        scheduler = schedulers.AsyncIOScheduler(timezone="UTC")
        scheduler.add_listener(self._note, reduce(or_, self._reasons))
        for job in self._jobs.values():
            # A bound coroutine function: APScheduler would never await a lambda or a callable object.
            scheduler.add_job(
                self._turn, "interval", seconds=job.seconds, args=[job.name], id=job.name,
                max_instances=1, coalesce=True, misfire_grace_time=MISFIRE_GRACE_SECONDS,
            )  # fmt: skip
        scheduler.start()
        self._scheduler = scheduler

    def begin_term(self) -> None:
        """This process has just taken over: in the background one turn of each of a leader's jobs, in the order given.

        Some of them come round once in a day only.
        """
        self._begin([name for name, job in self._jobs.items() if not job.everywhere])

    def _begin(self, names: Sequence[str]) -> asyncio.Task[None]:
        first = asyncio.create_task(self._run(names), name="first-turns")
        self._running.add(first)
        first.add_done_callback(self._running.discard)
        return first

    @property
    def names(self) -> list[str]:
        return list(self._jobs)

    @property
    def periods(self) -> dict[str, float]:
        """Seconds between two turns, by job."""
        return {name: job.seconds for name, job in self._jobs.items()}

    def last_success(self, name: str) -> float | None:
        """In seconds since 1970; None: there was none in this process."""
        return self._succeeded.get(name)

    def change_period(self, name: str, seconds: float) -> None:
        """From now on a turn every `seconds`; of a job that runs here."""
        job = self._jobs.get(name)
        if job is None or job.seconds == seconds:
            return
        self._jobs[name] = replace(job, seconds=seconds)
        if self._scheduler is not None:
            self._scheduler.reschedule_job(name, trigger="interval", seconds=seconds)

    async def run_all(self) -> None:
        """Every job once, in the order given (tests on a clock of their own call this). A leadership that is not
        trusted any more, because the machine stood still for seconds, is renewed first: no job is left out for that."""
        for name in list(self._jobs):
            if self._lease.presumed and not self._lease.held:
                await self._lease.keep()
            await self.run(name)

    async def _run(self, names: Sequence[str]) -> None:
        for name in names:
            await self.run(name)

    async def run(self, name: str) -> None:
        """One turn of a job, if it is due here."""
        await self._turn(name)

    async def stop(self, patience: float = 10.0) -> None:
        """No new turns, of a term that has just begun neither; the running ones are awaited before APScheduler would
        cancel them."""
        self._stopping = True
        if self._scheduling is not None:
            await self._scheduling
            self._scheduler.pause()
        if self._running:
            await asyncio.wait(self._running, timeout=patience)
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        for task in list(self._running):
            await end(task)

    async def _turn(self, name: str) -> None:
        job = self._jobs[name]
        # The first turn after the start may still be at work.
        if self._stopping or self._busy[name] or not job.is_due(self._lease):
            return
        self._busy[name] = True
        turn = self._guarded(job, None) if job.everywhere else self._as_leader(job)
        task = asyncio.ensure_future(turn)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await task
        finally:
            self._busy[name] = False

    async def _as_leader(self, job: Job) -> None:
        """A leader's job under the present claim, after what opens its term."""
        async with self._opening:
            claim = self._lease.claim
            opening = claim is not None and claim != self._opened
            for each in self._jobs.values() if opening else ():
                if each.opens:
                    await self._guarded(each, claim)
            self._opened = claim
        if claim is None or claim != self._lease.claim or not job.is_due(self._lease):
            return  # it does not lead any more
        if not (opening and job.opens):
            await self._guarded(job, claim)

    async def _guarded(self, job: Job, claim: Claim | None) -> None:
        began = perf_counter()
        try:
            with as_leader(claim):
                await job.run()
            self._note_success(job.name)
        except EcpError as error:
            level = _log.warning if error.retryable else _log.error
            level("job_failed", job=job.name, error=error.message)
            self._telemetry.job_failures.labels(job.name, error.code.lower()).inc()
        except Exception:  # noqa: BLE001 - a bug in one job must not stop the others; it is logged and counted
            _log.exception("job_broken", job=job.name)
            self._telemetry.job_failures.labels(job.name, "bug").inc()
        finally:
            self._telemetry.job_seconds.labels(job.name).observe(perf_counter() - began)

    def _note_success(self, name: str) -> None:
        self._succeeded[name] = self._telemetry.now()
        if self._shown:
            self._telemetry.succeeded(name, self._succeeded[name], self._jobs[name].seconds)

    def _note(self, event: Any) -> None:
        reason = self._reasons.get(event.code, "unknown")
        self._telemetry.job_failures.labels(event.job_id, reason).inc()
        _log.warning("job_not_run", job=event.job_id, reason=reason)
