"""Outages as people count them: down runs, with short recoveries between them left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.windows import Incident, Outages
from ecpmon.sla.spans import clip

FLAP_LIMIT: Final = timedelta(seconds=60)


def incidents(
    spans: Sequence[Span], start: datetime, end: datetime, flap: timedelta = FLAP_LIMIT
) -> list[Incident]:
    """Down runs inside `[start, end)`, merged when less than `flap` of up time lies between them."""
    found: list[Incident] = []
    blind = False  # whether there was a gap since the last down span
    for span in clip(spans, start, end):
        if span.state is not SpanState.DOWN:
            blind = blind or span.state is SpanState.GAP
            continue
        last = found[-1] if found else None
        ongoing = span.end >= end
        if last and not blind and span.start - last.end < flap:
            found[-1] = Incident(last.start, span.end, last.down_seconds + span.down_seconds, ongoing)
        else:
            found.append(Incident(span.start, span.end, span.down_seconds, ongoing))
        blind = False
    return found


def counted(found: Sequence[Incident]) -> Outages:
    ended = [(i.end - i.start).total_seconds() for i in found if not i.ongoing]
    return Outages(len(found), len(ended), sum(ended))
