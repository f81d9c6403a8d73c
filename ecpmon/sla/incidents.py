"""Outages as people count them: down runs, with short recoveries between them left out. Pure.

An outage is whole: where it begins and ends is told by the timeline alone, neither by the edges of what is asked about
nor by what was planned meanwhile. Whether it counts there, and how much of it, follows from its down time inside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import Incident, Outages
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.spans import clip

FLAP_LIMIT: Final = timedelta(seconds=60)


def incidents(
    spans: Sequence[Span],
    start: datetime,
    end: datetime,
    maintenance: Sequence[Interval] = (),
    known: datetime | None = None,
) -> list[Incident]:
    """The outages with down time in `[start, end)` outside of `maintenance`, whole as they were known at `known`.

    `spans`: a timeline without holes that reaches back to where the first of them begins; what is up may be left out.
    `maintenance` is disjoint and in order. `known`: `end` if it is not given.
    """
    last, found = known or end, list[Incident]()
    for downs in _outages(spans, start, end, last):
        inside = exclude(clip(downs, start, end), maintenance)
        if inside:
            found.append(
                Incident(
                    downs[0].start,
                    downs[-1].end,
                    sum(s.down_seconds for s in inside),
                    downs[-1].end >= last,
                    sum(s.seconds for s in exclude(downs, maintenance)),
                    Interval(inside[0].start, inside[-1].end),
                )
            )
    return found


def _outages(spans: Sequence[Span], start: datetime, end: datetime, known: datetime) -> Iterator[list[Span]]:
    """The down spans of each outage that may touch `[start, end)`, cut at `known`."""
    downs, blind = list[Span](), False
    for span in islice(spans, _first(spans, start), None):
        if span.start >= known:
            break
        if span.state is not SpanState.DOWN:
            blind = blind or span.state is SpanState.GAP
            continue
        if blind or not downs or span.start - downs[-1].end >= FLAP_LIMIT:
            if downs:
                yield downs
            downs = []
            if span.start >= end:
                break
        downs.append(span if span.end <= known else replace(span, end=known))
        blind = False
    if downs:
        yield downs


def _first(spans: Sequence[Span], start: datetime) -> int:
    """From which span on the outage that goes on at `start` is seen whole."""
    index = bisect_right(spans, start, key=attrgetter("end"))
    here = spans[index] if index < len(spans) else None
    down_from = here.start if here is not None and here.state is SpanState.DOWN else start
    while index and (before := spans[index - 1]).state is not SpanState.GAP:
        if down_from - before.end >= FLAP_LIMIT:
            break
        if before.state is SpanState.DOWN:
            down_from = before.start
        elif before.end - before.start >= FLAP_LIMIT:
            break
        index -= 1
    return index


def counted(found: Sequence[Incident]) -> Outages:
    ended = [i.recovery_seconds for i in found if not i.ongoing]
    return Outages(len(found), len(ended), sum(ended))
