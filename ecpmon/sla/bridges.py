"""Gaps that the counters themselves measure: whatever was counted went on over them. Pure.

Invariant: what is said of a gap follows from what held before it and from readings at most a `holds` after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ecpmon.sla.tracks import Grown, Held


@dataclass(frozen=True, slots=True)
class Bridge:
    """A gap `[start, end)` of which the counters tell what happened, since `told_at`."""

    start: datetime
    end: datetime
    told_at: datetime


def bridges(grown: Sequence[Grown], held: Held, start: datetime) -> list[Bridge]:
    """The gaps that end, or are told of, at `start` or later, and over which every series counted on.

    Whatever was counted for held before the gap: it was read again when the gap was over, within the time that a
    reading holds, and had not restarted.
    """
    found: list[Bridge] = []
    for before, after in pairwise(sorted(held)):
        if held[before] < after and held[after] >= start:
            told_at = _counted_on(grown, before, after, held[after])
            if told_at is not None:
                found.append(Bridge(held[before], after, told_at))
    return found


def _counted_on(
    grown: Iterable[Grown], before: datetime, after: datetime, latest: datetime
) -> datetime | None:
    """When the last of those that held before the gap was read again; None when not all were, or none held."""
    told_at: datetime | None = None
    for each in grown:
        if each.holds(before) is None:
            continue
        place = each.last(before) + 1
        if place >= len(each.counts) or each.instants[place] > latest or each.increases[place - 1].reset:
            return None
        told_at = max(told_at or after, each.instants[place])
    return told_at
