"""A closed loop of HTTP requests over kept connections: what each took, and what the servers' processors did for it.

Every connection comes from an address of its own, as different callers do: the service bounds each one's requests.
"""

from __future__ import annotations

import itertools
import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_addresses = itertools.count(2)


@dataclass(frozen=True, slots=True)
class Load:
    """Milliseconds of each request in order, seconds in all, CPU milliseconds per request by server."""

    taken: Sequence[float]
    seconds: float
    cpu: dict[str, float]
    last: bytes

    @property
    def per_second(self) -> float:
        return len(self.taken) / self.seconds

    def quantile(self, share: float) -> float:
        return sorted(self.taken)[min(len(self.taken) - 1, round((len(self.taken) - 1) * share))]

    def figures(self) -> dict[str, float]:
        shown = {"p50": self.quantile(0.5), "p99": self.quantile(0.99), "per_second": self.per_second}
        return {k: round(v, 3) for k, v in {**shown, **{f"cpu_{n}": v for n, v in self.cpu.items()}}.items()}


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def run(port: int, requests: Sequence[bytes], connections: int = 1, **servers: int) -> Load:
    """Each of `requests` once, the next as soon as a connection is free. `servers`: process ids by name.

    Raises RuntimeError when an answer is not 200.
    """
    waiting = iter(requests)
    taken: list[float] = []
    last = b""
    before = {name: cpu_seconds(pid) for name, pid in servers.items()}
    with selectors.DefaultSelector() as selector:
        open_ones = [_Connection(port) for _ in range(connections)]
        for one in open_ones:
            selector.register(one.socket, selectors.EVENT_READ, one)
        began = time.perf_counter()
        busy = sum(one.ask_next(waiting) for one in open_ones)
        while busy:
            for key, _ in selector.select():
                one = key.data
                if one.read():
                    taken.append((time.perf_counter() - one.asked) * 1000)
                    last = bytes(one.answer)
                    busy -= not one.ask_next(waiting)
        seconds = time.perf_counter() - began
        for one in open_ones:
            one.socket.close()
    spent = {n: (cpu_seconds(pid) - before[n]) * 1000 / len(taken) for n, pid in servers.items()}
    return Load(taken, seconds, spent, last)


@dataclass(eq=False)
class _Connection:
    port: int
    asked: float = 0.0
    answer: bytearray = field(default_factory=bytearray)
    _whole: int | None = None

    def __post_init__(self) -> None:
        number = next(_addresses)
        address = f"127.0.{number // 250 % 250}.{number % 250 + 2}"
        self.socket = socket.create_connection(("127.0.0.1", self.port), 120, (address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask_next(self, waiting: Iterator[bytes]) -> bool:
        request = next(waiting, None)
        if request is None:
            return False
        self.answer.clear()
        self._whole = None
        self.asked = time.perf_counter()
        self.socket.sendall(request)
        return True

    def read(self) -> bool:
        """Whether the answer is whole."""
        part = self.socket.recv(1 << 20)
        if not part:
            raise RuntimeError(f"hung up after {bytes(self.answer[:300])!r}")
        self.answer += part
        if self._whole is None and (end := self.answer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.answer[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(f"{bytes(self.answer[:500])!r}")
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._whole = end + 4 + int(length) if length else 0
        if self._whole is None:
            return False
        # Without a length it is chunked.
        return len(self.answer) >= self._whole if self._whole else self.answer.endswith(b"\r\n0\r\n\r\n")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and everything it started, what has ended included."""
    ticks = 0
    for number in [pid, *_descendants(pid)]:
        with suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_descendants(child)]
    return found
