"""Frames to sockets: made once, written to very many.

A server's frames are not masked and ours are not compressed, so that the same bytes serve every socket.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

# The first byte of a frame that is a whole message.
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
MAX_REASON: Final = 120  # bytes; a close frame holds 123
# So many bytes may wait for a client before it is behind; the event loop's own bound, past which it says so.
MOST_UNSENT: Final = 64 * 1024


def text_frame(payload: bytes) -> bytes:
    """UTF-8 as a server's frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 2**16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def close_frame(code: int, reason: str) -> bytes:
    said = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
    return struct.pack("!BBH", _CLOSE, 2 + len(said), code) + said


def ping_frame() -> bytes:
    return struct.pack("!BB", _PING, 0)


def pong_frame(payload: bytes) -> bytes:
    """With what the ping held, 125 bytes at most."""
    return struct.pack("!BB", _PONG, len(payload)) + payload


class Line:
    """The way out to one socket. `transport` None: it has hung up already."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    @property
    def gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def free(self) -> bool:
        """Whether the client has taken nearly all of what it was sent; whoever is gone takes everything."""
        return self._transport is None or self._transport.get_write_buffer_size() <= MOST_UNSENT

    def write(self, frame: bytes) -> None:
        """Whole frames. Nothing happens when the client is gone: its connection will see that."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)


def joined(frames: Sequence[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else b"".join(frames)
