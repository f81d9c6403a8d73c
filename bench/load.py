"""Requests over keep-alive connections, as fast as they are answered; a process of its own, one thread, no framework.

    python -m bench.load PORT FILE CONNECTIONS REQUESTS SECONDS

FILE is a pickle: a list of streams, each a list of whole requests. A connection sends its stream again and again,
the next one when the answer to the last is there, until there are REQUESTS answers or the SECONDS are over. One line of
JSON: requests, seconds, per second, milliseconds at p50 and p99, answers by status, CPU seconds of this process.
"""

from __future__ import annotations

import json
import pickle
import select
import socket
import sys
import time
from collections import Counter
from pathlib import Path


class Connection:
    """One request under way at a time."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = 0
        self._answer = b""
        self.began = 0.0

    def send(self) -> None:
        self.socket.sendall(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)
        self.began = time.perf_counter()

    def receive(self) -> int:
        """The status of the answer, once all of it is there; before that 0."""
        data = self.socket.recv(65_536)
        if not data:
            raise SystemExit(f"the server closed a connection after {self._answer[:200]!r}")
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return 0
        at = self._answer.lower().index(b"content-length:", 0, head + 2) + 15
        length = int(self._answer[at : self._answer.index(b"\r\n", at)])
        if len(self._answer) < head + 4 + length:
            return 0
        status = int(self._answer[9:12])
        self._answer = b""
        return status


def run(port: int, streams: list[list[bytes]], count: int, most: int, seconds: float) -> dict[str, object]:
    """The figures of one run."""
    connections = [Connection(port, streams[i % len(streams)]) for i in range(count)]
    poll = select.epoll()
    by_number = {c.socket.fileno(): c for c in connections}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    start = time.perf_counter()
    for connection in connections:
        connection.send()
    waited: list[float] = []
    statuses: Counter[int] = Counter()
    open_ones = sent = count
    while open_ones:
        for number, _ in poll.poll():
            connection = by_number[number]
            status = connection.receive()
            if not status:
                continue
            now = time.perf_counter()
            waited.append(now - connection.began)
            statuses[status] += 1
            if sent < most and now < start + seconds:
                sent += 1
                connection.send()
            else:
                open_ones -= 1
    took = time.perf_counter() - start
    waited.sort()
    return {
        "requests": len(waited),
        "seconds": round(took, 3),
        "per_second": round(len(waited) / took, 1),
        "p50_ms": round(waited[len(waited) // 2] * 1e3, 2),
        "p99_ms": round(waited[int(len(waited) * 0.99)] * 1e3, 2),
        "worst_ms": round(waited[-1] * 1e3, 2),
        "statuses": dict(statuses),
        "client_cpu": round(time.process_time(), 3),
    }


if __name__ == "__main__":
    port, file, count, most, seconds = sys.argv[1:]
    streams = pickle.loads(Path(file).read_bytes())
    print(json.dumps(run(int(port), streams, int(count), int(most), float(seconds))))
