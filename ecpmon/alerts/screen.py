"""Which tenants an evaluation would change nothing of: found for all of them at once, from totals.

Most rules stay as they are at most ticks. Whether one does is decided by the same judgement that an evaluation makes
(`judge`, `advance`), on what one question finds for everybody; whoever might change, or cannot be told, is evaluated
by itself, from what that reads. Invariant: of a tenant that is called calm, an evaluation now would store no change of
state; what it would store of rules that only go on (pending, firing, frozen) is stored once in `REFRESH`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ecpmon.alerts.judgement import (
    SLA_LOOKBACK,
    Facts,
    judge,
    saved_condition,
    told_until,
    unobserved,
    windows_read,
)
from ecpmon.alerts.machine import advance
from ecpmon.alerts.syntax import references
from ecpmon.errors import EcpError
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Roster, Standing
from ecpmon.ports.samples import Latest, MonitoringStore
from ecpmon.ports.sla import WindowSums, WindowTotals
from ecpmon.sla import burn
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import effort, touching
from ecpmon.sla.terms import terms_of
from ecpmon.slices import in_slices

# What only goes on is stored so often; as long at most is what people see of it old.
REFRESH: Final = timedelta(minutes=1)
# Windows that are asked of everybody. Who reads others is evaluated by itself.
MOST_WINDOWS: Final = 16
# More planned maintenance than this is not worked out here.
FEW: Final = 50
# More than any rule waits for: failures are not counted here, so who would fire by them is evaluated exactly.
_MANY_FAILURES: Final = 2**31


@dataclass(frozen=True, slots=True)
class Survey:
    """`names`: who has rules; `calm`: whose stay as they are; `going_on`: of those, rules with the state to store."""

    names: Sequence[str] = ()
    calm: Collection[str] = frozenset()
    going_on: Sequence[tuple[RuleWithState, RuleState]] = ()


class Totals:
    """The `Record` of a tenant without maintenance, in windows that all end at one instant.

    Raises LookupError for what it cannot tell: other windows, and whether a gap ends now or later.
    """

    def __init__(self, places: Mapping[datetime, int], found: WindowTotals) -> None:
        self._places = places
        self._found = found

    def tally(self, start: datetime, end: datetime) -> Tally:
        return self._found.tally(self._places[start])

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        return _MANY_FAILURES

    def history(self, start: datetime, end: datetime) -> timedelta:
        return max(end - max(self._found.first, start), timedelta(0))

    def silence(self, start: datetime, end: datetime) -> float | None:
        if self._found.latest >= end:
            raise LookupError("a gap may end with an observation that is not over")
        if self._found.expires >= end:
            return None
        return (end - max(self._found.expires, self._found.first, start)).total_seconds()


class _Untold(Facts):
    """What was told before may fire a second time here: that is left to an exact evaluation."""

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        return Facts.window_burn(self, window)


def course(entry: RuleWithState, facts: Facts, policies: Mapping[str, burn.BurnPolicy]) -> RuleState | None:
    """The state in which an evaluation leaves the rule, when that is no change; None: that cannot be told here."""
    rule, state, now = entry.rule, entry.state, facts.now
    if rule.kind is RuleKind.THRESHOLD and references(saved_condition(rule)).aggregates:
        return None
    if state.status is RuleStatus.PENDING and rule.kind is not RuleKind.NO_DATA:
        return None  # how long it has held must be known when it cannot be decided any more
    evaluation = judge(rule, state, facts, policies)
    if rule.kind is RuleKind.BURN_RATE and evaluation.result is not False:
        if evaluation.result and state.status is not RuleStatus.FIRING:
            return None
        told = told_until(state, now)
        if told is not None and told > now - SLA_LOOKBACK:
            return None
    after, transitions = advance(state, evaluation.result, now, rule.for_, value=evaluation.reading.value)
    return None if transitions else after


def is_due(before: RuleState, after: RuleState, now: datetime) -> bool:
    """Whether a state that goes on is to be stored."""
    if after.status is RuleStatus.INACTIVE and not after.frozen:
        return False  # nothing to remember
    at = before.evaluated_at
    return at is None or not timedelta(0) <= now - at < REFRESH


@dataclass(slots=True)
class _Read:
    """What was found for the candidates: by the number of the tenant, and by its name."""

    places: Mapping[datetime, int]
    totals: Mapping[int, WindowTotals]
    latest: Mapping[int, Mapping[str, Latest]] = field(default_factory=dict)


class Screen:
    """One question for the totals of everybody, one for the newest values where rules read some."""

    def __init__(
        self,
        roster: Roster,
        window_sums: WindowSums,
        monitoring: MonitoringStore,
        intervals: Intervals,
        policies: Mapping[str, burn.BurnPolicy],
    ) -> None:
        self.roster = roster
        self._window_sums = window_sums
        self._monitoring = monitoring
        self._intervals = intervals
        self._policies = policies

    async def survey(self, now: datetime, left_out: Collection[str]) -> Survey:
        """Of every live tenant with rules; `left_out` are not called calm."""
        standings = [s for s in (await self.roster.standings()).values() if s.rules is None or s.rules]
        candidates = [s for s in standings if s.tenant_id not in left_out and self._can_be_told(s, now)]
        read = await self._read(candidates, now)
        calm: set[str] = set()
        going_on: list[tuple[RuleWithState, RuleState]] = []
        async for standing in in_slices(candidates):
            courses = self._courses(standing, read, now)
            if courses is not None:
                calm.add(standing.tenant_id)
                going_on += [(e, after) for e, after in courses if is_due(e.state, after, now)]
        return Survey([s.tenant_id for s in standings], calm, going_on)

    def _can_be_told(self, standing: Standing, now: datetime) -> bool:
        """Whoever has maintenance in a window cannot: totals know nothing of it."""
        tenant, planned = standing.tenant, standing.planned
        if tenant is None or planned is None or standing.rules is None or effort(planned) > FEW:
            return False
        if not planned:
            return True
        try:
            maintenance = terms_of(tenant, planned, now, self._intervals).maintenance
        except EcpError:
            return False
        return not touching(maintenance, now - SLA_LOOKBACK, now)

    async def _read(self, candidates: Sequence[Standing], now: datetime) -> _Read:
        lengths = sorted(self._lengths(e.rule for s in candidates for e in s.rules or ()))
        starts = [now - length for length in (*lengths[: MOST_WINDOWS - 1], SLA_LOOKBACK)]
        places = {start: place for place, start in enumerate(starts)}
        keys = [s.tenant.key for s in candidates if s.tenant is not None]
        read = _Read(places, await self._window_sums.totals(keys, starts, now))
        readers: list[Tenant] = []
        names: set[str] = set()
        for standing in candidates:
            wanted = _metrics(standing.rules or ())
            if wanted and standing.tenant is not None:
                readers.append(standing.tenant)
                names |= wanted
        if readers:
            asked = [(t, now - self._intervals.stalest(t)) for t in readers]
            read.latest = await self._monitoring.latest_of(asked, names, now)
        return read

    def _lengths(self, rules: Iterable[AlertRule]) -> set[timedelta]:
        found: set[timedelta] = set()
        for rule in {(r.kind, r.policy, r.condition): r for r in rules}.values():
            try:
                found |= windows_read([rule], self._policies)
            except (EcpError, LookupError, ValueError):
                continue  # nobody can evaluate it, and who tries tells
        return found - {SLA_LOOKBACK}

    def _courses(
        self, standing: Standing, read: _Read, now: datetime
    ) -> list[tuple[RuleWithState, RuleState]] | None:
        """Each of its rules with the state it goes on in; None: the tenant is to be evaluated."""
        tenant = standing.tenant
        if tenant is None:
            return None
        totals = read.totals.get(tenant.key)
        record = Totals(read.places, totals) if totals is not None else unobserved(now)
        facts = _Untold(tenant, now, record, read.latest.get(tenant.key, {}), self._intervals)
        found = []
        try:
            for entry in standing.rules or ():
                after = course(entry, facts, self._policies)
                if after is None:
                    return None
                found.append((entry, after))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the exact evaluation tells whose it is
            return None
        return found


def _metrics(rules: Iterable[RuleWithState]) -> set[str]:
    """Names of the metrics whose newest values these rules read."""
    found: set[str] = set()
    for entry in rules:
        if entry.rule.kind is RuleKind.THRESHOLD:
            try:
                found |= {metric.name for metric in references(saved_condition(entry.rule)).metrics}
            except (EcpError, LookupError, ValueError):
                continue  # as above
    return found
