"""Bodies of remote write as Prometheus and vmagent make them, written field by field."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import cramjam

STALE = 0x7FF0000000000002
Sample = tuple[float | int, int]  # a value, or the bits of one, and milliseconds


def varint(value: int) -> bytes:
    found = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def nested(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def label_block(labels: Mapping[str, str] | Sequence[tuple[str, str]]) -> bytes:
    pairs = sorted(labels.items()) if isinstance(labels, Mapping) else labels
    return b"".join(nested(1, nested(1, name.encode()) + nested(2, value.encode())) for name, value in pairs)


def sample(value: float | int, ms: int) -> bytes:
    """`value` an int: the bits. A zero is left out, as proto3 does."""
    bits = struct.pack("<Q", value) if isinstance(value, int) else struct.pack("<d", value)
    told = b"" if bits == bytes(8) else b"\x09" + bits
    return told + (b"\x10" + varint(ms) if ms else b"")


def series(
    labels: Mapping[str, str] | Sequence[tuple[str, str]], *samples: Sample, more: bytes = b""
) -> bytes:
    inner = label_block(labels) + b"".join(nested(2, sample(*each)) for each in samples) + more
    return nested(1, inner)


def metadata(name: str) -> bytes:
    return nested(3, b"\x08\x01" + nested(2, name.encode()) + nested(4, b"what it is"))


def packed(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def span(offset: int, length: int) -> bytes:
    return b"\x08" + varint(offset << 1 ^ offset >> 63) + b"\x10" + varint(length)


def histogram(
    ms: int,
    count: int,
    schema: int,
    spans: Sequence[tuple[int, int]],
    deltas: Iterable[int],
    *,
    custom: Sequence[float] = (),
    total: float | int = 1.0,
    zeros: int = 0,
) -> bytes:
    """The message; field 4 of a series of 1.0, 3 of 2.0. `total`: an int gives the bits of the sum."""
    told = struct.pack("<Q", total) if isinstance(total, int) else struct.pack("<d", total)
    return (
        b"\x08" + varint(count) + b"\x19" + told + b"\x20" + varint(schema << 1 ^ schema >> 63)
        + (b"\x30" + varint(zeros) if zeros else b"")
        + b"".join(nested(11, span(*each)) for each in spans)
        + nested(12, b"".join(varint(delta << 1 ^ delta >> 63) for delta in deltas))
        + b"\x78" + varint(ms)
        + (varint(16 << 3 | 2) + varint(8 * len(custom)) + struct.pack(f"<{len(custom)}d", *custom) if custom else b"")
    )  # fmt: skip


def request_v2(*told: tuple[Mapping[str, str], Sequence[Sample], bytes]) -> bytes:
    """Labels, samples and further fields of each series."""
    symbols = {"": 0}
    made = []
    for labels, samples, more in told:
        refs = b""
        for pair in sorted(labels.items()):
            for text in pair:
                refs += varint(symbols.setdefault(text, len(symbols)))
        made.append(
            nested(5, nested(1, refs) + b"".join(nested(2, sample(*each)) for each in samples) + more)
        )
    return b"".join(nested(4, text.encode()) for text in symbols) + b"".join(made)
