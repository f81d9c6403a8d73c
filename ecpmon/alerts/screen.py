"""Which tenants an evaluation would change nothing of: found for all of them at once, from totals.

Most rules stay as they are at most ticks. Whether one does is decided by the same judgement that an evaluation makes
(`judge`, `advance`), on what one question finds for everybody; whoever might change, or cannot be told, is evaluated
by itself, from what that reads. Invariants: of a tenant that is called calm, an evaluation now would store no change of
state; what it would store of rules that only go on (pending, firing, frozen) is stored once in `REFRESH`. Of one that
is called moving, it would store just what is told of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ecpmon.alerts.evaluate import Evaluation, Reading
from ecpmon.alerts.flapping import flaps_by
from ecpmon.alerts.judgement import (
    SLA_LOOKBACK,
    Facts,
    judge,
    reads_windows,
    remembered,
    saved_condition,
    unobserved,
    windows_read,
)
from ecpmon.alerts.machine import advance, is_overtaken
from ecpmon.alerts.rests import REACH, Rests, growing, rest_of, waits_for_nothing
from ecpmon.alerts.syntax import references
from ecpmon.errors import EcpError
from ecpmon.model.alerts import AlertRule, FlapPolicy, RuleKind, RuleState, RuleStatus, Transition
from ecpmon.model.availability import SpanState
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Roster, Standing
from ecpmon.ports.samples import Latest, MonitoringStore
from ecpmon.ports.sla import Outline, WindowSums, WindowTotals
from ecpmon.sla import burn
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import effort, touching
from ecpmon.sla.terms import has_hours, terms_of
from ecpmon.slices import in_slices

# What only goes on is stored so often at most: as long is what people see of it old, or `SELDOM` while it is hardly
# another value, `ALIKE` of it.
REFRESH: Final = timedelta(minutes=1)
SELDOM: Final = timedelta(minutes=10)
ALIKE: Final = 0.05
# Windows that are asked of everybody. Who reads others is evaluated by itself.
MOST_WINDOWS: Final = 16
# More planned maintenance than this is not worked out here.
FEW: Final = 50
# More than any rule waits for: failures are not counted here, so who would fire by them is evaluated exactly.
_MANY_FAILURES: Final = 2**31


@dataclass(frozen=True, slots=True)
class Course:
    """What an evaluation makes of a rule: the state it leaves it in, and what of that is to be told."""

    entry: RuleWithState
    after: RuleState
    transitions: Sequence[Transition]
    reading: Reading


@dataclass(frozen=True, slots=True)
class Survey:
    """`names`: who has rules; `calm`: whose stay as they are; `going_on`: of those, rules with the state to store.

    `moving`: of others, what an evaluation would find of all their rules: by name those that change or go on.
    All of it was read after `read_at`, by the clock of where it is stored.
    """

    names: Sequence[str] = ()
    calm: Collection[str] = frozenset()
    going_on: Sequence[tuple[RuleWithState, RuleState]] = ()
    moving: Mapping[str, Sequence[Course]] = field(default_factory=dict)
    read_at: datetime | None = None


class Totals:
    """The `Record` of a tenant without maintenance or service hours, in windows that all end at one instant.

    Raises LookupError for what it cannot tell: other windows, and whether a gap ends now or later.
    """

    def __init__(self, places: Mapping[datetime, int], found: WindowTotals) -> None:
        self._places = places
        self._found = found
        # Several rules read the same windows, each more than once.
        self._tallies: dict[datetime, Tally] = {}

    def tally(self, start: datetime, end: datetime) -> Tally:
        known = self._tallies.get(start)
        if known is None:
            known = self._tallies[start] = self._found.tally(self._places[start])
        return known

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        return _MANY_FAILURES

    def history(self, start: datetime, end: datetime) -> timedelta:
        return max(end - max(self._found.first, start), timedelta(0))

    def since(self, now: datetime, length: timedelta, most: timedelta) -> datetime:
        return now - length

    def silence(self, start: datetime, end: datetime) -> float | None:
        if self._found.latest >= end:
            raise LookupError("a gap may end with an observation that is not over")
        if self._found.state is SpanState.GAP and self._found.expires >= end:
            raise LookupError("a gap in part may have begun with the last observation, or before")
        if self._found.expires >= end:
            return None
        return (end - max(self._found.expires, self._found.first, start)).total_seconds()


class _Untold(Facts):
    """What was told before may fire a second time here: that is left to an exact evaluation."""

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        return Facts.window_burn(self, window)


def course(
    entry: RuleWithState,
    facts: Facts,
    policies: Mapping[str, burn.BurnPolicy],
    flap: FlapPolicy | None = None,
) -> Course | None:
    """What an evaluation would make of the rule; None: that cannot be told here."""
    rule, state, now = entry.rule, entry.state, facts.now
    if reads_windows(rule):
        return None
    if state.status is RuleStatus.PENDING and rule.kind is not RuleKind.NO_DATA:
        return None  # how long it has held must be known when it cannot be decided any more
    evaluation = judge(rule, state, facts, policies)
    after, transitions = advance(
        state, evaluation.result, now, rule.for_, value=evaluation.reading.value, flap=flaps_by(rule, flap)
    )
    if rule.kind is RuleKind.BURN_RATE:
        if evaluation.result and state.status is not RuleStatus.FIRING:
            return None
        policy = policies[rule.policy or "page"]
        if remembered(state, now) and (transitions or not _whatever_was_told(evaluation, policy)):
            return None
    return Course(entry, after, transitions, evaluation.reading)


def _whatever_was_told(evaluation: Evaluation, policy: burn.BurnPolicy) -> bool:
    """Whether the result is the same when some of what failed was told before, and counts as up."""
    decision = evaluation.reading.burn
    if evaluation.result is None:
        return decision is not None and burn.is_blind(decision, policy.min_coverage)
    return not evaluation.result


def _goes_on(after: RuleState) -> bool:
    """Whether there is anything to remember of a state that is no change. One that is frozen keeps all it has."""
    return after.stands and not after.frozen


def is_due(before: RuleState, after: RuleState, now: datetime) -> bool:
    """Whether a state that goes on is to be stored."""
    at = before.evaluated_at
    if at is None or is_overtaken(before, now):
        return at is None and _goes_on(after)
    if not _goes_on(after) or timedelta(0) <= now - at < REFRESH:
        return False
    # How long a rule has waited is nowhere else.
    waits = after.status is RuleStatus.PENDING
    return waits or not timedelta(0) <= now - at < SELDOM or not _is_alike(before.value, after.value)


def _is_alike(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(after - before) <= ALIKE * abs(before)


def next_due(courses: Iterable[Course], now: datetime) -> datetime | None:
    """When one of them may have to be stored next, what is due now having been, or calms; None: none goes on."""
    wait = (c for c in courses if _goes_on(c.after) or c.after.flapping)
    return min((_may_be_due(c, now) for c in wait), default=None)


def _may_be_due(course: Course, now: datetime) -> datetime:
    before, after = course.entry.state, course.after
    stored = after if is_due(before, after, now) else before
    at = stored.evaluated_at or now
    again = at + REFRESH
    silent = course.entry.rule.kind is RuleKind.NO_DATA and after.status is RuleStatus.FIRING
    if silent and not after.flapping:
        # A silence grows by a second in a second: it is known when it will be another value.
        again = at + min(max(REFRESH, timedelta(seconds=ALIKE * (stored.value or 0.0))), SELDOM)
    return again if again > now else now + REFRESH


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
        flap: FlapPolicy | None = None,
    ) -> None:
        self.roster = roster
        self._flap = flap
        self._window_sums = window_sums
        self._monitoring = monitoring
        self._intervals = intervals
        self._policies = policies
        self._rests = Rests()

    async def survey(
        self, now: datetime, left_out: Collection[str], among: Collection[str] | None = None
    ) -> Survey:
        """Of every live tenant with rules, or of those `among` them; of `left_out` nothing is told.

        Those `among` are looked at whether they rest or not: something has happened to them.
        """
        standings = await self._asked(among)
        read_at = self.roster.read_at
        outlines = await self._window_sums.outlines(now) if among is None else {}
        calm: set[str] = set()
        candidates = []
        async for standing in in_slices(standings):
            if standing.tenant_id in left_out:
                continue
            if self._rests_now(standing, outlines, now):
                calm.add(standing.tenant_id)
            elif self._can_be_told(standing, now):
                candidates.append(standing)
        if among is None and len(self._rests) > len(standings):
            self._rests.keep_only({s.tenant.key for s in standings if s.tenant is not None})
        read = await self._read(candidates, now) if candidates else _Read({}, {})
        going_on: list[tuple[RuleWithState, RuleState]] = []
        moving: dict[str, Sequence[Course]] = {}
        async for standing in in_slices(candidates):
            facts = self._facts(standing, read, now)
            courses = self._courses(standing, facts) if facts is not None else None
            if facts is None or courses is None:
                continue
            if any(c.transitions for c in courses):
                moving[standing.tenant_id] = [c for c in courses if c.transitions or _goes_on(c.after)]
                continue
            calm.add(standing.tenant_id)
            going_on += [(c.entry, c.after) for c in courses if is_due(c.entry.state, c.after, now)]
            self._note_rest(standing, facts, outlines.get(facts.tenant.key), courses)
        return Survey([s.tenant_id for s in standings], calm, going_on, moving, read_at)

    async def _asked(self, among: Collection[str] | None) -> list[Standing]:
        found = await self.roster.standings()
        asked = found.values() if among is None else [found[n] for n in among if n in found]
        return [s for s in asked if s.rules is None or s.rules]

    def _rests_now(self, standing: Standing, outlines: Mapping[int, Outline], now: datetime) -> bool:
        tenant = standing.tenant
        return tenant is not None and self._rests.holds(tenant.key, standing, outlines.get(tenant.key), now)

    def _note_rest(
        self,
        standing: Standing,
        facts: Facts,
        outline: Outline | None,
        courses: Sequence[Course],
    ) -> None:
        """For how long a tenant that is calm need not be looked at."""
        tenant, now = facts.tenant.key, facts.now
        if standing.planned:
            return  # what is planned may begin any time
        if not self._rests.is_known(tenant, standing, outline, now):
            rules = standing.rules or ()
            steady = None
            if outline is None:
                steady = REACH if waits_for_nothing(rules) else None
            else:
                grows = growing(outline, now)
                # Who is known in part only is restless until it is silent altogether.
                if outline.state != SpanState.GAP or grows is SpanState.GAP:
                    steady = rest_of(rules, facts, grows, self._policies)
            self._rests.note(tenant, standing, outline, now, steady=steady)
        self._rests.note_due(tenant, next_due(courses, now))

    def _can_be_told(self, standing: Standing, now: datetime) -> bool:
        """Whoever has maintenance in a window, or service hours, cannot: totals know nothing of it."""
        tenant, planned = standing.tenant, standing.planned
        if tenant is None or planned is None or standing.rules is None or effort(planned) > FEW:
            return False
        if has_hours(tenant):
            return False
        if not planned:
            return True
        try:
            maintenance = terms_of(tenant, planned, now).maintenance
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

    def _facts(self, standing: Standing, read: _Read, now: datetime) -> Facts | None:
        tenant = standing.tenant
        if tenant is None:
            return None
        totals = read.totals.get(tenant.key)
        record = Totals(read.places, totals) if totals is not None else unobserved(now)
        return _Untold(tenant, now, record, read.latest.get(tenant.key, {}), self._intervals)

    def _courses(self, standing: Standing, facts: Facts) -> list[Course] | None:
        """Of each of its rules; None: the tenant is to be evaluated."""
        found = []
        try:
            for entry in standing.rules or ():
                own = course(entry, facts, self._policies, self._flap)
                if own is None:
                    return None
                found.append(own)
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
