"""Subscribers for `bench.sockets`, as light as Python can be: `python -m bench.socket_load PORT PATH SOCKETS`.

Prints `ready N refused M`, and reads. When stdin says `last` it prints one line of JSON: how many sockets were told
which state last. When it says `end` it prints of every socket, of every message that told a state, when it came, in
seconds of the monotonic clock, and the state. While it reads it only notes what came when; frames
are taken apart when it is asked. 250 sockets come from one address, as limits are per address.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator

from ecpmon.serving import raise_file_limit

PER_ADDRESS = 250
TOGETHER = 25
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
STATE = re.compile(rb'"state":"([a-z]+)"')
Chunks = list[tuple[float, bytes]]


def main() -> None:
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    raise_file_limit()
    came: dict[int, Chunks] = {}
    opened: dict[int, socket.socket] = {}
    poll = select.epoll()
    for first in range(0, count, TOGETHER):
        asking = [_asked(port, path, number) for number in range(first, min(first + TOGETHER, count))]
        for connection in asking:
            rest = _answer(connection)
            if rest is not None:
                opened[connection.fileno()] = connection
                came[connection.fileno()] = [(time.monotonic(), rest)]
                poll.register(connection, select.EPOLLIN)
        _take(poll, 0, opened, came)  # whoever does not answer a ping is let go
    print(f"ready {len(opened)} refused {count - len(opened)}", flush=True)
    poll.register(0, select.EPOLLIN)
    while True:
        while _take(poll, None, opened, came):
            pass
        if sys.stdin.readline() != "last\n":
            break
        print(json.dumps(Counter(_last(chunks) for chunks in came.values())), flush=True)
    print(json.dumps([list(_told(chunks)) for chunks in came.values()]), flush=True)


def _asked(port: int, path: str, number: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.bind((f"127.88.{number // PER_ADDRESS}.1", 0))
    connection.connect(("127.0.0.1", port))
    connection.sendall(HANDSHAKE.format(path=path).encode())
    return connection


def _answer(connection: socket.socket) -> bytes | None:
    """What came after the handshake; None: it was refused."""
    head = b""
    while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
        head += piece
    if not head.startswith(b"HTTP/1.1 101"):
        connection.close()
        return None
    connection.setblocking(False)
    return head.partition(b"\r\n\r\n")[2]


def _take(
    poll: select.epoll, patience: float | None, opened: dict[int, socket.socket], came: dict[int, Chunks]
) -> bool:
    """Note what has come; False when stdin says something."""
    for descriptor, _ in poll.poll(patience):
        if descriptor == 0:
            return False
        data = opened[descriptor].recv(65536)
        came[descriptor].append((time.monotonic(), data))
        if not data:
            poll.unregister(descriptor)
        elif PING in data:  # our JSON is ASCII
            opened[descriptor].send(PONG)
    return True


def _told(chunks: Chunks) -> Iterator[tuple[float, str]]:
    """Of each message that tells a state: when its last byte came, and the state."""
    waiting = b""
    for at, data in chunks:
        waiting += data
        while (size := _frame(waiting)) and len(waiting) >= size:
            if found := STATE.search(waiting[:size]):
                yield at, found[1].decode()
            waiting = waiting[size:]


def _last(chunks: Chunks) -> str:
    told = [state for _, state in _told(chunks)]
    return told[-1] if told else "none"


def _frame(data: bytes) -> int:
    """The size of the frame at the beginning, as far as it can be known; 0: not yet."""
    if len(data) < 2:
        return 0
    short = data[1]
    if short < 126:
        return 2 + short
    if len(data) < 10:
        return 0
    return (
        4 + int(struct.unpack("!H", data[2:4])[0])
        if short == 126
        else 10 + int(struct.unpack("!Q", data[2:10])[0])
    )


if __name__ == "__main__":
    main()
