"""WebSocket frames by hand, right and wrong ones, and what a server sends back."""

from __future__ import annotations

import socket
import struct
from typing import Final

from hypothesis import strategies as st

from ecpmon.api.subscriptions import Subscribe
from tests.fuzz import nasty
from tests.fuzz.bodies import broken, of_model, written

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HANDSHAKE: Final = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def frame(kind: int, payload: bytes, *, last: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One frame of a client; the mask is zero, so the payload stands as it is."""
    head = bytes([(last << 7) | (reserved << 4) | kind])
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([mask | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", len(payload))
    return head + (bytes(4) if masked else b"") + payload


_SOUND = st.sampled_from((
    {"action": "ping"}, {"action": "unsubscribe"}, {"action": "subscribe", "interval": 3_600_000, "metrics": ["cpu"]},
))  # fmt: skip
_ODD: Final = (
    frame(TEXT, b"\xff\xfe"), frame(TEXT, b'{"action": "\xed\xa0\x80"}'), frame(BINARY, b"{}"), frame(BINARY, b""),
    frame(PING, b"x" * 125), frame(PONG, b"\xff"), frame(TEXT, b"x" * 70_000), frame(TEXT, b'{"action":', last=False),
    frame(0, b'"ping"}'), frame(3, b""), frame(TEXT, b"{}", masked=False), frame(TEXT, b"{}", reserved=4),
    frame(PING, b"x" * 200), frame(PING, b"", last=False), frame(CLOSE, b"\x03"), frame(CLOSE, b"\x00\x01"),
    frame(CLOSE, struct.pack(">H", 4999) + b"\xff"), frame(CLOSE, struct.pack(">H", 1000)), b"\x81\xff" + b"\xff" * 8,
    b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip


def messages() -> st.SearchStrategy[list[bytes]]:
    """What a client sends after the handshake."""
    told = broken(st.one_of(of_model(Subscribe, {}), _SOUND))
    texts = st.builds(lambda d, e: frame(TEXT, written(d, escaped=e)), told, st.booleans())
    others = st.sampled_from(nasty.BODIES).map(lambda b: frame(TEXT, b[:60_000]))
    return st.lists(st.one_of(texts, texts, texts, others, st.sampled_from(_ODD)), min_size=1, max_size=4)


def received(connection: socket.socket) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The head of the answer and the frames that follow, until the server closes or has said goodbye."""
    data = b""
    while part := _more(connection):
        data += part
        head, found, rest = data.partition(b"\r\n\r\n")
        if found and not head.startswith(b"HTTP/1.1 101"):
            continue
        if found and any(kind == CLOSE for kind, _ in _frames(rest)):
            break
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, _frames(rest) if head.startswith(b"HTTP/1.1 101") else []


def _more(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """The whole frames in `data`, which a server does not mask."""
    found = []
    while len(data) >= 2:
        kind, length, at = data[0] & 15, data[1] & 127, 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
        if len(data) < at + length:
            break
        found.append((kind, data[at : at + length]))
        data = data[at + length :]
    return found
