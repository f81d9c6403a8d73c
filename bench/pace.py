"""How fast this machine is just now: the CPU that one fixed piece of work takes.

Shared machines are two to four times slower on some days than on others, and change within minutes. So each step of a
run is between two looks at the pace, and its times can be told as they would be at another pace (see bench.targets).
"""

from __future__ import annotations

import json
import socket
import statistics
import time

_TURNS = 7
_DOCUMENT = {"metrics": {f"metric_{i}": i * 1.5 for i in range(40)}, "timestamp": "2026-01-01T00:00:00Z"}


def pace() -> float:
    """Milliseconds of CPU, the median of some turns: an interpreter's work, JSON, and bytes through the kernel."""
    return round(statistics.median(_turn() for _ in range(_TURNS)), 3)


def _turn() -> float:
    left, right = socket.socketpair()
    with left, right:
        began = time.process_time()
        for _ in range(400):
            left.send(json.dumps(_DOCUMENT).encode())
            json.loads(right.recv(65536))
        sum(i * i for i in range(200_000))
        return (time.process_time() - began) * 1000
