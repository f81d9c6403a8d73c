"""Keeps children running: ordered start, restart with back-off, ordered stop, no orphans."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecpmon.errors import LocalStackError
from ecpmon.local.deaths import NO_SPACE, RestartPolicy, explain_exit
from ecpmon.local.process import ChildSpec, log_tail, signal_group, spawn

_POLL_SECONDS = 0.05
_FULL_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person watching the stack should know. `exit_code` is negative for a signal."""

    name: str
    text: str
    exit_code: int | None = None
    log_tail: str = ""


Emit = Callable[[Message], None]


class Supervisor:
    """Supervises `specs`; they are stopped in the reverse of that order.

    One failure that cannot be repaired ends `wait_failed` with a LocalStackError. Use it from one event loop,
    on the main thread (the kernel ties the children's lives to the thread that started them).
    """

    def __init__(self, specs: Sequence[ChildSpec], emit: Emit, policy: RestartPolicy | None = None) -> None:
        self._guard = _Guard()
        self._failed: asyncio.Future[LocalStackError] = asyncio.get_running_loop().create_future()
        policy = policy or RestartPolicy()
        self._children = {s.name: _Child(s, emit, policy, self._guard, self._failed) for s in specs}

    async def start(self, name: str) -> None:
        """Start one child and wait until it is ready. Raises LocalStackError."""
        await self._children[name].start()

    async def run_once(self, spec: ChildSpec) -> None:
        """Run a program to its end. Raises LocalStackError unless it succeeds; cancelling it kills it."""
        process = spawn(spec)
        self._guard.add(process.pid, spec.death_signal)
        try:
            await _exited(process.pid)
        finally:
            code = _reap(process)
            self._guard.remove(process.pid)
        if code != 0:
            tail = log_tail(spec.log_file)
            raise LocalStackError(
                explain_exit(spec.name, code, tail) + f"\n{tail}", hint=f"the log is {spec.log_file}"
            )

    def pid(self, name: str) -> int | None:
        """The process id of a child that is running."""
        return self._children[name].pid

    async def wait_failed(self) -> LocalStackError:
        """Wait until a child is given up; returns the error to raise."""
        return await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Stop every child, last one first; none is left afterwards."""
        for child in reversed(self._children.values()):
            await child.stop()
        self._guard.close()


class _Child:
    def __init__(
        self, spec: ChildSpec, emit: Emit, policy: RestartPolicy, guard: _Guard,
        failed: asyncio.Future[LocalStackError],
    ) -> None:  # fmt: skip
        self.spec = spec
        self._emit = emit
        self._policy = policy
        self._guard = guard
        self._failed = failed
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise-{self.spec.name}")
        await asyncio.wait({self._ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            await self._task  # raises what nobody foresaw
            raise asyncio.CancelledError  # stopped before it was ready
        await self._ready

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(
                self._task, return_exceptions=True
            )  # the others must be stopped all the same
        if self._ready is not None and not self._ready.cancel() and not self._ready.cancelled():
            self._ready.exception()  # seen, even when whoever awaited it was cancelled

    async def _keep_running(self) -> None:
        """Until stopped or given up; the outcome goes to `_ready` or `_failed`."""
        quick_deaths = 0
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            try:
                code = await self._run_to_death()
            except LocalStackError as error:
                self._give_up(error)
                return
            except OSError as error:
                self._give_up(_cannot_start(self.spec, error))
                return
            if code is None:
                return
            lifetime = asyncio.get_running_loop().time() - started
            quick_deaths = quick_deaths + 1 if lifetime < self._policy.quick_seconds else 1
            if not self._may_restart(code, quick_deaths):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._policy.backoff(quick_deaths))

    def _may_restart(self, code: int, quick_deaths: int) -> bool:
        tail = log_tail(self.spec.log_file)
        what = explain_exit(self.spec.name, code, tail)
        # Once it has run, a full disk is no reason to give up: with space it will run again, and nothing is lost.
        may_heal = self._ready is not None and self._ready.done() and _disk_is_full(tail, self.spec.log_file)
        if quick_deaths >= self._policy.max_quick_deaths and not may_heal:
            self._give_up(
                LocalStackError(
                    f"{what}, {quick_deaths} times in a row\n{tail}",
                    hint=_hint(tail, self.spec.log_file),
                    details={"child": self.spec.name, "exit_code": code},
                )
            )
            return False
        self._emit(Message(self.spec.name, f"{what}; starting it again", code, tail))
        return True

    async def _run_to_death(self) -> int | None:
        """One life. The exit code, or None when we were asked to stop (and did)."""
        if self.spec.prepare is not None:
            await asyncio.to_thread(self.spec.prepare)
        process = self._process = spawn(self.spec, lambda text: self._emit(Message(self.spec.name, text)))
        self._guard.add(process.pid, self.spec.death_signal)
        try:
            if await self._wait_ready(process) and self._ready is not None:
                if self._ready.done():
                    self._emit(Message(self.spec.name, f"{self.spec.name} is running again"))
                else:
                    self._ready.set_result(None)
            while not _has_exited(process.pid):
                if self._stopping.is_set():
                    await self._end(process)
                    return None
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            code = _reap(process)
            self._process = None
            self._guard.remove(process.pid)
        return None if self._stopping.is_set() else code

    async def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """False when it died or we are stopping; raises when it takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.spec.ready_timeout
        while not _has_exited(process.pid) and not self._stopping.is_set():
            if await self.spec.ready():
                return True
            if loop.time() > deadline:
                raise LocalStackError(
                    f"{self.spec.name} did not become ready within {self.spec.ready_timeout:.0f} s\n"
                    + log_tail(self.spec.log_file),
                    hint=f"the log is {self.spec.log_file}",
                )
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask nicely; whoever is left after the timeout is killed by `_reap`."""
        process.send_signal(self.spec.stop_signal)
        deadline = asyncio.get_running_loop().time() + self.spec.stop_timeout
        while not _has_exited(process.pid):
            if asyncio.get_running_loop().time() > deadline:
                self._emit(Message(self.spec.name, f"{self.spec.name} did not stop in time and was killed"))
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _give_up(self, error: LocalStackError) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
        elif not self._failed.done():
            self._failed.set_result(error)


class _Guard:
    """The process of guard.py, told which process groups are ours."""

    def __init__(self) -> None:
        argv = [sys.executable, "-I", "-S", os.fspath(Path(__file__).with_name("guard.py"))]
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            argv, stdin=subprocess.PIPE, start_new_session=True
        )

    def add(self, pid: int, death_signal: signal.Signals) -> None:
        self._tell(f"+ {pid} {int(death_signal)}\n")

    def remove(self, pid: int) -> None:
        self._tell(f"- {pid}\n")

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        with contextlib.suppress(
            BrokenPipeError
        ):  # somebody killed the guard: the parent-death signal remains
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def _has_exited(pid: int) -> bool:
    """Without reaping: the number stays reserved, so that signalling the group cannot hit a stranger."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


async def _exited(pid: int) -> None:
    while not _has_exited(pid):  # noqa: ASYNC110 - the kernel sets no asyncio.Event
        await asyncio.sleep(_POLL_SECONDS)


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the child's process group and collect the exit code."""
    signal_group(process.pid, signal.SIGKILL)
    return process.wait()


def _disk_is_full(tail: str, log_file: Path) -> bool:
    """The child may not have been able to write that down."""
    return NO_SPACE in tail.lower() or shutil.disk_usage(log_file.parent).free < _FULL_BYTES


def _cannot_start(spec: ChildSpec, error: OSError) -> LocalStackError:
    return LocalStackError(
        f"{spec.name} cannot be started: {error.strerror or error} ({error.filename or spec.argv[0]})",
        hint="check that the file exists and that you may use it; removing ecpmon's cache fetches it again",
    )


def _hint(tail: str, log_file: Path) -> str:
    if NO_SPACE in tail.lower():
        return f"free some space on the disk, then start again; the log is {log_file}"
    return f"look at the end of {log_file}, then start again"
