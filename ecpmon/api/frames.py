"""Frames to sockets, past aiohttp's writer: made once, written to very many.

A server's frames are not masked and ours are not compressed (`sockets.open_socket`), so that the same bytes serve every
socket. They go to the request's transport, which aiohttp makes public. What must hold, and what
tests/unit/api/test_frames.py watches over with every new version: aiohttp writes each frame of its own (pongs, answers,
pings, the close) to the same transport in one piece and at once, so that ours always come between two of them.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

_TEXT: Final = 0x81  # the only frame of a message, text
# So many bytes may wait for a client before it is behind; as many as aiohttp lets wait.
MOST_UNSENT: Final = 64 * 1024


def text_frame(payload: bytes) -> bytes:
    """UTF-8 as a server's frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 2**16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


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
        """Whole frames. Nothing happens when the client is gone: its own task will see that."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)


def joined(frames: Sequence[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else b"".join(frames)
