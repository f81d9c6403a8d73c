"""Log lines that cannot be written cost nothing but themselves."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from ecpmon.loglines import MAX_LINE_BYTES, MAX_WAITING_BYTES, LineHandler, LogStream, lines_lost
from ecpmon.logs import Rendering
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE

Lost = Callable[[], dict[str, int]]
FOREIGN = ("ecpmon.simulator", "asyncio", "aiohttp.server", "aiohttp.access")


@pytest.fixture
def lost() -> Lost:
    """`lost()`: reason -> lines lost since the test began, without those of which none was."""
    before = lines_lost()
    return lambda: {r: n - before[r] for r, n in lines_lost().items() if n > before[r]}


@pytest.fixture
def full() -> Iterator[int]:
    """A device that answers every write with `No space left on device`."""
    fd = os.open("/dev/full", os.O_WRONLY)
    yield fd
    os.close(fd)


def logger_of(name: str, stream: LogStream) -> logging.Logger:
    logger = logging.Logger(name)
    logger.addHandler(LineHandler(stream))
    return logger


def structured(stream: LogStream) -> Any:
    return structlog.wrap_logger(
        structlog.WriteLogger(stream),  # type: ignore[arg-type]
        processors=[Rendering([structlog.processors.JSONRenderer()])],
    )


def test_a_full_disk_loses_lines_and_nothing_else(full: int, lost: Lost) -> None:
    troubles: list[OSError] = []
    stream = LogStream(full, troubles.append)
    for name in FOREIGN:
        logger_of(name, stream).error("told %s", name)
    structured(stream).error("told")
    stream.close()
    assert lost() == {"unwritable": len(FOREIGN) + 1}
    assert [e.strerror for e in troubles] == ["No space left on device"], "it is said once"
    shown = generate_latest(Telemetry().registry).decode()
    assert f'ecpmon_log_lines_lost_total{{reason="unwritable"}} {lines_lost()["unwritable"]}.0' in shown


@pytest.mark.parametrize("fd", [None, 987_654], ids=["none", "closed"])
def test_a_log_that_is_closed_loses_lines_and_nothing_else(fd: int | None, lost: Lost) -> None:
    stream = LogStream(fd)
    structured(stream).error("told")
    stream.close()
    assert lost() == {"unwritable": 1}


def test_a_reader_that_has_gone_loses_lines_and_nothing_else(lost: Lost) -> None:
    read, write = os.pipe()
    os.close(read)
    stream = LogStream(write)
    logger_of("asyncio", stream).error("told")
    stream.close()
    os.close(write)
    assert lost() == {"unwritable": 1}


def test_a_pipe_that_nobody_reads_holds_nobody_up(lost: Lost) -> None:
    read, write = os.pipe()
    stream = LogStream(write)
    line = "x" * (MAX_LINE_BYTES - 1)
    enough = 2 * MAX_WAITING_BYTES // MAX_LINE_BYTES
    finished = threading.Event()

    def log() -> None:
        for _ in range(enough):
            logger_of("aiohttp.server", stream).error(line)
        finished.set()

    threading.Thread(target=log, daemon=True).start()
    assert finished.wait(PATIENCE), "whoever logs waits for the reader"
    assert lost()["waiting"] >= enough // 2 - 2
    began = time.monotonic()
    stream.close(patience=0.1)
    assert time.monotonic() - began < 30, "nor does the end of the process wait for him"
    os.close(
        read
    )  # ends the writing thread, which counts what it still had as lost: not during the next test
    stream._thread.join(PATIENCE)
    assert not stream._thread.is_alive()


def test_when_there_is_space_again_lines_are_written_again_and_the_loss_is_told(
    tmp_path: Path, full: int, lost: Lost
) -> None:
    path = tmp_path / "log"
    told: list[int] = []
    recovered = threading.Event()
    fd = os.dup(full)

    def on_recovery(lines: int) -> None:
        told.append(lines)
        recovered.set()

    refused = threading.Event()
    stream = LogStream(fd, lambda _: refused.set(), on_recovery)
    stream.write("one\n")
    assert refused.wait(PATIENCE)
    with path.open("wb") as good:
        os.dup2(good.fileno(), fd)
        stream.write("two\n")
        assert recovered.wait(PATIENCE)
        stream.close()
    os.close(fd)
    assert (path.read_text(), told, lost()) == ("two\n", [1], {"unwritable": 1})


def test_a_line_of_which_a_part_was_written_is_not_continued_by_the_next(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    room = 0
    while True:  # leave room for a part of the first line: a pipe takes what fits
        try:
            room += os.write(write, b"." * 4096)
        except BlockingIOError:
            break
    os.read(read, 4096)
    refused = threading.Event()
    stream = LogStream(write, lambda _: refused.set())
    stream.write("a" * 5000 + "\n")
    assert refused.wait(PATIENCE)
    os.read(read, room - 4096)
    stream.write("second\n")
    stream.close()
    assert os.read(read, 10_000).endswith(b"a\nsecond\n")
    os.close(read)
    os.close(write)


def test_what_cannot_be_shown_leaves_a_line_that_says_so(tmp_path: Path, lost: Lost) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ZeroDivisionError

        __str__ = __repr__

    path = tmp_path / "log"
    with path.open("wb") as file:
        stream = LogStream(file.fileno())
        structured(stream).error("broken_value", value=Broken())
        structured(stream).error("half of a pair: \ud800", value="\udfff")
        logger_of("asyncio", stream).error("%s", Broken())
        stream.close()
    first, second = path.read_text().splitlines()
    assert "broken_value" in first
    assert "ZeroDivisionError" in first
    assert "half of a pair" in second
    assert lost() == {"unprintable": 2}


def test_a_line_has_a_longest_length(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        stream = LogStream(file.fileno())
        stream.write("x" * 10 * MAX_LINE_BYTES)
        stream.close()
    assert path.stat().st_size < 2 * MAX_LINE_BYTES
