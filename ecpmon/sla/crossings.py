"""What changes in opposite directions between two looks at a tenant: one part comes up, another goes down. Pure.

Nobody knows which was first. The tenant is as much down afterwards as before, so no edge of its timeline would tell
that it may have been more down meanwhile, or not at all. So the timeline passes, in the last microseconds before the
instant that tells, through states that make these edges: at worst first, then at best. Their doubts are those of all
edges.

Invariants:
- What gets worse, and what gets better, is each told by an edge of its own.
- A part that stays down, though who said so is another one now, passes through being up: it may have been between the
  last time that the one was seen to say so and the first time that the other did. Where these overlap it was down.
- Who is told of changes at their instants has no doubts, and passes through nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ecpmon.model.sums import doubted

# Metric, component.
Voice = tuple[str, str]
# How much of a tenant is down, and how much is unknown, each in [0, 1]; the rest is up.
Share = tuple[float, float]
# What is passed through is down for this much at least where an outage goes on: it neither ends nor begins one.
TRACE: Final = 2.0**-40
# For how long a state is passed through.
TICK: Final = timedelta(microseconds=1)
_UP, _UNKNOWN, _DOWN = 0, 1, 2
_BLIND: Final[Share] = (0.0, 1.0)
# Sums of shares differ by as much.
_ROUNDED: Final = 1e-9


class Held(NamedTuple):
    """What a voice said last: until when that holds, whether it is down, since when something else may be so, and since
    when it has said the same without a pause."""

    until: datetime
    down: bool
    seen_at: datetime
    since: datetime


# What holds, and who is missed.
Heard = tuple[Mapping[Voice, Held], Collection[Voice]]


class Passed(NamedTuple):
    """A state that is passed through; `share` None: nothing is known. `doubted`: the change from it is in doubt too."""

    share: Share | None
    doubted: bool


def passed_through(weights: Mapping[str, float] | None, before: Heard, after: Heard) -> list[Passed]:
    """The states between two, in order. `weights` as in `Policy`; without them all voices that are given here are about
    one part."""
    held, stays = before[0], {voice for voice, own in after[0].items() if own.down}
    left = [voice for voice, own in held.items() if own.down and voice not in stays]
    was, will = _states(weights, *before), _states(weights, *after)
    dips = {
        part
        for part in {_part(weights, voice) for voice in left}
        if will.get(part) == _DOWN and _may_have_been_up(weights, part, left, stays, before, after)
    }
    if not dips and _is_told(weights, was, will):
        return []
    found: list[Passed] = []
    worst = {part: max(was[part], state) for part, state in will.items()}
    if worst != was:
        found.append(Passed(_share(weights, worst), doubted=True))
    if dips:
        dipped = _share(weights, {part: _UP if part in dips else state for part, state in will.items()})
        # The outage goes on.
        share = None if dipped is None else (max(dipped[0], TRACE), min(dipped[1], 1 - TRACE))
        found.append(Passed(share, doubted=False))
    return found


def _is_told(weights: Mapping[str, float] | None, was: Mapping[str, int], will: Mapping[str, int]) -> bool:
    """Whether one edge has the doubts of all that changes."""
    if weights is None:
        return True
    whole = sum(weights.values())
    worse = sum(weights[part] for part, state in will.items() if was[part] == _UP != state) / whole
    better = sum(weights[part] for part, state in will.items() if was[part] == _DOWN != state) / whole
    early, late = doubted(*(_share(weights, was) or _BLIND), *(_share(weights, will) or _BLIND))
    return early >= worse - _ROUNDED and late >= better - _ROUNDED


def _part(weights: Mapping[str, float] | None, voice: Voice) -> str:
    return "" if weights is None else voice[1]


def _states(
    weights: Mapping[str, float] | None, held: Mapping[Voice, Held], missed: Collection[Voice]
) -> dict[str, int]:
    """Of every part; of which nothing was ever heard is unknown."""
    found: dict[str, list[int]] = defaultdict(list)
    for voice, own in held.items():
        found[_part(weights, voice)].append(_DOWN if own.down else _UP)
    for voice in missed:
        if voice not in held:
            found[_part(weights, voice)].append(_UNKNOWN)
    parts = ("",) if weights is None else weights
    return {part: max(found.get(part, [_UNKNOWN])) for part in parts}


def _may_have_been_up(
    weights: Mapping[str, float] | None,
    part: str,
    left: Collection[Voice],
    stays: Collection[Voice],
    before: Heard,
    after: Heard,
) -> bool:
    """Whether none of the others is known to have been down just after the last look at one that says so no more."""
    ended = {voice: before[0][voice] for voice in left if _part(weights, voice) == part}
    staying = [after[0][voice].since for voice in stays if _part(weights, voice) == part]
    return any(
        all(since > own.seen_at for since in staying)
        and not any(other.since <= own.seen_at < other.seen_at for other in ended.values())
        for own in ended.values()
    )


def _share(weights: Mapping[str, float] | None, states: Mapping[str, int]) -> Share | None:
    if weights is None:
        return (float(states[""] == _DOWN), 0.0) if states[""] != _UNKNOWN else None
    whole = sum(weights.values())
    down = sum(weights[part] for part, state in states.items() if state == _DOWN) / whole
    unknown = sum(weights[part] for part, state in states.items() if state == _UNKNOWN) / whole
    return None if unknown >= 1.0 else (min(down, 1.0), min(unknown, 1.0 - min(down, 1.0)))
