"""Which source of a tenant is evidence, from when on, and what its samples say under that: its regimes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from ecpmon.model.availability import GapReason
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Source
from ecpmon.names import ENDS
from ecpmon.sla.crossings import Voice
from ecpmon.sla.evidence import EvidenceRule, EvidenceRules, end_of, vote_of
from ecpmon.sla.voices import Policy, Told
from ecpmon.storage.queries import load

# The push endpoint's heartbeat is written every 10 s; one missed beat is not blindness.
PUSH_AWAKE: Final = timedelta(seconds=30)

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
Instant = tuple[datetime, dict[Voice, float], Regime]


def policy_of(regime: Regime) -> Policy:
    """A source that is pulled tells everything at once, and knows of services that are only being created."""
    pulled = regime.source is not Source.PUSH
    return Policy(regime.source.value, regime.holds, regime.weights, pulled, regime.age)


def told_by(values: Iterable[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules) -> list[Told]:
    """What the values say at each instant, in time order, as far as it counts."""
    found, policies = [], dict[int, Policy]()
    for ts, own, regime in instants_of(values, regimes):
        policy = policies.get(id(regime)) or policies.setdefault(id(regime), policy_of(regime))
        rule = rules.of(regime.source)
        votes, ends = policy.counted(votes_in(own, rule)), _ends_in(own, rule, policy)
        if votes or ends:
            found.append(Told(ts, votes, policy, ends))
    return found


def tells_of_ends(values: Iterable[EvidenceValue]) -> bool:
    """Whether any of them may say that a voice ends."""
    return any(value[2] in ENDS for value in values)


def _ends_in(values: Mapping[Voice, float], rule: EvidenceRule, policy: Policy) -> dict[Voice, bool]:
    """Which voices end, and whether for good; none that has a value at this instant."""
    found: dict[Voice, bool] = {}
    for name, component in values:
        ended = end_of(name, rule)
        if ended is not None:
            voice = ended[0], component
            if voice not in values and policy.counts(voice):
                found[voice] = ended[1] or found.get(voice, False)
    return found


def votes_in(values: Mapping[Voice, float], rule: EvidenceRule) -> dict[Voice, bool]:
    return {
        voice: vote for voice, value in values.items() if (vote := vote_of(voice[0], value, rule)) is not None
    }


def instants_of(values: Iterable[EvidenceValue], regimes: Sequence[Regime]) -> Iterator[Instant]:
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
