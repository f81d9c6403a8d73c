"""The last one out: kills what is left when the supervisor dies without a word. A script, not imported.

It reads lines from standard input, the other end of which only the supervisor holds: `+ PGID SIGNAL` when a
child is started, `- PGID` when it has ended. End of input means that the supervisor is gone: each remaining
process group gets its signal, and SIGKILL after a while. The kernel's parent-death signal reaches children
only; this reaches their children too.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_GRACE_SECONDS = 5.0


def _main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # we go when our input ends, not before
    groups: dict[int, int] = {}
    for line in sys.stdin:
        sign, pgid, *rest = line.split()
        if sign == "+":
            groups[int(pgid)] = int(rest[0])
        else:
            groups.pop(int(pgid), None)
    _end(groups)


def _end(groups: dict[int, int]) -> None:
    left = {pgid for pgid, signum in groups.items() if _kill(pgid, signum)}
    deadline = time.monotonic() + _GRACE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pgid for pgid in left if _kill(pgid, 0)}
    for pgid in left:
        _kill(pgid, signal.SIGKILL)


def _kill(pgid: int, signum: int) -> bool:
    try:
        os.killpg(pgid, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    _main()
