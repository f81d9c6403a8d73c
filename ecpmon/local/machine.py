"""`ecpmon serve` on one machine: fronts on one port and a worker, started, watched, stopped together (ADR 0010).

This process answers nobody and opens no database. It starts its children anew when they end, and ends them when they
stand still; what it cannot mend it says, and ends with them. None of them outlives it, however it ends.

Invariant: it has one thread and no event loop from beginning to end, so that every child, the first and the hundredth,
can be forked from it (`local.forking`): what all of them import is imported once, and is in memory once.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from ecpmon.errors import LocalStackError
from ecpmon.local.deaths import RestartPolicy, explain_exit
from ecpmon.local.forking import HANDLED, forked
from ecpmon.local.question import Question
from ecpmon.local.run_dirs import run_dir
from ecpmon.local.service_manager import STARTING_SECONDS, Reports, ServiceManager
from ecpmon.serving import check_settings
from ecpmon.settings import Settings

_log = structlog.get_logger(__name__)
# Longer than a front waits for what it is answering.
FRONT_STOP_SECONDS: Final = 16.0
# All have ended within 25 s, and who kills after 30 (systemd, Kubernetes) finds nobody.
WORKER_STOP_SECONDS: Final = 8.0
# On two cores it would take a third of them from the fronts, which are asked first.
WORKER_AFTER_SECONDS: Final = 0.1
# Processes of a watcher that was killed may be about to end.
PORT_SECONDS: Final = 3.0
PING_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
# How long a process may be silent at first.
START_SECONDS: Final = 60.0
_STOPPING: Final = {int(signal.SIGTERM), int(signal.SIGINT)}


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """`run`: all that the process does. `stop_seconds`: how long it may take to end when it is asked to.

    `after_seconds`: how long its first start waits, for those that are to be there before it.
    """

    name: str
    run: Callable[[], None]
    stop_seconds: float
    after_seconds: float = 0.0


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def specs(settings: Settings, folder: Path, run: Callable[[Settings], None]) -> list[ProcessSpec]:
    """Fronts, then the worker: they are started and stopped in this order. `run` serves in the role of its settings."""
    count = settings.fronts or cores()

    def spec(name: str, role: str, number: int, stop_seconds: float, after: float = 0.0) -> ProcessSpec:
        own = settings.model_copy(update={"role": role, "fronts": count, "front": number, "run_dir": folder})
        return ProcessSpec(name, partial(run, own), stop_seconds, after)

    fronts = [spec(f"front-{n}", "front", n, FRONT_STOP_SECONDS) for n in range(1, count + 1)]
    return [*fronts, spec("worker", "worker", 0, WORKER_STOP_SECONDS, WORKER_AFTER_SECONDS)]


def free_port(host: str, port: int) -> None:
    """Wait a moment for those who had the port before us. Raises LocalStackError."""
    give_up = time.monotonic() + PORT_SECONDS
    while True:
        try:
            return _check_port(host, port)
        except LocalStackError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(0.1)


def _check_port(host: str, port: int) -> None:
    """Fronts share a port, so nobody would tell them that others have it already. Raises LocalStackError."""
    for family, kind, _, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise LocalStackError(
                    f"cannot listen on {host}:{port}: {error.strerror}", hint="set ECPMON_PORT to a free one"
                ) from error


def socket_of(run_dir: Path, pid: int) -> Path:
    """Where a process of this machine answers the others."""
    return run_dir / f"{pid}.sock"


class _Kept:
    """One spec and its present life, if it has one. Times are those of `time.monotonic`, `math.inf`: never."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.began = 0.0
        self.begin_at = time.monotonic() + spec.after_seconds
        self.quick_deaths = 0
        self.question: Question | None = None
        # When to ask, or until when the question may be answered; and when the process has been silent for too long.
        self.ask_at = self.over_at = math.inf

    @property
    def due(self) -> float:
        """When there is something to do about it."""
        return self.begin_at if self.pid is None else min(self.ask_at, self.over_at)


