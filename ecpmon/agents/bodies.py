"""Bodies of remote write taken apart, a little at a time: a generator of steps, each a millisecond or so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon.agents.arriving import Arriving
from ecpmon.agents.closely import series_in, series_in_v2
from ecpmon.agents.protobuf import Malformed
from ecpmon.agents.taking import Strange, Take, TakeV2, symbols, take, take_v2

# Series that are gone through in one step, and that are looked at closely in one.
AT_ONCE: Final = 500
CLOSELY_AT_ONCE: Final = 50


def take_first(body: bytes, arriving: Arriving, taken_by: Take = take) -> Iterator[None]:
    """Of version 1.0. Raises Malformed."""
    known, strange, at = arriving.memory.known(arriving.whose), Strange(), 0
    while at < len(body):
        at = taken_by(body, at, AT_ONCE, known, arriving.oldest, arriving.latest, arriving.groups, strange)
        yield
    for count, (begin, end) in enumerate(strange, 1):
        arriving.add(series_in(body, begin, end))
        if not count % CLOSELY_AT_ONCE:
            yield


def take_second(body: bytes, arriving: Arriving, taken_by: TakeV2 = take_v2) -> Iterator[None]:
    """Of version 2.0. Raises Malformed."""
    known, strange, found, at = arriving.memory.known(arriving.whose), Strange(), list[bytes](), 0
    while at < len(body):
        at = symbols(body, at, 4 * AT_ONCE, found)
        yield
    if found and found[0]:
        raise Malformed("the first symbol must be empty")
    at = 0
    while at < len(body):
        at = taken_by(
            body, at, AT_ONCE // 2, found, known, arriving.oldest, arriving.latest, arriving.groups, strange
        )
        yield
    for count, (begin, end) in enumerate(strange, 1):
        arriving.add(series_in_v2(body, begin, end, found))
        if not count % CLOSELY_AT_ONCE:
            yield
