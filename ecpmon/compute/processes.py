"""Processes that compute, as the process sees them that they work for.

Invariants
- A process has one call at a time; what it is asked next, it is asked when it has answered.
- Whoever has not answered within the limit is killed, and so is whose caller was cancelled: it is never asked again.
- A process that ended is replaced by the next call; the call that it had is refused, not tried again, as it may be
  what ended it.
- The nursery is forked before the event loop begins. When it is gone, or stands still and is ended for that, another is
  started as a program, as a process with threads cannot be forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any, Final

import structlog

from ecpmon.compute import refusal
from ecpmon.compute.nursery import ANSWER, KILL, LENGTH, NEW, ORDER, tend
from ecpmon.compute.parcels import opened, packed

_log = structlog.get_logger(__name__)
IDLE_SECONDS: Final = 60.0
# Between two starts of a nursery.
_PAUSE: Final = 1.0
_END_SECONDS: Final = 2.0
# A nursery that does not do what it was told for so long stands still; a new one has to import what computes first.
_STANDS_STILL: Final = 30.0


class Nursery:
    """The process that forks others for us. `command` starts another one, given the number of its socket."""

    def __init__(
        self,
        prepare: Callable[[], None],
        command: Sequence[str],
        preload: Callable[[], None] = lambda: None,
        *,
        ahead: bool = True,
    ) -> None:
        """Forks: call it before there are threads. `prepare` is called in every process that is to compute; `preload`
        once in the nursery, when it has forked the first or, `ahead`, has rested from the start."""
        self._command = command
        self._numbers = count(1)
        self._started = monotonic()
        self._program: subprocess.Popen[bytes] | None = None
        # Orders for a process that it has not said it carried out, and since when there are any.
        self._unanswered, self._asked = 0, 0.0
        ours, its = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            ours.close()
            tend(its, prepare, preload, ahead=ahead)
        its.close()
        self._control: socket.socket | None = _own(ours)

    def new(self) -> tuple[int, socket.socket]:
        """Number and socket of a process that will compute. Raises Overloaded."""
        control = self._alive() or self._start_anew()
        number = next(self._numbers)
        ours, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(control, [ORDER.pack(NEW, number)], [its.fileno()])
            except OSError as error:
                ours.close()
                self._give_up()
                raise refusal("starting", "what computes here has just ended") from error
        if not self._unanswered:
            self._asked = monotonic()
        self._unanswered += 1
        return number, _own(ours)

    def kill(self, number: int) -> None:
        """Nothing happens when it is gone already."""
        if self._control is not None:
            try:
                self._control.send(ORDER.pack(KILL, number))
            except OSError:
                self._give_up()  # and the kernel ends whom it forked

    def _alive(self) -> socket.socket | None:
        """Its socket; what can be read there is a byte for each process that it has forked, or its end."""
        if self._control is not None:
            try:
                while said := self._control.recv(1024):
                    self._unanswered -= len(said)
            except BlockingIOError:
                if not self._unanswered or monotonic() - self._asked < _STANDS_STILL:
                    return self._control
                _log.error("nursery_stands_still", pid=self.pid)
                os.kill(self.pid, signal.SIGKILL)  # not reaped yet, so the number is its own
            except OSError as error:
                _log.warning("nursery_lost", error=str(error))
            self._give_up()
        return None

    def _start_anew(self) -> socket.socket:
        if monotonic() - self._started < _PAUSE:
            raise refusal("starting", "what computes here has just ended")
        self._started = monotonic()
        ours, its = socket.socketpair()
        with its:
            fd = its.fileno()
            self._program = subprocess.Popen(  # noqa: S603 - our own command
                [*self._command, str(fd)], pass_fds=[fd], stdin=subprocess.DEVNULL
            )
        self.pid, self._unanswered = self._program.pid, 0
        _log.warning("nursery_started_anew", pid=self.pid)
        self._control = _own(ours)
        return self._control

    def _give_up(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
            self._reap()

    def _reap(self) -> None:
        if self._program is not None:
            self._program.poll()
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)

    async def close(self) -> None:
        """It ends, and with it all that it forked."""
        self._give_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.to_thread(self._wait)

    def _wait(self) -> None:
        if self._program is not None:
            self._program.wait()
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


class Processes:
    """`compute.Hands` of a nursery.

    `on_end(why)` is called for each that ended: late, died, stopped, idle, or ended (it has held too much).
    """

    def __init__(
        self,
        nursery: Nursery,
        most: int,
        on_end: Callable[[str], None] = lambda _: None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._nursery = nursery
        self._most = most
        self.on_end = on_end
        self._idle_seconds = idle_seconds
        # Who waits for a call; used last, asked first, so that the others can go.
        self._idle: dict[_Process, asyncio.TimerHandle] = {}
        self._closed = False

    @property
    def count(self) -> int:
        return self._most

    async def work(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], limit: float
    ) -> Any:
        call = packed(function, args, kwargs)
        process = self._one()
        try:
            async with asyncio.timeout(limit):
                last, answer = await process.ask(call)
        except TimeoutError:
            self._end(process, "late")
            raise refusal("late", "this takes too long right now") from None
        except (OSError, EOFError):
            self._end(process, "died")
            raise refusal("died", "what computed this has ended") from None
        except BaseException:
            self._end(process, "stopped")
            raise
        if last:
            process.connection.close()
            self.on_end("ended")
        else:
            self._keep(process)
        return opened(answer)

    async def close(self) -> None:
        self._closed = True
        for process in list(self._idle):
            self._take(process)
            process.connection.close()
        await self._nursery.close()

    def _one(self) -> _Process:
        if self._idle:
            process = next(reversed(self._idle))
            self._take(process)
            return process
        return _Process(*self._nursery.new())

    def _keep(self, process: _Process) -> None:
        if self._closed:
            process.connection.close()
            return
        loop = asyncio.get_running_loop()
        # It says nothing of its own: what can be read is its end.
        loop.add_reader(process.connection, self._forget, process, "ended")
        self._idle[process] = loop.call_later(self._idle_seconds, self._forget, process, "idle")

    def _forget(self, process: _Process, why: str) -> None:
        self._take(process)
        process.connection.close()
        self.on_end(why)

    def _take(self, process: _Process) -> None:
        asyncio.get_running_loop().remove_reader(process.connection)
        self._idle.pop(process).cancel()

    def _end(self, process: _Process, why: str) -> None:
        process.connection.close()
        self._nursery.kill(process.number)
        self.on_end(why)
        _log.warning("computation_ended", why=why)


class _Process:
    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self.connection = connection

    async def ask(self, call: bytes) -> tuple[bool, bytearray]:
        """Whether it takes no other call, and the answer. Raises OSError or EOFError when it has ended."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.connection, LENGTH.pack(len(call)))
        await loop.sock_sendall(self.connection, call)
        last, size = ANSWER.unpack(await self._exactly(ANSWER.size))
        return last, await self._exactly(size)

    async def _exactly(self, size: int) -> bytearray:
        loop, buffer, got = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(buffer)
        while got < size:
            some = await loop.sock_recv_into(self.connection, view[got:])
            if not some:
                raise EOFError
            got += some
        return buffer


def _own(connection: socket.socket) -> socket.socket:
    connection.setblocking(False)
    return connection
