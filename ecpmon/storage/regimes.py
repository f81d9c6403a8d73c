"""Which source of a tenant is evidence, from when on, and what its samples say under that: its regimes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from ecpmon.model.availability import GapReason, Observation
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Source
from ecpmon.sla.evidence import EvidenceRules, down_share
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


def merged_observations(
    values: Iterable[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> list[Observation]:
    """Evidence values (later ones win) as observations in time order; other sources' values do not vote."""
    return [Observation(*seen) for seen in _shares(values, regimes, rules)]


def runs_of(
    values: Sequence[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> list[Observation]:
    """The same, of which those are left out that lie between two others without a change or a gap: the first of a
    run holds until its last. So a timeline laid of them is the same, and a day of one state is two observations."""
    if len(values) == 1:
        return _lone(values[0], regimes, rules)
    found: list[Observation] = []
    first = last = None
    for seen in _shares(values, regimes, rules):
        if last is not None and seen[1:] == last[1:] and seen[0] - last[0] <= last[2]:
            last = seen
            continue
        found += _run(first, last)
        first = last = seen
    return found + _run(first, last)


def _lone(value: EvidenceValue, regimes: Sequence[Regime], rules: EvidenceRules) -> list[Observation]:
    """The same of one value, which is what most pushes bring."""
    ts, source, name, component, number = value
    regime = regime_at(regimes, ts)
    if regime.source is not source:
        return []
    share = down_share({(name, component): number}, rules.of(source), regime.weights)
    return [] if share is None else [Observation(ts, share, regime.holds, regime.age)]


# Instant, share that is down, how long it holds, how old it may be.
_Seen = tuple[datetime, float, timedelta, timedelta | None]


def _run(first: _Seen | None, last: _Seen | None) -> list[Observation]:
    if first is None or last is None:
        return []
    if first is last:
        return [Observation(*first)]
    return [Observation(first[0], first[1], last[0] - first[0], first[3]), Observation(*last)]


def _shares(
    values: Iterable[EvidenceValue], regimes: Sequence[Regime], rules: EvidenceRules
) -> Iterator[_Seen]:
    by_instant: dict[datetime, dict[tuple[str, str], float]] = {}
    only = regimes[0] if len(regimes) == 1 else None
    for ts, source, name, component, value in values:
        if (only or regime_at(regimes, ts)).source is source:
            if ts in by_instant:
                by_instant[ts][name, component] = value
            else:
                by_instant[ts] = {(name, component): value}
    for ts in sorted(by_instant):
        regime = only or regime_at(regimes, ts)
        share = down_share(by_instant[ts], rules.of(regime.source), regime.weights)
        if share is not None:
            yield ts, share, regime.holds, regime.age


def evidence_values(rows: Iterable[Any]) -> Iterable[EvidenceValue]:
    """Rows of `raw_evidence`; sources that are none of ours have no vote."""
    for r in rows:
        if r["data_source"] in Source.__members__.values():
            yield r["ts"], Source(r["data_source"]), r["metric_name"], r["component"], r["value"]
