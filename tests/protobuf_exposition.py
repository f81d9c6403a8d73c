"""Native histograms as an exporter exposes them: Prometheus 2 takes them in protobuf only."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_HISTOGRAM = 4


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _field(number: int, value: int | float | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _native(values: Sequence[float], schema: int) -> bytes:
    counts: dict[int, int] = {}
    for value in values:
        # The bucket k ends at 2 ** (k / 2 ** schema), which is in it.
        place = math.ceil(round(math.log2(value) * 2.0**schema, 9))
        counts[place] = counts.get(place, 0) + 1
    out = _field(1, len(values)) + _field(2, float(sum(values)))
    out += _field(5, _zigzag(schema)) + _field(6, 1e-128) + _field(7, 0)
    before, last = 0, 0
    for number, place in enumerate(sorted(counts)):
        # A span of one bucket each; the offset is that to the end of the one before.
        offset = place if not number else place - last - 1
        out += _field(12, _field(1, _zigzag(offset)) + _field(2, 1))
        last = place
    for place in sorted(counts):
        out += _field(13, _zigzag(counts[place] - before))
        before = counts[place]
    return out


def family(name: str, series: Mapping[tuple[tuple[str, str], ...], Sequence[float]], schema: int) -> bytes:
    """A family of native histograms: by labels, what was observed (greater than 0)."""
    out = _field(1, name) + _field(3, _HISTOGRAM)
    for labels, values in series.items():
        pairs = b"".join(_field(1, _field(1, key) + _field(2, value)) for key, value in labels)
        out += _field(4, pairs + _field(7, _native(values, schema)))
    return _varint(len(out)) + out
