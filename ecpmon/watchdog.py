"""Ends a process whose event loop stands still, so that whoever supervises it starts it anew.

Such a process answers nobody, renews nothing and says nothing about itself. What counts is its own running time: a
process that was stopped, or a machine that slept, did not stall. So a thread counts its own turns, one a second, not
the clock's.

A thread needs the interpreter's lock, and C code can hold that for minutes (a regular expression that backtracks).
For this the kernel counts the processor time used since the thread's last turn; past the limit it sends SIGPROF, which
writes the stacks and ends the process.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import traceback
from typing import Final, TextIO

# The exit code of a process that was ended here (EX_SOFTWARE); by SIGPROF when C code held the interpreter's lock.
EXIT_STALLED: Final = 70
STALL_SIGNAL: Final = signal.SIGPROF
# Stderr may be a pipe that nobody reads: how long the stacks may take to be written.
_DUMP_SECONDS: Final = 2.0


class Watchdog:
    """Watches `loop` from `start()` to `stop()`; `limit` is how many seconds it may stand still, `tick` one turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float, *, tick: float = 1.0) -> None:
        self._loop = loop
        self._limit = limit
        self._tick = tick
        # Between two turns of the thread every core may work for us without anything being wrong.
        self._processor_limit = limit + 2 * tick * (os.cpu_count() or 1)
        self._turned = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._log: TextIO = sys.stderr if _usable(sys.stderr) else open(os.devnull, "w")  # noqa: SIM115 - until the end

    def start(self) -> None:
        faulthandler.register(STALL_SIGNAL, self._log, all_threads=True, chain=True)
        signal.setitimer(signal.ITIMER_PROF, self._processor_limit)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.unregister(STALL_SIGNAL)

    def _watch(self) -> None:
        still = 0
        while not self._stopped.wait(self._tick):
            signal.setitimer(signal.ITIMER_PROF, self._processor_limit)
            still = 0 if self._turned else still + 1
            if still * self._tick >= self._limit:
                self._end()
            if still == 0:
                self._turned = False
                self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        self._turned = True

    def _end(self) -> None:
        dump = threading.Thread(target=self._dump, daemon=True)
        dump.start()
        dump.join(_DUMP_SECONDS)
        os._exit(EXIT_STALLED)

    def _dump(self) -> None:
        head = (
            f"the event loop has stood still for {self._limit:g} s of this process's own running time; "
            f"what held it is at the end of the first stack. Ending with code {EXIT_STALLED}\n"
        )
        # Not by faulthandler: it would keep the interpreter's lock while it waits for the log to be read.
        os.write(self._log.fileno(), (head + _stacks()).encode("utf-8", "backslashreplace"))


def _stacks() -> str:
    """Where every thread is, the main one first."""
    frames, main = sys._current_frames(), threading.main_thread().ident
    names = {t.ident: t.name for t in threading.enumerate()}
    return "".join(
        f"{names.get(number, number)}:\n{''.join(traceback.format_stack(frames[number]))}"
        for number in sorted(frames, key=lambda n: n != main)
    )


def _usable(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.fileno() >= 0
    except (OSError, ValueError):
        return False
