"""Where log lines go: a stream that never raises and never waits, whatever becomes of the file behind it.

A disk that is full, a pipe that nobody reads or a closed stderr costs log lines, which are counted; it must not cost
an answer, and it must not hold the event loop. Hence a thread writes, and a bounded queue feeds it.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import select
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

MAX_WAITING_BYTES: Final = 4 * 2**20
MAX_LINE_BYTES: Final = 64 * 2**10
# How long a line waits for a file that takes nothing just now (a non-blocking pipe).
_PATIENCE: Final = 1.0

# Reason -> lines lost by this process, for `ecpmon_log_lines_lost_total`.
_lost: Counter[str] = Counter({"unwritable": 0, "waiting": 0, "unprintable": 0})
_lost_lock: Final = threading.Lock()


def lines_lost() -> Mapping[str, int]:
    """Reason -> lines: `unwritable` (the file refused), `waiting` (too many waited), `unprintable`."""
    with _lost_lock:
        return dict(_lost)


def count_lost(reason: str) -> None:
    with _lost_lock:
        _lost[reason] += 1


class LogStream:
    """A text stream onto the file descriptor `fd` (None: there is none, every line is lost).

    `on_trouble(error)` is called when the first line of a row of them is refused, `on_recovery(lines)` when one is
    taken again; both on the writing thread.
    """

    def __init__(
        self,
        fd: int | None,
        on_trouble: Callable[[OSError], None] = lambda _: None,
        on_recovery: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._fd = fd
        self._on_trouble = on_trouble
        self._on_recovery = on_recovery
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = threading.Lock()
        self._waiting = 0
        self._missing = 0  # lines refused since one was taken
        self._torn = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Hand a line over; it is lost when too many wait."""
        line = text.encode("utf-8", "backslashreplace")
        if len(line) > MAX_LINE_BYTES:
            line = line[:MAX_LINE_BYTES] + b" [cut]\n"
        with self._room:
            taken = self._waiting + len(line) <= MAX_WAITING_BYTES
            self._waiting += len(line) if taken else 0
        if taken:
            self._lines.put(line)
        else:
            count_lost("waiting")
        return len(text)

    def flush(self) -> None:
        """The thread does that."""

    def close(self, patience: float = 2.0) -> None:
        """Write what waits, for at most `patience` seconds."""
        self._lines.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            except OSError as error:
                self._refused(error)
            else:
                self._took()
            with self._room:
                self._waiting -= len(line)

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            raise OSError("it is closed")
        # A disk that gets full takes a part of a line first: the next one must not continue it.
        left = memoryview(b"\n" + line if self._torn else line)
        while left:
            try:
                written = os.write(self._fd, left)
            except BlockingIOError:
                if not select.select([], [self._fd], [], _PATIENCE)[1]:
                    raise
            else:
                left = left[written:]
                self._torn = bool(left)

    def _refused(self, error: OSError) -> None:
        count_lost("unwritable")
        self._missing += 1
        if self._missing == 1:
            self._on_trouble(error)

    def _took(self) -> None:
        missing, self._missing = self._missing, 0
        if missing:
            self._on_recovery(missing)


class DirectStream:
    """The same without a thread, for a process that must have none: what `fd` does not take at once is lost."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def write(self, text: str) -> int:
        # What is called writable takes so many bytes without making us wait.
        line = text.encode("utf-8", "backslashreplace")[: select.PIPE_BUF]
        try:
            if self._fd is None:
                raise OSError("it is closed")
            if select.select([], [self._fd], [], 0)[1]:
                os.write(self._fd, line)
            else:
                count_lost("waiting")
        except OSError:
            count_lost("unwritable")
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


class LineHandler(logging.StreamHandler[LogStream]):
    """For the logs of the standard library, of asyncio and of aiohttp. A line that cannot be formatted is counted."""

    def handleError(self, record: logging.LogRecord) -> None:
        count_lost("unprintable")


def open_stderr(on_recovery: Callable[[int], None] = lambda _: None) -> LogStream:
    """The log on stderr. When stderr takes nothing, stdout is told so, once until it does again."""
    stream = LogStream(_own_stderr(), _complain, on_recovery)
    atexit.register(stream.close)
    return stream


def direct_stderr() -> DirectStream:
    """The log on stderr of a process that must have no thread."""
    return DirectStream(_own_stderr())


def _own_stderr() -> int | None:
    hold_standard_descriptors()
    try:
        return None if sys.stderr is None else os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        return None


def hold_standard_descriptors() -> None:
    """A process may be started without stdin, stdout or stderr: then no socket may get its number."""
    with contextlib.suppress(OSError):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(fd, True)
        os.close(fd)


def log_to_stderr(level: int, form: str = "%(asctime)s %(levelname)s %(name)s %(message)s") -> LogStream:
    """Logs of the standard library onto stderr."""
    stream = open_stderr()
    handler = LineHandler(stream)
    handler.setFormatter(logging.Formatter(form))
    logging.basicConfig(level=level, handlers=[handler])
    return stream


def _complain(error: OSError) -> None:
    text = f"ecpmon: stderr, where the log goes, cannot be written ({error.strerror or error}); going on without it\n"
    with contextlib.suppress(OSError):
        os.write(1, text.encode())
