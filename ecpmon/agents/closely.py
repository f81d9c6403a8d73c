"""A series of remote write, looked at closely: all that it may hold, field by field."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ecpmon.agents.histograms import Histogram, histogram_in
from ecpmon.agents.protobuf import Value, encoded_field, fields, number, packed, signed, span
from ecpmon.agents.series import block_in, labels_in

# The NaN by which Prometheus says that a series has ended. Any other NaN is a value that is no number.
STALE: Final = 0x7FF0_0000_0000_0002


@dataclass(slots=True)
class Sample:
    """`ms` since 1970. `stale`: the series ended then. `began`: when its counting did, in milliseconds; 0: not said."""

    ms: int
    value: float
    stale: bool = False
    began: int = 0


@dataclass(slots=True)
class Series:
    """`block`: its labels as remote write 1.0 has them, by which it is known."""

    block: bytes
    samples: list[Sample] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    exemplars: int = 0

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Raises Malformed."""
        return labels_in(self.block, 0, len(self.block))


def series_in(data: bytes, at: int, end: int) -> Series:
    """A `TimeSeries` of remote write 1.0. Raises Malformed."""
    labels, found = [], Series(b"")
    for which, value in fields(data, at, end):
        if which == 1:
            begin, after = span(value)
            labels.append(encoded_field(1, data[begin:after]))
        elif which == 2:
            found.samples.append(_sample(data, value))
        elif which == 3:
            _ = span(value)
            found.exemplars += 1
        elif which == 4:
            found.histograms.append(histogram_in(data, *span(value)))
    found.block = b"".join(labels)
    return found


def _sample(data: bytes, value: Value) -> Sample:
    bits = ms = began = 0
    for which, content in fields(data, *span(value)):
        if which == 1:
            bits = number(content)
        elif which == 2:
            ms = signed(content)
        elif which == 3:
            began = signed(content)
    return Sample(ms, struct.unpack("<d", bits.to_bytes(8, "little"))[0], bits == STALE, began)


def series_in_v2(data: bytes, at: int, end: int, symbols: Sequence[bytes]) -> Series:
    """A `TimeSeries` of remote write 2.0, whose labels are numbers of `symbols`. Raises Malformed.

    https://prometheus.io/docs/specs/prw/remote_write_spec_2_0. When counting began stands in the series (drafts), or in
    each sample and histogram.
    """
    found, refs, began = Series(b""), list[int](), 0
    for which, value in fields(data, at, end):
        if which == 1:
            refs += packed(data, value)
        elif which == 2:
            found.samples.append(_sample(data, value))
        elif which == 3:
            found.histograms.append(histogram_in(data, *span(value)))
        elif which == 4:
            _ = span(value)
            found.exemplars += 1
        elif which == 6:
            began = signed(value)
    for sample in found.samples:
        sample.began = sample.began or began
    for histogram in found.histograms:
        histogram.began = histogram.began or began
    found.block = block_in(refs, symbols)
    return found
