"""What a body becomes when it is unpacked, never more of it than allowed: what it says of its size is read before."""

from __future__ import annotations

from typing import Final

from ecpmon.agents.protobuf import Malformed, varint

SNAPPY: Final = "snappy"
ZSTD: Final = "zstd"
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# Bytes of the size in a frame's header, by the two bits that say so; RFC 8878, 3.1.1.1.
_SIZES: Final = (0, 2, 4, 8)
_WINDOWS: Final = (0, 1, 2, 4)


class TooLarge(ValueError):
    """It is, or says that it is, larger than allowed once unpacked."""


def unpacked(encoding: str, body: bytes, most: int) -> bytes:
    """`body` without its encoding, `most` bytes at most. Raises TooLarge, Malformed."""
    return _snappy(body, most) if encoding == SNAPPY else _zstd(body, most)


def declared(encoding: str, body: bytes) -> int:
    """How many bytes it says it unpacks to; of zstd that does not say it, how many it has. Raises Malformed."""
    if encoding == SNAPPY:
        return varint(body, 0, len(body))[0]
    size = _said_by(body)
    return len(body) if size is None else size


def _snappy(body: bytes, most: int) -> bytes:
    import cramjam

    if declared(SNAPPY, body) > most:
        raise TooLarge
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Malformed("the body is not snappy (block format), as its Content-Encoding says") from error


def _zstd(body: bytes, most: int) -> bytes:
    """One frame or several. What does not fit into what is allowed is given up while it is unpacked."""
    size = _said_by(body)
    if size is not None and size > most:
        raise TooLarge
    whole = None if size is None else _into(body, size)
    if whole is None:  # it does not say, or other frames follow
        whole = _into(body, most)
    if whole is None:
        raise TooLarge
    return whole


def _into(body: bytes, size: int) -> bytes | None:
    """What it unpacks to; None: that does not fit into so many bytes. Raises Malformed."""
    import cramjam

    whole = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(body, whole)
    except cramjam.DecompressionError as error:
        if "whole buffer" in str(error):
            return None
        raise Malformed("the body is not zstd, as its Content-Encoding says") from error
    return bytes(memoryview(whole)[:written])


def _said_by(body: bytes) -> int | None:
    """The size in the header of the first frame; None: it does not say. Raises Malformed."""
    if body[:4] != _MAGIC or len(body) < 6:
        raise Malformed("the body is not zstd, as its Content-Encoding says")
    head = body[4]
    single = bool(head & 0x20)
    length = _SIZES[head >> 6] or (1 if single else 0)
    if not length:
        return None
    at = 5 + (0 if single else 1) + _WINDOWS[head & 3]
    if at + length > len(body):
        raise Malformed("the zstd body was cut short")
    return int.from_bytes(body[at : at + length], "little") + (256 if length == 2 else 0)
