"""A process that goes on from what this one has imported, in memory that both share, and does not outlive it.

Invariants: who forks has one thread and runs no event loop, so that nothing of it is half done in the child; the child
never returns into the code of its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ecpmon.errors import EcpError

_PR_SET_PDEATHSIG: Final = 1
_MOST_DESCRIPTORS: Final = 2**16
# What the parent handles in ways of its own.
HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def forked(name: str, run: Callable[[], None]) -> int:
    """The id of a new process in a session of its own, killed with its parent; it does `run` and ends.

    `name` is what `ps -o comm` shows (15 characters). Exit code 0, or 1 when `run` raised, which is told on stderr.
    """
    if threading.active_count() > 1:
        raise RuntimeError(
            "a process with threads cannot be forked: their locks would never be free in the child"
        )
    parent = os.getpid()
    # A signal for the child must wait until it does not have the parent's handlers any more.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            _live(name, run, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _live(name: str, run: Callable[[], None], parent: int) -> None:
    """All that the child does. Never returns."""
    code = 1
    try:
        os.setsid()
        _end_with(parent)
        signal.set_wakeup_fd(-1)
        os.closerange(3, _MOST_DESCRIPTORS)  # what is open belongs to the parent
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        _be_called(name)
        code = _code_of(run)
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above could take effect
        os._exit(143)


def _be_called(name: str) -> None:
    with contextlib.suppress(OSError):  # a system without /proc: it keeps its parent's name
        Path("/proc/self/comm").write_text(name)


def _code_of(run: Callable[[], None]) -> int:
    try:
        run()
    except EcpError as error:
        _tell(f"error: {error.message}\n")
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - nobody is above us but the parent's code, which is not ours to go on with
        _tell(traceback.format_exc())
        return 1
    return 0


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed
        sys.stderr.write(text)
        sys.stderr.flush()
