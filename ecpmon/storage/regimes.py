"""Which source of a tenant is evidence, from when on, and what its samples say under that: its regimes."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, pairwise
from operator import attrgetter, le
from typing import Any, Final

from ecpmon.model.availability import GapReason, Observation
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Source
from ecpmon.sla.evidence import EvidenceRule, EvidenceRules, vote_of
from ecpmon.sla.voices import DOWN, UP, Policy, Share, Told, Voice, hour_after
from ecpmon.slices import Slices
from ecpmon.storage.queries import load

# The push endpoint's heartbeat is written every 10 s; one missed beat is not blindness.
PUSH_AWAKE: Final = timedelta(seconds=30)
# Characters of `says_who`.
_LONGEST: Final = 200

# Instant, source, metric, component ("" for the tenant as a whole), value.
EvidenceValue = tuple[datetime, Source, str, str, float]


@dataclass(frozen=True, slots=True)
class Regime:
    """Which source is evidence from `valid_from` on, how long its observations hold, and how components count.

    `age`: how old what is observed may be; None: changes are told at their instants. `weights` by component; None: any
    component that is down makes the tenant down.
    """

    valid_from: datetime
    source: Source
    holds: timedelta
    weights: Mapping[str, float] | None = None
    age: timedelta | None = None


def regime_at(regimes: Sequence[Regime], ts: datetime) -> Regime:
    """The regime in force at `ts`; the first one reaches back to the beginning of time."""
    if len(regimes) == 1:
        return regimes[0]
    index = bisect_right(regimes, ts, key=attrgetter("valid_from")) - 1
    return regimes[max(index, 0)]


def silent_reason(source: Source) -> GapReason:
    return GapReason.NOT_PUSHED if source is Source.PUSH else GapReason.TARGET_FAILED


async def awake_between(connection: Any, tenant: int, regime: Regime, asked: Interval) -> list[Interval]:
    """When our collector of the regime's source was at work for the tenant: disjoint, in order."""
    awake = PUSH_AWAKE if regime.source is Source.PUSH else regime.holds
    sql = load("ingest")["awake_between"]
    rows = await connection.fetch(sql, regime.source.value, asked.start, asked.end, tenant, awake)
    return [Interval(r["start"], r["end"]) for r in rows]


def regime_of(row: Any) -> Regime:
    """A row of `evidence_regimes`."""
    if row["weights"] is None:
        return _unweighted(row["valid_from"], row["source"], row["holds"], row["age"])
    return Regime(row["valid_from"], Source(row["source"]), row["holds"], row["weights"], row["age"])


@lru_cache(maxsize=10_000)
def _unweighted(valid_from: datetime, source: str, holds: timedelta, age: timedelta | None) -> Regime:
    return Regime(valid_from, Source(source), holds, None, age)


# All evidence of some instants, in time order, by voice; and the regime of each.
_Instant = tuple[datetime, dict[Voice, float], Regime]


# Instants that are told by the same voices, which decide alone: which (`says_who`), and what they say. Of these
# observations those are left out that lie between two others without a change or a gap: the first of a run holds until
# its last. So a timeline laid of them is the same, and a day of one state is two. None: nothing has a vote.
Alike = tuple[str, list[Observation]]
# Values that are looked at in one go: a millisecond.
_PART: Final = 200
_NOTHING: Final[Alike] = ("", [])


def alike(values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules) -> Alike | None:
    """None: now these voices speak, now those, or others are missing; then `ecpmon.sla.voices` has the word.

    Of two values of one instant and voice the later one counts; other sources' values do not vote.
    """
    if len(values) == 1:
        return _lone(values[0], regimes, rules)
    found: list[Observation] = []
    speaking: Collection[Voice] | None = None
    says, known = "", regimes[0]
    policy, rule = policy_of(known), rules.of(known.source)
    first = last = None
    for ts, own, regime in _instants(values, regimes):
        if regime is not known:
            known, policy, rule = regime, policy_of(regime), rules.of(regime.source)
            if speaking is not None:
                return None
        speak, share = _heard(own, policy, rule)
        if not speak:
            continue
        if speaking is None:
            speaking, says = speak, says_who(policy, speak)
        if share is None or speak != speaking:
            return None
        seen = (ts, share, regime.holds, regime.age)
        if last is not None and share == last[1] and ts - last[0] <= regime.holds:
            last = seen
            continue
        found += _run(first, last)
        first = last = seen
    return says, found + _run(first, last)


