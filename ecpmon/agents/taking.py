"""Remote write as columns. Pure.

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3;
                   repeated Histogram histograms = 4; }
    Sample       { double value = 1; int64 timestamp = 2; }           timestamps in milliseconds since 1970

`take` goes through a body once. What it takes is a series whose label bytes are known, with nothing but samples that
can be stored; where any other lies is told, for whoever looks closely (`agents.closely`). Invariant: each series is
taken whole or told whole, so what `take` does not understand changes nothing.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable
from typing import Final, Protocol

from ecpmon.agents.protobuf import Malformed, packed, varint
from ecpmon.agents.series import block_in
from ecpmon.model.samples import LARGEST

# What the compiled twin has to be of: one more with each change of what is taken.
VERSION: Final = 2
# The tenant's name, and the number of the series in `Memory.keys`.
Known = tuple[str, int]
# (tenant, milliseconds since 1970) -> numbers of series, and their values.
Groups = dict[tuple[str, int], tuple[list[int], list[float]]]
# Where series lie that were not taken.
Strange = list[tuple[int, int]]
_SERIES, _LABEL, _SAMPLE = 0x0A, 0x0A, 0x12
_VALUE, _TIME = 0x09, 0x10
# A sample with value and time as all write it today: 12 10 09 <8 bytes> 10 <6 bytes>.
_LONG: Final = 18
_HEAD: Final = b"\x12\x10\x09"
_NUMBER: Final = struct.Struct("<d").unpack_from


class Take(Protocol):
    def __call__(
        self,
        body: bytes,
        at: int,
        most: int,
        known: dict[bytes, Known],
        oldest: int,
        latest: int,
        groups: Groups,
        strange: Strange,
        /,
    ) -> int:
        """Go through `body` from `at` on, `most` series at most; where the next one begins, `len(body)` at the end.

        Samples from `oldest` to `latest`, in milliseconds, are taken. Raises Malformed.
        """
        ...


def take_in_python(  # noqa: C901 - one loop without calls, as these cost more than all else in it
    body: bytes,
    at: int,
    most: int,
    known: dict[bytes, Known],
    oldest: int,
    latest: int,
    groups: Groups,
    strange: Strange,
) -> int:
    """`Take` in Python."""
    size, times = len(body), dict[bytes, int]()
    while at < size and most:
        most -= 1
        if body[at] != _SERIES:
            at = _passed(body, at, size)
            continue
        # Written out for lengths of one and two bytes, as calls cost more than all else here.
        if at + 2 < size and (length := body[at + 1]) < 0x80:
            begin = at + 2
            at = begin + length
        elif at + 2 < size and (more := body[at + 2]) < 0x80:
            begin = at + 3
            at = begin + (length & 0x7F | more << 7)
        else:
            begin, at = _lies(body, at + 1, size)
        if at > size:
            raise Malformed("a field ends after its message")
        # What most are: labels, then one sample.
        middle = at - _LONG
        if middle > begin and body[middle : middle + 3] == _HEAD and body[middle + 11] == _TIME:
            series = known.get(body[begin:middle])
            if series is not None:
                written = body[middle + 12 : at]
                instant = times.get(written)
                if instant is None:
                    instant, after = varint(written, 0, 6)
                    if after != 6:
                        instant = -1  # something else follows it
                    times[written] = instant
                value = _NUMBER(body, middle + 3)[0]
                if -LARGEST <= value <= LARGEST and oldest <= instant <= latest and instant >= 0:
                    tenant, number = series
                    group = groups.get((tenant, instant))
                    if group is None:
                        groups[tenant, instant] = [number], [value]
                    else:
                        group[0].append(number)
                        group[1].append(value)
                    continue
        if not _taken(body, begin, at, known, oldest, latest, groups):
            strange.append((begin, at))
    return at


def _lies(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Begin and end of what is as long as the number at `at` says."""
    if at < end and body[at] < 0x80:
        length, at = body[at], at + 1
    else:
        length, at = varint(body, at, end)
    if at + length > end:
        raise Malformed("a field ends after its message")
    return at, at + length


def _passed(body: bytes, at: int, end: int) -> int:
    """Where the field at `at`, which is none of ours, ends."""
    tag, at = varint(body, at, end)
    kind = tag & 7
    if not tag >> 3:
        raise Malformed("a field has the number 0")
    if kind == 0:
        return varint(body, at, end)[1]
    if kind == 2:
        return _lies(body, at, end)[1]
    if kind not in (1, 5):
        raise Malformed(f"a field has the wire type {kind}")
    at += 8 if kind == 1 else 4
    if at > end:
        raise Malformed("a field ends after its message")
    return at


