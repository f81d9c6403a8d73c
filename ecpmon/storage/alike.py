"""Instants that are told by the same voices, which decide alone: what each says by itself is what they say together.

Mostly evidence is of that kind, and then nothing has to be known of what was said before. It is not where one voice
comes up in the instant in which another goes down (`sla.crossings`): so while some of them are down, which ones is part
of the name that such voices have at the open end of a timeline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby, islice
from operator import itemgetter, le
from typing import Final, NamedTuple

from ecpmon.model.availability import Observation
from ecpmon.names import ENDS
from ecpmon.sla.crossings import Share, Voice
from ecpmon.sla.evidence import EvidenceRules, vote_of
from ecpmon.sla.voices import Policy, hour_after
from ecpmon.slices import Slices
from ecpmon.storage.regimes import (
    EvidenceValue,
    Regime,
    policy_of,
    regime_at,
    tells_of_ends,
)

_instant = itemgetter(0)
# Characters of `says_who`.
_LONGEST: Final = 200
# Values that are looked at in one go: a millisecond.
_PART: Final = 200


class Alike(NamedTuple):
    """Which voices (`says_who`), and what they say.

    Of these observations those are left out that lie between two others without a change or a gap: the first of a run
    holds until its last. So a timeline laid of them is the same, and a day of one state is two. None: nothing has a
    vote. `begins`, `ends`: `standing_name` at the first and the last instant.
    """

    says: str
    runs: list[Observation]
    begins: str
    ends: str

    def goes_on(self, standing: str | None) -> bool:
        """Whether the voices at an open end are these, and none that was down there may have come up unseen."""
        return standing is not None and standing in (self.says, self.begins)


_Said = tuple[Mapping[Voice, bool], Share | None]
_NOTHING: Final = Alike("", [], "", "")


def alike(values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules) -> Alike | None:
    """None: now these voices speak, now those, or others are missing, one ends, or they change in opposite directions;
    then `ecpmon.sla.voices` has the word.

    Of two values of one instant and voice the later one counts; other sources' values do not vote.
    """
    if len(values) == 1 or tells_of_ends(values):
        return _lone(values[0], regimes, rules) if len(values) == 1 else None
    found: list[Observation] = []
    before: Mapping[Voice, bool] | None = None
    says = begins = ""
    known = regimes[0]
    policy = policy_of(known)
    first = last = None
    for ts, votes, share, regime in _heard(values, regimes, rules):
        if regime is not known:
            known, policy = regime, policy_of(regime)
            if before is not None:
                return None
        if before is None:
            says = says_who(policy, votes)
            begins = _named(says, policy, votes)
        elif votes is not before and (votes.keys() != before.keys() or _cross(policy, before, votes)):
            return None
        if share is None:
            return None
        before = votes
        seen = (ts, share, regime.holds, regime.age)
        if last is not None and share == last[1] and ts - last[0] <= regime.holds:
            last = seen
            continue
        found += _run(first, last)
        first = last = seen
    ends = begins if before is None else _named(says, policy, before)
    return Alike(says, found + _run(first, last), begins, ends)


async def alike_in_parts(
    values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> Alike | None:
    """The same as `alike`, of which others have their turns in between; of many that are in order."""
    if len(values) <= _PART:
        return alike(values, regimes, rules)
    if not _in_order(values) or regime_at(regimes, values[0][0]) is not regime_at(regimes, values[-1][0]):
        return await asyncio.to_thread(alike, values, regimes, rules)
    whole, slices = _NOTHING, Slices()
    for part in _parts(values):
        alone = alike(part, regimes, rules)
        if alone is None:
            return None
        if alone.runs:
            if not whole.runs:
                whole = alone
            elif alone.says == whole.says and alone.goes_on(whole.ends):
                whole = Alike(whole.says, whole.runs + alone.runs, whole.begins, alone.ends)
            else:
                return None
        await slices.give_way()
    return whole


def _in_order(values: Sequence[EvidenceValue]) -> bool:
    instants = [value[0] for value in values]
    return all(map(le, instants, islice(instants, 1, None)))


def _parts(values: Sequence[EvidenceValue]) -> Iterator[Sequence[EvidenceValue]]:
    """Parts of `values`, which are in order; what is of one instant is in one of them."""
    first = 0
    while first < len(values):
        after = min(first + _PART, len(values))
        while after < len(values) and values[after][0] == values[after - 1][0]:
            after += 1
        yield values[first:after]
        first = after


def once_an_hour(values: Sequence[EvidenceValue]) -> Sequence[EvidenceValue]:
    """Of voices that say everything each time what they say first in each UTC hour, and last.

    That is all that matters of when they were heard (`storage.voices.hearings`).
    """
    if len(values) <= _PART or not _in_order(values):
        return values
    kept, until, last = list[EvidenceValue](), values[0][0], values[-1][0]
    at = None
    for value in values:
        ts = value[0]
        if ts >= until:
            at, until = ts, hour_after(ts)
        if ts in (at, last):
            kept.append(value)
    return kept


# Instant, the votes that count, and what they say together.
_Heard = tuple[datetime, Mapping[Voice, bool], Share | None, Regime]


def _heard(
    values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> Iterator[_Heard]:
    """By instants that have votes. What voices say together is worked out once for each way in which they vote."""
    only, known = regimes[0] if len(regimes) == 1 else None, None
    ordered = values if _in_order(values) else sorted(values, key=_instant)
    for ts, own in groupby(ordered, key=_instant):
        regime = only or regime_at(regimes, ts)
        if regime is not known:
            known, said = regime, dict[tuple[tuple[Voice, bool | None], ...], _Said]()
            policy, rule, source = policy_of(regime), rules.of(regime.source), regime.source
        key = tuple([
            ((name, component), vote_of(name, value, rule))
            for _, by, name, component, value in own if by is source
        ])  # fmt: skip
        found = said.get(key)
        if found is None:
            # Of one voice the later value, whether or not that has a vote.
            cast = {voice: down for voice, down in dict(key).items() if down is not None}
            votes = policy.counted(cast)
            found = said[key] = votes, policy.share(votes.items())
        if found[0]:
            yield ts, *found, regime


def _cross(policy: Policy, before: Mapping[Voice, bool], votes: Mapping[Voice, bool]) -> bool:
    """Whether one came up and another went down, of voices whose changes are in doubt."""
    if policy.age is None or len(votes) == 1 or votes == before:
        return False
    changed = {down for voice, down in votes.items() if before[voice] is not down}
    return len(changed) > 1


def _lone(value: EvidenceValue, regimes: Sequence[Regime], rules: EvidenceRules) -> Alike | None:
    """The same of one value, which is what most pushes bring."""
    ts, source, name, component, number = value
    regime = regime_at(regimes, ts)
    down = vote_of(name, number, rules.of(source)) if regime.source is source else None
    if down is None:
        return None if name in ENDS else _NOTHING
    if regime.weights is None:
        says = _says_one(source, name, component)
        return Alike(says, [Observation(ts, float(down), regime.holds, regime.age)], says, says)
    policy = policy_of(regime)
    votes = policy.counted({(name, component): down})
    share = policy.share(votes.items())
    if share is None:
        return None if votes else _NOTHING
    says = says_who(policy, votes)
    return Alike(says, [_observation(ts, share, regime.holds, regime.age)], says, says)


# Instant, share that is down and unknown, how long it holds, how old it may be.
_Seen = tuple[datetime, Share, timedelta, timedelta | None]


def _run(first: _Seen | None, last: _Seen | None) -> list[Observation]:
    if first is None or last is None:
        return []
    if first is last:
        return [_observation(*first)]
    return [_observation(first[0], first[1], last[0] - first[0], first[3]), _observation(*last)]


def _observation(ts: datetime, share: Share, holds: timedelta, age: timedelta | None) -> Observation:
    return Observation(ts, share[0], holds, age, share[1])


def says_who(policy: Policy, voices: Iterable[Voice]) -> str:
    """A name of such a set of voices under such a policy, of bounded length."""
    named = "".join(sorted(f" {len(component)} {name}.{component}" for name, component in voices))
    name = f"{policy.source}{'' if policy.weights is None else '*'}{named}"
    return name if len(name) <= _LONGEST else blake2b(name.encode()).hexdigest()


def standing_name(policy: Policy, votes: Mapping[Voice, bool]) -> str:
    """The same, and which of them are down, where it is not all or none and their changes are in doubt."""
    return _named(says_who(policy, votes), policy, votes)


def _named(says: str, policy: Policy, votes: Mapping[Voice, bool]) -> str:
    downs = [] if policy.age is None else [voice for voice, down in votes.items() if down]
    if len(downs) in (0, len(votes)):
        return says
    return f"{says} down {blake2b(says_who(policy, downs).encode(), digest_size=8).hexdigest()}"


@lru_cache(maxsize=10_000)
def _says_one(source: str, name: str, component: str) -> str:
    return says_who(Policy(str(source), timedelta()), [(name, component)])
