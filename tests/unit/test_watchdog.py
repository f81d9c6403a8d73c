"""The watchdog with real processes: what it ends, what it leaves alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from ecpmon.watchdog import EXIT_STALLED, STALL_SIGNAL
from tests.processes import bound
from tests.waiting import PATIENCE

LIMIT = 1.0
PROGRAM = f"""
import asyncio, re, sys, time
from ecpmon.watchdog import Watchdog

def asleep(): time.sleep(600)
def busy():
    while True: pass
def locked(): re.match("(a|aa)+$", "a" * 200 + "b")  # C code that keeps the interpreter's lock

async def main(what):
    watchdog = Watchdog(asyncio.get_running_loop(), {LIMIT}, tick={LIMIT} / 10)
    watchdog.start()
    print("begun", flush=True)
    if what == "turns":
        await asyncio.to_thread(sys.stdin.readline)
    else:
        globals()[what]()
    watchdog.stop()
    print("done", flush=True)

asyncio.run(main(sys.argv[1]))
"""


def begin(what: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        bound([sys.executable, "-c", PROGRAM, what]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("what", "code"), [("asleep", EXIT_STALLED), ("busy", EXIT_STALLED), ("locked", -STALL_SIGNAL)]
)
def test_a_loop_that_stands_still_ends_its_process_and_the_stack_says_why(what: str, code: int) -> None:
    process = begin(what)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert f"in {what}\n" in log
    assert "in main\n" in log
    if code == EXIT_STALLED:
        assert log.index(f"in {what}\n") < log.index("watchdog:"), "the main thread comes first"
    assert ("stood still for 1 s" in log) == (code == EXIT_STALLED)


def test_a_loop_that_turns_is_left_alone_also_after_its_process_was_stopped_for_long() -> None:
    process = begin("turns")
    process.send_signal(signal.SIGSTOP)
    time.sleep(2 * LIMIT)
    process.send_signal(signal.SIGCONT)
    time.sleep(1.5 * LIMIT)
    output, log = process.communicate("go on\n", timeout=PATIENCE)
    assert (process.returncode, output, log) == (0, "done\n", "")


def test_a_log_that_nobody_reads_does_not_keep_it_alive() -> None:
    # The stacks of so deep a recursion do not fit into a pipe.
    program = PROGRAM.replace("def asleep(): time.sleep(600)", f"""
def {"deep" * 60}(n): {"deep" * 60}(n - 1) if n else time.sleep(600)
def asleep():
    import threading
    for _ in range(20): threading.Thread(target={"deep" * 60}, args=(90,), daemon=True).start()
    {"deep" * 60}(90)
""")  # fmt: skip
    process = subprocess.Popen(bound([sys.executable, "-c", program, "asleep"]), stderr=subprocess.PIPE)
    assert process.wait(PATIENCE) == EXIT_STALLED
    assert process.stderr is not None
    process.stderr.close()