def _taken(
    body: bytes, begin: int, end: int, known: dict[bytes, Known], oldest: int, latest: int, groups: Groups
) -> bool:
    """Whether the series is known, and nothing but labels and samples that are taken."""
    at = begin
    while at < end and body[at] == _LABEL:
        at = _lies(body, at + 1, end)[1]
    return _put(body, at, end, known.get(body[begin:at]), oldest, latest, groups, ())


def _put(
    body: bytes,
    at: int,
    end: int,
    series: Known | None,
    oldest: int,
    latest: int,
    groups: Groups,
    passed: tuple[int, ...],
) -> bool:
    """Whether what is behind the labels are samples that are taken; they are then. `passed`: tags read over."""
    if series is None:
        return False
    found = []
    while at < end:
        if body[at] in passed:
            at = _passed(body, at, end)
            continue
        if body[at] != _SAMPLE:
            return False
        first, at = _lies(body, at + 1, end)
        sample = _sample(body, first, at)
        if sample is None or not (-LARGEST <= sample[1] <= LARGEST and oldest <= sample[0] <= latest):
            return False
        found.append(sample)
    tenant, number = series
    for instant, value in found:
        numbers, values = groups.setdefault((tenant, instant), ([], []))
        numbers.append(number)
        values.append(value)
    return True


def _sample(body: bytes, at: int, end: int) -> tuple[int, float] | None:
    """Time and value, as they are written: a zero is left out. None: it has to be looked at closely."""
    instant, value = 0, 0.0
    if at + 9 <= end and body[at] == _VALUE:
        value = _NUMBER(body, at + 1)[0]
        at += 9
    if at < end and body[at] == _TIME:
        instant, at = varint(body, at + 1, end)
    return None if at != end or math.isnan(value) or instant >= 1 << 63 else (instant, value)


class TakeV2(Protocol):
    def __call__(
        self,
        body: bytes,
        at: int,
        most: int,
        symbols: list[bytes],
        known: dict[bytes, Known],
        oldest: int,
        latest: int,
        groups: Groups,
        strange: Strange,
        /,
    ) -> int:
        """The same of 2.0, whose labels are pairs of numbers of `symbols`. Series are known by what 1.0 would write."""
        ...


# Field 5 of a request of 2.0; of its series metadata, which nobody looks at.
_SERIES_V2: Final = 0x2A
_PASSED_V2: Final = (0x2A,)
_SYMBOL: Final = 0x22


def take_v2_in_python(
    body: bytes,
    at: int,
    most: int,
    symbols: list[bytes],
    known: dict[bytes, Known],
    oldest: int,
    latest: int,
    groups: Groups,
    strange: Strange,
) -> int:
    """`TakeV2` in Python."""
    size = len(body)
    while at < size and most:
        most -= 1
        if body[at] != _SERIES_V2:
            at = _passed(body, at, size)
            continue
        begin, at = _lies(body, at + 1, size)
        if not _taken_v2(body, begin, at, symbols, known, oldest, latest, groups):
            strange.append((begin, at))
    return at


def _taken_v2(
    body: bytes,
    begin: int,
    end: int,
    symbols: list[bytes],
    known: dict[bytes, Known],
    oldest: int,
    latest: int,
    groups: Groups,
) -> bool:
    if begin >= end or body[begin] != _LABEL:
        return False
    first, at = _lies(body, begin + 1, end)
    if at < end and body[at] == _LABEL:  # in several pieces
        return False
    block = block_in(packed(body, (first, at)), symbols)
    return _put(body, at, end, known.get(block), oldest, latest, groups, _PASSED_V2)


def symbols_in_python(body: bytes, at: int, most: int, found: list[bytes]) -> int:
    """Put the symbols of a body of 2.0, wherever they stand, to `found`; otherwise as `take`. Raises Malformed."""
    size = len(body)
    while at < size and most:
        most -= 1
        if body[at] != _SYMBOL:
            at = _passed(body, at, size)
            continue
        begin, at = _lies(body, at + 1, size)
        found.append(body[begin:at])
    return at


Symbols = Callable[[bytes, int, int, list[bytes]], int]


def _compiled() -> tuple[Take, TakeV2, Symbols] | None:
    """The same in C; None where there was no compiler when the package was installed, or `ECPMON_PURE` is set."""
    if os.environ.get("ECPMON_PURE"):
        return None
    try:
        from ecpmon.agents import _taking
    except ImportError:
        return None
    if getattr(_taking, "VERSION", 1) != VERSION:
        return None  # compiled of an older source, and the package was not installed anew
    return _taking.take, _taking.take_v2, _taking.symbols


take, take_v2, symbols = _compiled() or (take_in_python, take_v2_in_python, symbols_in_python)