class Machine:
    """Keeps processes running until SIGTERM or SIGINT. Use it from the main thread."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        run_dir: Path,
        stall_seconds: float,
        policy: RestartPolicy | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        """`stall_seconds`: a process that answers nobody for so long is killed; 0: never.

        `manager`: who started this process, and is told how all of them are.
        """
        self._kept = [_Kept(spec) for spec in specs]
        self._reports = Reports(manager or ServiceManager(), [spec.name for spec in specs])
        self._run_dir = run_dir
        self._stall_seconds = stall_seconds
        self._policy = policy or RestartPolicy()
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._failure: LocalStackError | None = None

    def run(self) -> None:
        """Returns when all have ended that were asked to. Raises LocalStackError when one cannot be kept running."""
        with _signals() as told, self._selector:
            self._selector.register(told, selectors.EVENT_READ)
            try:
                while not self._stopping and self._failure is None:
                    for kept in self._kept:
                        self._see_to(kept)
                    self._wait(min(kept.due for kept in self._kept))
            finally:
                self._stopping = True
                self._end_all()
        if self._failure is not None:
            raise self._failure

    # --- waiting --------------------------------------------------------------------------------------------

    def _wait(self, until: float) -> None:
        """For a signal, an answer, or the time `until`; and note it."""
        patience = None if until == math.inf else max(0.0, until - time.monotonic())
        for key, _ in self._selector.select(patience):
            if isinstance(key.data, _Kept):
                self._answered(key.data)
            else:
                self._stopping |= not _STOPPING.isdisjoint(_drained(key.fileobj))
        for kept in self._kept:
            self._reap(kept)

    def _reap(self, kept: _Kept) -> None:
        if kept.pid is None:
            return
        pid, status = os.waitpid(kept.pid, os.WNOHANG)
        if pid:
            self._ended(kept, kept.pid, os.waitstatus_to_exitcode(status))

    # --- lives ----------------------------------------------------------------------------------------------

    def _see_to(self, kept: _Kept) -> None:
        now = time.monotonic()
        if now < kept.due:
            return
        if kept.pid is None:
            self._begin(kept, now)
        elif now >= kept.over_at:
            _log.error(
                "process_stands_still", process=kept.spec.name, pid=kept.pid, seconds=self._stall_seconds
            )
            self._signal(kept, signal.SIGKILL)
            self._ask_no_more(kept)
        elif kept.question is not None:
            self._forget(kept, now)
        else:
            self._ask(kept, kept.pid, now)

    def _begin(self, kept: _Kept, now: float) -> None:
        try:
            kept.pid = forked(f"ecp-{kept.spec.name}", kept.spec.run)
        except OSError as error:  # the machine has no room for one more just now
            _log.error("process_not_started", process=kept.spec.name, error=str(error))
            kept.begin_at = now + self._policy.max_backoff
            return
        kept.began = now
        if self._stall_seconds or self._reports.wanted:
            kept.ask_at = now + self._pause
        if self._stall_seconds:
            kept.over_at = now + max(START_SECONDS, self._stall_seconds)
        _log.info("process_started", process=kept.spec.name, pid=kept.pid)

    def _ended(self, kept: _Kept, pid: int, code: int) -> None:
        """Whatever it was: `code` is negative for a signal."""
        self._ask_no_more(kept)
        self._reports.ended(kept.spec.name)
        socket_of(self._run_dir, pid).unlink(missing_ok=True)
        kept.pid = None
        if self._stopping:
            return
        now, policy = time.monotonic(), self._policy
        kept.quick_deaths = kept.quick_deaths + 1 if now - kept.began < policy.quick_seconds else 1
        what = explain_exit(kept.spec.name, code, "")
        if kept.quick_deaths >= policy.max_quick_deaths:
            self._failure = LocalStackError(
                f"{what}, {kept.quick_deaths} times in a row", hint="its log says why"
            )
            return
        _log.error("process_ended", process=kept.spec.name, code=code, reason=what)
        kept.begin_at = now + policy.backoff(kept.quick_deaths)

    def _signal(self, kept: _Kept, number: signal.Signals) -> None:
        if kept.pid is not None:  # not reaped yet, so the number is its own
            if number is signal.SIGKILL:
                _log.warning("process_killed", process=kept.spec.name, pid=kept.pid)
            os.kill(kept.pid, number)

    def _end_all(self) -> None:
        """Ask all fronts to end what they are doing, then the worker, which hears what they still commit; make those
        that do not. None is left afterwards."""
        self._reports.stopping()
        for seconds in sorted({kept.spec.stop_seconds for kept in self._kept}, reverse=True):
            group = [kept for kept in self._kept if kept.spec.stop_seconds == seconds]
            for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, math.inf)):
                for kept in group:
                    self._signal(kept, number)
                self._await(group, time.monotonic() + patience)

    def _await(self, group: Collection[_Kept], until: float) -> None:
        while any(kept.pid is not None for kept in group) and time.monotonic() < until:
            self._wait(until)

    # --- whether they are well ------------------------------------------------------------------------------

    def _ask(self, kept: _Kept, pid: int, now: float) -> None:
        """What a process's own watchdog cannot see is that it is stopped."""
        try:
            kept.question = Question(socket_of(self._run_dir, pid), self._reports.question(kept.spec.name))
        except OSError:
            kept.ask_at = now + self._pause
            return
        self._selector.register(kept.question, selectors.EVENT_READ, kept)
        kept.ask_at = now + ANSWER_SECONDS

    def _answered(self, kept: _Kept) -> None:
        now, question = time.monotonic(), kept.question
        if question is not None:
            well = question.is_answered_well()
            if well and self._stall_seconds:
                kept.over_at = now + self._stall_seconds
            self._reports.answered(kept.spec.name, question.asked, well=well)
        self._forget(kept, now)

    def _forget(self, kept: _Kept, now: float) -> None:
        if kept.question is not None:
            self._selector.unregister(kept.question)
            kept.question.close()
        kept.question, kept.ask_at = None, now + self._pause

    @property
    def _pause(self) -> float:
        """Between two questions to a process."""
        return STARTING_SECONDS if self._reports.starting else PING_SECONDS

    def _ask_no_more(self, kept: _Kept) -> None:
        self._forget(kept, math.inf)
        kept.over_at = math.inf


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Meanwhile the numbers of signals can be read from the socket."""
    told, tell = socket.socketpair()
    with told, tell:
        told.setblocking(False)
        tell.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in HANDLED}
        woken = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        try:
            yield told
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)


def _drained(told: Any) -> set[int]:
    """The signals that have come."""
    found: set[int] = set()
    with contextlib.suppress(BlockingIOError):
        while numbers := told.recv(4096):
            found.update(numbers)
    return found


def serve(settings: Settings, run: Callable[[Settings], None], manager: ServiceManager | None = None) -> None:
    """Until SIGTERM or SIGINT. `run` serves in one role and is called in processes of its own.

    Raises LocalStackError when a process cannot be kept running.
    """
    check_settings(settings)
    free_port(settings.host, settings.port)
    with run_dir() as folder:
        # What is there stays, and is not written to by collections: children share it with us.
        gc.freeze()
        stall = settings.watchdog_seconds
        Machine(specs(settings, folder, run), folder, stall, manager=manager).run()