async def alike_in_parts(
    values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> Alike | None:
    """The same as `alike`, of which others have their turns in between; of many that are in order."""
    if len(values) <= _PART:
        return alike(values, regimes, rules)
    if not _in_order(values) or regime_at(regimes, values[0][0]) is not regime_at(regimes, values[-1][0]):
        return await asyncio.to_thread(alike, values, regimes, rules)
    says, found, slices = "", list[Observation](), Slices()
    for part in _parts(values):
        alone = alike(part, regimes, rules)
        if alone is None or (found and alone[1] and alone[0] != says):
            return None
        if alone[1]:
            says = alone[0]
            found += alone[1]
        await slices.give_way()
    return says, found


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


def _heard(
    values: dict[Voice, float], policy: Policy, rule: EvidenceRule
) -> tuple[Collection[Voice], Share | None]:
    """Whose votes of one instant count, and what they say together."""
    if len(values) == 1 and policy.weights is None:
        [((name, _), value)] = values.items()
        down = vote_of(name, value, rule)
        return ((), None) if down is None else (values.keys(), DOWN if down else UP)
    votes = policy.counted(_votes(values, rule))
    return votes.keys(), policy.share(votes.items())


def _lone(value: EvidenceValue, regimes: Sequence[Regime], rules: EvidenceRules) -> Alike | None:
    """The same of one value, which is what most pushes bring."""
    ts, source, name, component, number = value
    regime = regime_at(regimes, ts)
    down = vote_of(name, number, rules.of(source)) if regime.source is source else None
    if down is None:
        return _NOTHING
    if regime.weights is None:
        seen = Observation(ts, float(down), regime.holds, regime.age)
        return _says_one(source, name, component), [seen]
    policy = policy_of(regime)
    votes = policy.counted({(name, component): down})
    share = policy.share(votes.items())
    if share is None:
        return None if votes else _NOTHING
    return says_who(policy, votes), [_observation(ts, share, regime.holds, regime.age)]


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


def policy_of(regime: Regime) -> Policy:
    """A source that is pulled tells everything at once, and knows of services that are only being created."""
    pulled = regime.source is not Source.PUSH
    return Policy(regime.source.value, regime.holds, regime.weights, pulled, regime.age)


def says_who(policy: Policy, voices: Iterable[Voice]) -> str:
    """A name of such a set of voices under such a policy, of bounded length."""
    named = "".join(sorted(f" {len(component)} {name}.{component}" for name, component in voices))
    name = f"{policy.source}{'' if policy.weights is None else '*'}{named}"
    return name if len(name) <= _LONGEST else blake2b(name.encode()).hexdigest()


@lru_cache(maxsize=10_000)
def _says_one(source: str, name: str, component: str) -> str:
    return says_who(Policy(str(source), timedelta()), [(name, component)])


def told_by(values: Iterable[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules) -> list[Told]:
    """What the values say at each instant, in time order, as far as it counts."""
    found, policies = [], dict[int, Policy]()
    for ts, own, regime in _instants(values, regimes):
        policy = policies.get(id(regime)) or policies.setdefault(id(regime), policy_of(regime))
        if votes := policy.counted(_votes(own, rules.of(regime.source))):
            found.append(Told(ts, votes, policy))
    return found


def _votes(values: Mapping[Voice, float], rule: EvidenceRule) -> dict[Voice, bool]:
    return {
        voice: vote for voice, value in values.items() if (vote := vote_of(voice[0], value, rule)) is not None
    }


def _instants(values: Iterable[EvidenceValue], regimes: Sequence[Regime]) -> Iterator[_Instant]:
    by_instant: dict[datetime, dict[Voice, float]] = {}
    only = regimes[0] if len(regimes) == 1 else None
    for ts, source, name, component, value in values:
        if (only or regime_at(regimes, ts)).source is source:
            if ts in by_instant:
                by_instant[ts][name, component] = value
            else:
                by_instant[ts] = {(name, component): value}
    for ts in sorted(by_instant):
        yield ts, by_instant[ts], only or regime_at(regimes, ts)


def reach(regimes: Sequence[Regime], at: datetime) -> datetime:
    """Since when something may have been said that still holds at `at`: what is older does not."""
    earliest = at - regime_at(regimes, at).holds
    for regime, following in pairwise(regimes):
        if following.valid_from <= at < following.valid_from + regime.holds:
            earliest = min(earliest, at - regime.holds)
    return earliest


def held_until(regimes: Sequence[Regime], first: datetime, last: datetime) -> datetime:
    """Until when it matters what is said from `first` to `last`: it holds, or another policy judges what held then."""
    latest = last + regime_at(regimes, last).holds
    for regime, following in pairwise(regimes):
        if following.valid_from <= last:
            latest = max(latest, following.valid_from + regime.holds)
    return latest


def evidence_values(rows: Iterable[Any]) -> Iterable[EvidenceValue]:
    """Rows of `raw_evidence`; sources that are none of ours have no vote."""
    for r in rows:
        if r["data_source"] in Source.__members__.values():
            yield r["ts"], Source(r["data_source"]), r["metric_name"], r["component"], r["value"]
