"""`ecpmon serve` on one machine: fronts on one port and a worker, started, watched, stopped together (ADR 0010).

This process answers nobody and opens no database. It starts its children anew when they end, and ends them when they
stand still; what it cannot mend it says, and ends with them. None of them outlives it, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog

from ecpmon.errors import LocalStackError
from ecpmon.local.process import launch_argv
from ecpmon.local.supervisor import RestartPolicy, explain_exit
from ecpmon.serving import check_settings
from ecpmon.settings import Settings

_log = structlog.get_logger(__name__)
COMMAND: Final = (sys.executable, "-m", "ecpmon", "serve")
# Longer than a front waits for what it is answering.
FRONT_STOP_SECONDS: Final = 18.0
WORKER_STOP_SECONDS: Final = 8.0
# Processes of a watcher that was killed may be about to end.
PORT_SECONDS: Final = 3.0
PING_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
# How long a process may be silent at first.
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """`environ`: all of its environment."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    stop_seconds: float


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def specs(settings: Settings, run_dir: Path, environ: Mapping[str, str]) -> list[ProcessSpec]:
    """Fronts, then the worker: they are stopped in this order."""

    count = settings.fronts or cores()

    def spec(name: str, role: str, number: int, stop_seconds: float) -> ProcessSpec:
        own = {
            "ECPMON_ROLE": role,
            "ECPMON_FRONTS": str(count),
            "ECPMON_FRONT": str(number),
            "ECPMON_RUN_DIR": str(run_dir),
        }
        return ProcessSpec(name, COMMAND, {**environ, **own}, stop_seconds)

    fronts = [spec(f"front-{n}", "front", n, FRONT_STOP_SECONDS) for n in range(1, count + 1)]
    return [*fronts, spec("worker", "worker", 0, WORKER_STOP_SECONDS)]


async def free_port(host: str, port: int) -> None:
    """Wait a moment for those who had the port before us. Raises LocalStackError."""
    now = asyncio.get_running_loop().time
    give_up = now() + PORT_SECONDS
    while True:
        try:
            return _check_port(host, port)
        except LocalStackError:
            if now() >= give_up:
                raise
        await asyncio.sleep(0.1)


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


class Machine:
    """Keeps processes running until `stop`; `failed` is set when one of them cannot be kept."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        run_dir: Path,
        stall_seconds: float,
        policy: RestartPolicy | None = None,
    ) -> None:
        """`stall_seconds`: a process that answers nobody for so long is killed; 0: never."""
        self._specs = specs
        self._run_dir = run_dir
        self._stall_seconds = stall_seconds
        self._policy = policy or RestartPolicy()
        self._stopping = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.failed: asyncio.Future[LocalStackError] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        for spec in self._specs:
            self._tasks[spec.name] = asyncio.create_task(self._keep(spec), name=f"keep {spec.name}")

    async def stop(self) -> None:
        """Ask all fronts to end what they are doing, then the worker, which hears what they still commit; make those
        that do not. None is left afterwards."""
        self._stopping.set()
        for seconds in sorted({spec.stop_seconds for spec in self._specs}, reverse=True):
            names = [spec.name for spec in self._specs if spec.stop_seconds == seconds]
            tasks = [self._tasks[name] for name in names]
            for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, None)):
                for name in names:
                    self._signal(name, number)
                await asyncio.wait(tasks, timeout=patience)

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self.processes.get(name)
        if process is not None and process.returncode is None:
            if number is signal.SIGKILL:
                _log.warning("process_killed", process=name, pid=process.pid)
            process.send_signal(number)

    async def _keep(self, spec: ProcessSpec) -> None:
        """One life after the other, until stopped or given up."""
        quick_deaths, now = 0, asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = now()
            code = await self._live(spec)
            if self._stopping.is_set():
                return
            quick_deaths = quick_deaths + 1 if now() - started < self._policy.quick_seconds else 1
            what = explain_exit(spec.name, code, "")
            if quick_deaths >= self._policy.max_quick_deaths:
                error = LocalStackError(f"{what}, {quick_deaths} times in a row", hint="its log says why")
                if not self.failed.done():
                    self.failed.set_result(error)
                return
            _log.error("process_ended", process=spec.name, code=code, reason=what)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._policy.backoff(quick_deaths))

    async def _live(self, spec: ProcessSpec) -> int:
        """From the start to the end of a process; its exit code, negative for a signal."""
        process = await asyncio.create_subprocess_exec(
            *launch_argv(spec.argv, None, signal.SIGKILL), env=dict(spec.environ), start_new_session=True
        )
        self.processes[spec.name] = process
        _log.info("process_started", process=spec.name, pid=process.pid)
        watching = asyncio.create_task(self._watch(spec.name, process.pid))
        try:
            return await process.wait()
        finally:
            watching.cancel()
            socket_of(self._run_dir, process.pid).unlink(missing_ok=True)

    async def _watch(self, name: str, pid: int) -> None:
        """Kill a process that stands still. What its own watchdog cannot see is that it is stopped."""
        if not self._stall_seconds:
            return
        now = asyncio.get_running_loop().time
        answered_at, patience = now(), max(START_SECONDS, self._stall_seconds)
        while now() - answered_at < patience:
            await asyncio.sleep(PING_SECONDS)
            if await _answers(socket_of(self._run_dir, pid)):
                answered_at, patience = now(), self._stall_seconds
        _log.error("process_stands_still", process=name, pid=pid, seconds=self._stall_seconds)
        self._signal(name, signal.SIGKILL)


async def _answers(path: Path) -> bool:
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
            session.get("http://process/health") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises LocalStackError when a process cannot be kept running."""
    check_settings(settings)
    await free_port(settings.host, settings.port)
    run_dir = Path(tempfile.mkdtemp(prefix="ecpmon-"))  # 0700: nobody else comes in
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    machine = Machine(specs(settings, run_dir, os.environ), run_dir, settings.watchdog_seconds)
    machine.start()
    stopping = asyncio.create_task(stopped.wait())
    try:
        ends: set[asyncio.Future[Any]] = {stopping, machine.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await machine.stop()
        shutil.rmtree(run_dir, ignore_errors=True)
    if machine.failed.done():
        raise machine.failed.result()
