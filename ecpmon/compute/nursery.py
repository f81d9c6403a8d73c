"""The process that makes those that compute: a copy of its parent from before it had threads, loops or connections.

Invariants
- It forks, and does nothing else: no thread, no lock, no file of its parent's is in what it forks.
- What it forked computes one call at a time for the parent, over a socket that only those two hold.
- None of them outlives the parent: they end when its sockets close, and the kernel ends them with whoever forked
  them, also in the middle of a computation.
- They run at low priority, and the kernel takes them first when memory is short: who answers comes before.

It needs nothing shared: no /dev/shm, no file, no semaphore.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from ecpmon.compute.parcels import answered

NEW, KILL = b"n", b"k"
# What it says when it has tried to fork.
DONE: Final = b"d"
# What to do, and the number of the process that is meant; with NEW comes its socket.
ORDER: Final = struct.Struct("!cQ")
LENGTH: Final = struct.Struct("!Q")
# Before an answer: whether its process takes no other call, and how long it is.
ANSWER: Final = struct.Struct("!?Q")
NICE: Final = 10
# Among sessions, which may be of others than ours: a machine that is busy with them must not let it come too late.
SESSION_NICE: Final = 5
# After a start there is other work to do, and many a process is gone before.
REST_SECONDS: Final = 12.0
# Of those that the kernel ends when there is no memory, from -1000 to 1000.
_OOM_SCORE: Final = 500
# Bytes of memory, over what it began with, after which a process takes no other call.
MOST_HELD: Final = 200 * 2**20
_PR_SET_PDEATHSIG: Final = 1


def tend(
    control: socket.socket,
    prepare: Callable[[], None],
    preload: Callable[[], None] = lambda: None,
    *,
    ahead: bool = True,
) -> NoReturn:
    """Forks on order until the parent is gone, then ends with all it forked. `prepare` is called in each of them,
    `preload` here, when the first is on its way or, `ahead`, nothing was ordered for REST_SECONDS: what it imports all
    of them have then, and a crowd of first calls does not make as many processes import the same at once."""
    _become_background()
    children: dict[int, int] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _reap(children))
    _be_called("ecp-nursery")
    loaded = False
    try:
        while True:
            if ahead and not loaded and not _ordered(control):
                loaded = _load(preload)
            order, sockets, _, _ = socket.recv_fds(control, ORDER.size, 1)
            if len(order) < ORDER.size:
                break
            what, number = ORDER.unpack(order)
            if what == NEW and sockets:
                _fork(control, sockets[0], number, children, prepare)
                control.send(DONE)
                loaded = loaded or _load(preload)
            elif what == KILL and (pid := children.get(number)) is not None:
                os.kill(pid, signal.SIGKILL)
    finally:
        for pid in list(children.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _ordered(control: socket.socket) -> bool:
    """Whether anything came (also the end) within REST_SECONDS."""
    return bool(select.select([control], [], [], REST_SECONDS)[0])


def _load(preload: Callable[[], None]) -> bool:
    with contextlib.suppress(ImportError):  # whoever needs it says so
        preload()
    gc.freeze()
    return True


def _become_background() -> None:
    # A terminal's Ctrl-C and a service manager's stop go to all; when we end, our parent says.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _give_way()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")
    end_with_parent(os.getppid())
    # A collection would write to every page that we share.
    gc.freeze()


def _give_way() -> None:
    """To all others, not only to those of our session: where the kernel shares processors among sessions
    (`sched_autogroup`), niceness counts within one, and that of whoever answers is another."""
    os.nice(NICE)
    with contextlib.suppress(OSError):  # who leads a session has it to himself, and not every kernel does so
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(SESSION_NICE), encoding="ascii")


def end_with_parent(parent: int) -> None:
    """The kernel kills us when `parent` is gone, where it can; elsewhere closed sockets have to do."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before that took effect
        os._exit(0)


def _be_called(name: str) -> None:
    """What `ps -o comm` shows."""
    with contextlib.suppress(OSError):  # a system without /proc
        Path("/proc/self/comm").write_text(name, encoding="ascii")


def _reap(children: dict[int, int]) -> None:
    for number, pid in list(children.items()):
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            del children[number]


def _fork(
    control: socket.socket, fd: int, number: int, children: dict[int, int], prepare: Callable[[], None]
) -> None:
    """When there is no room for another process, its socket closes, which tells the parent."""
    tender = os.getpid()
    try:
        with contextlib.suppress(OSError):
            pid = os.fork()
            if pid:
                children[number] = pid
            else:
                _compute(control, socket.socket(fileno=fd), tender, prepare)
    finally:
        os.close(fd)


def _compute(
    control: socket.socket, connection: socket.socket, tender: int, prepare: Callable[[], None]
) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        end_with_parent(tender)
        _be_called("ecp-compute")
        prepare()
        connection.setblocking(True)
        most, last = _most_held() + MOST_HELD, False
        while not last and (call := _received(connection)) is not None:
            answer = answered(call)
            last = _most_held() > most
            connection.sendall(ANSWER.pack(last, len(answer)))
            connection.sendall(answer)
            del call, answer
        code = 0
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # nobody waits for it any more
    finally:
        os._exit(code)


def _received(connection: socket.socket) -> bytearray | None:
    head = _exactly(connection, LENGTH.size)
    return None if head is None else _exactly(connection, LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    """None: the other side is gone."""
    buffer = bytearray(size)
    view, got = memoryview(buffer), 0
    while got < size:
        count = connection.recv_into(view[got:])
        if not count:
            return None
        got += count
    return buffer


def _most_held() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
