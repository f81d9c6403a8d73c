"""Restarts of which one counter of a process tells, and another does not. Pure.

A counter that restarts and has passed its old value by the next reading shows no fall. Others of the same process may.

Invariants:
- Only what was read at the same instants, or while a reading held, is compared. So what is said of a reading follows
  from its own stretch of time.
- Counters that are known to begin together (the count and the buckets of a histogram) restart together. Of others, one
  whose labels hold all of another's may be of the same process: nothing is counted by that, and it is in the bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from ecpmon.sla.births import plausible
from ecpmon.sla.growth import RESTARTS, Step
from ecpmon.sla.tracks import Grown

# The instants of two readings of one series, one after the other.
_Pair = tuple[datetime, datetime]
# Who was read at both, and the place of the later reading.
_Members = list[tuple[Grown, int]]


def restart_together(grown: Sequence[Grown]) -> None:
    """Count again those of which others of their process say that they restarted, or did not."""
    groups: dict[object, list[Grown]] = defaultdict(list)
    for each in grown:
        if each.track.process is not None and not each.track.begun:
            groups[each.track.process].append(each)
    for group in groups.values():
        if len(group) > 1 and any(each.is_unsteady for each in group):
            _agree(group)


def _agree(group: Iterable[Grown]) -> None:
    told: dict[int, dict[datetime, Step]] = defaultdict(dict)
    for (_, at), members in _pairs(group).items():
        steps = [each.steps[place] for each, place in members]
        verdict = _verdict(members) if len(set(steps)) > 1 else Step.ON
        for (each, _), step in zip(members, steps, strict=True):
            if verdict in RESTARTS or (verdict is Step.STRAY and step in RESTARTS):
                told[id(each)][at] = verdict
    for each in group:
        if id(each) in told:
            each.count(told[id(each)])


def _pairs(group: Iterable[Grown]) -> dict[_Pair, _Members]:
    found: dict[_Pair, _Members] = defaultdict(list)
    for each in group:
        for place, pair in enumerate(pairwise(each.instants), start=1):
            found[pair].append((each, place))
    return found


def _verdict(members: _Members) -> Step:
    """By the one that counts most: the others are parts of it. If it went on and others fell it has passed itself."""
    largest, place = max(members, key=lambda m: m[0].counts[m[1] - 1].value)
    step = largest.steps[place]
    if step is Step.ON and any(each.steps[p] in RESTARTS for each, p in members):
        return Step.ASSUMED_RESTART
    return step


# A series, the instants between which it may have restarted, and by how much more it has grown if it has.
_Unsure = tuple[Grown, _Pair, int]


def unsure_restarts(grown: Sequence[Grown], start: datetime, end: datetime) -> Iterator[_Unsure]:
    """By how much more series may have grown up to readings in `[start, end)`, if they restarted with others.

    Of a counter of the total and one of what is good or bad, whose labels may be those of one process: where the total
    is seen to restart, the other may have, if what it shows may have been counted since; and where it was away while
    the total was read it may have waited for its first event since a restart.
    """
    wholes = [each for each in grown if each.track.whole and not each.track.part]
    for part in grown:
        if not part.track.part:
            continue
        for whole in wholes:
            if (whole.is_unsteady or _was_away(part)) and _may_share(whole, part):
                yield from _with_another(whole, part, start, end)
                yield from _while_away(whole, part, start, end)


def _was_away(part: Grown) -> bool:
    return any(increase.hole for increase in part.increases)


def _may_share(whole: Grown, part: Grown) -> bool:
    own, other = whole.track, part.track
    if own.begun or other.begun or not own.may_be_of(other):
        return False
    return own.process is None or own.process != other.process


def _with_another(whole: Grown, part: Grown, start: datetime, end: datetime) -> Iterator[_Unsure]:
    for place, step in enumerate(whole.steps):
        pair = whole.instants[place - 1], whole.instants[place]
        index = part.before(pair[1]) + 1
        if step not in RESTARTS or not 0 < index < len(part.counts):
            continue
        before, reading = part.counts[index - 1], part.counts[index]
        if not start <= reading.ts < end or part.steps[index] is not Step.ON or before.ts > pair[0]:
            continue
        # Over a hole of its own the total may have restarted long before.
        if before.until < reading.ts and (before.ts, reading.ts) != pair:
            continue
        since = whole.counts[whole.last(reading.ts)].value
        # What went wrong is no more than the total has counted; of requests by status each status counts by itself.
        most = plausible(since) if part.track.whole else since
        if before.value and reading.value <= most:
            yield part, (before.ts, reading.ts), int(before.value)


def _while_away(whole: Grown, part: Grown, start: datetime, end: datetime) -> Iterator[_Unsure]:
    for place, increase in enumerate(part.increases):
        if not increase.hole or increase.reset or not start <= increase.ts < end:
            continue
        read = whole.before(increase.ts)
        stood = int(part.counts[place].value)
        if stood and read >= 0 and whole.instants[read] > increase.since:
            yield part, (increase.since, increase.ts), stood
