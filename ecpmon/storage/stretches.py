"""Which minutes of counted objectives are to be counted again, of what is marked (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.sla.counters import MINUTE
from ecpmon.storage.counted import Counted, Stretch

# At most this much of one tenant's past per transaction.
_LONGEST: Final = timedelta(hours=6)


def touched(
    work: Sequence[tuple[int, datetime, datetime]], by_tenant: Mapping[int, Sequence[Counted]]
) -> list[Stretch]:
    """The minutes that are marked, and those whose counts depend on their readings (`sla.births`)."""
    ranges: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for tenant, start, end in work:
        reach = max(c.voices.reach for c in by_tenant[tenant])
        ranges[tenant].append((start, rounded_up(end + 4 * reach, MINUTE)))
    flat = [(t, a, b) for t, found in sorted(ranges.items()) for a, b in merged(found)]
    return [Stretch(n, t, a, b) for n, (t, a, b) in enumerate(flat, start=1)]


def merged(ranges: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Touching and overlapping ranges made one, in order."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def rounded_up(ts: datetime, step: timedelta) -> datetime:
    rest = timedelta(seconds=ts.timestamp() % step.total_seconds())
    return ts - rest + step if rest else ts


def shares(
    marks: Sequence[Any], oldest: datetime, latest: datetime
) -> tuple[list[tuple[int, datetime, datetime]], list[tuple[int, datetime, datetime]]]:
    """(what to do now, what is left for later) as (tenant, start, end): at most `_LONGEST` of each tenant.

    What lies before `oldest` or after `latest` is dropped.
    """
    ranges: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for m in marks:
        start, end = max(m["starts"], oldest), min(m["ends"], latest)
        if start < end:
            ranges[m["tenant"]].append((start, end))
    work: list[tuple[int, datetime, datetime]] = []
    rest: list[tuple[int, datetime, datetime]] = []
    for tenant, found in sorted(ranges.items()):
        left = _LONGEST
        for start, end in merged(found):
            cut = min(end, start + left)
            if cut > start:
                work.append((tenant, start, cut))
            if cut < end:
                rest.append((tenant, cut, end))
            left -= cut - start
    return work, rest
