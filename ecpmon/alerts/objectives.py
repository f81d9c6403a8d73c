"""Evaluates the rules about objectives: once a minute, for all tenants together, when what is over has been counted.

Figures of objectives end at whole minutes, so nothing changes between them. What rules read of all objectives is one
question, and one more for edges of maintenance, of calendar windows and of alerts that have resolved. Events carry the
minute that the figures end at. Stateless between calls: everything a rule remembers is in its stored state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.alerts.counted import LONGEST_READ, CountedFacts, instants, judge, lengths, told_of
from ecpmon.alerts.evaluate import Reading
from ecpmon.alerts.machine import advance
from ecpmon.alerts.moves import Moves
from ecpmon.alerts.screen import is_due
from ecpmon.isolation import Isolation
from ecpmon.model.alerts import RuleState, RuleStatus, Transition
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.objectives import Counts, Promised
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, AlertStore, RuleWithState
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.roster import Roster, Standing, planned_of
from ecpmon.ports.sla import MaintenanceStore, ObjectiveStore
from ecpmon.sla.burn import BurnPolicy
from ecpmon.sla.counters import minute_of
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.ratios import planned_minutes, whole_minutes
from ecpmon.sla.terms import terms_of
from ecpmon.slices import in_slices
from ecpmon.workers import TenantWorkers

_log = structlog.get_logger(__name__)
JOB: Final = "objective_alerts"
# The usual promise; where others begin is asked for apart.
_MONTH: Final = timedelta(days=30)
# Tenants that are evaluated, and whose changes are stored, together.
_SLICE: Final = 50
_Found = tuple[Promised, dict[datetime, Counts]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One objective with its rules, and what they read. `before` grows by what `more` asks for."""

    rules: Sequence[RuleWithState]
    facts: CountedFacts
    before: dict[datetime, Counts]
    more: frozenset[tuple[int, datetime]]


@dataclass(frozen=True, slots=True)
class _Course:
    """What an evaluation makes of a rule."""

    entry: RuleWithState
    after: RuleState
    transitions: Sequence[Transition]
    reading: Reading

    def is_worth_storing(self, now: datetime) -> bool:
        """A change, or another value of what goes on firing."""
        fires = self.after.status is RuleStatus.FIRING
        return bool(self.transitions) or (fires and is_due(self.entry.state, self.after, now))


class ObjectiveAlerts:
    """The jobs run on the leader only."""

    def __init__(
        self,
        *,
        alerts: AlertStore,
        objectives: ObjectiveStore,
        maintenance: MaintenanceStore,
        roster: Roster,
        intervals: Intervals,
        policies: Mapping[str, BurnPolicy],
        workers: TenantWorkers,
        external_url: str,
        on_event: Callable[[AlertEvent], None],
        quarantine: Quarantine,
    ) -> None:
        self._alerts = alerts
        self._objectives = objectives
        self._maintenance = maintenance
        self._roster = roster
        self._intervals = intervals
        self._policies = policies
        self._lengths = lengths(policies)
        self._workers = workers
        self._moves = Moves(alerts, external_url, on_event)
        self._quarantine = quarantine
        self._isolation = Isolation(quarantine, JOB)

    async def evaluate(self, now: datetime) -> int:
        """Every rule about an objective at the last whole minute; the number of state changes.

        One tenant's trouble stops no other.
        """
        minute, changes = minute_of(now), 0
        standings = await self._roster.standings()
        # Who is in quarantine may be well, and have no such rules any more.
        held = {name for name, _ in await self._quarantine.held(JOB)}
        asked = {n: s for n, s in standings.items() if s.tenant is not None and (s.counted or n in held)}

        async def work(names: list[str]) -> dict[str, None]:
            nonlocal changes
            for first in range(0, len(names), _SLICE):
                part = [asked[n] for n in names[first : first + _SLICE]]
                changes += await self._evaluate(part, minute, now)
            return dict.fromkeys(names)

        await self._isolation.together(asked, work, now)
        return changes

    async def _evaluate(self, standings: Sequence[Standing], minute: datetime, now: datetime) -> int:
        """Of a few tenants."""
        starts = sorted({minute, minute - _MONTH, *(minute - length for length in self._lengths)})
        found = await self._objectives.promised(
            {key for s in standings for entry in s.counted if (key := entry.rule.objective_key)}, starts
        )
        planned = {s.tenant_id: await self._planned(s) for s in standings}
        asked = await self._workers.run_for(JOB, self._asked, standings, found, planned, minute)
        if more := {edge for own in asked for edge in own.more}:
            sums = await self._objectives.sums(more)
            for own in asked:
                own.before.update((at, sums[key, at]) for key, at in own.more)
        courses = await self._workers.run_for(JOB, self._courses, asked)
        changes = await self._store([c for c in courses if c.transitions], now)
        await self._go_on([(c.entry, c.after) for c in courses if not c.transitions], minute)
        return changes

    async def _planned(self, standing: Standing) -> Sequence[Maintenance]:
        tenant = standing.tenant
        return () if tenant is None else await planned_of(standing, tenant, self._maintenance)

    def _asked(
        self,
        standings: Sequence[Standing],
        found: Mapping[int, _Found],
        planned: Mapping[str, Sequence[Maintenance]],
        minute: datetime,
    ) -> list[_Asked]:
        asked = []
        for standing in standings:
            rules: dict[int, list[RuleWithState]] = defaultdict(list)
            for entry in standing.counted:
                rules[entry.rule.objective_key or 0].append(entry)
            for key, own in rules.items():
                # What is gone, or is another's, has no rules any more as soon as these are settled.
                if key in found and standing.tenant and found[key][0].tenant_key == standing.tenant.key:
                    asked.append(
                        self._of(standing.tenant, own, found[key], planned[standing.tenant_id], minute)
                    )
        return asked

    def _of(
        self,
        tenant: Tenant,
        rules: Sequence[RuleWithState],
        found: _Found,
        planned: Sequence[Maintenance],
        minute: datetime,
    ) -> _Asked:
        promised, before = found
        terms = terms_of(tenant, planned, minute)
        begun = min(terms.parts(promised.window, minute, 0.5)[0].start, minute)
        reach = min(begun, minute - max(self._lengths), minute - LONGEST_READ if terms.outside else minute)
        off = planned_minutes(terms.maintenance, reach, minute)
        told = [at for at in told_of([e.state for e in rules], minute) if at > reach]
        interval = self._intervals.of(tenant.evidence_source, tenant)
        outside = whole_minutes(terms.outside, reach, minute)
        facts = CountedFacts(promised, minute, begun, before.__getitem__, off, interval, outside)
        wanted = instants(minute, begun, off, told, self._lengths, outside)
        more = frozenset((promised.key, at) for at in wanted if at not in before)
        return _Asked(rules, facts, before, more)

    def _courses(self, asked: Sequence[_Asked]) -> list[_Course]:
        found = []
        for own in asked:
            for entry in own.rules:
                evaluation = judge(entry.rule, entry.state, own.facts, self._policies)
                after, transitions = advance(
                    entry.state,
                    evaluation.result,
                    own.facts.now,
                    entry.rule.for_,
                    value=evaluation.reading.value,
                )
                course = _Course(entry, after, transitions, evaluation.reading)
                if course.is_worth_storing(own.facts.now):
                    found.append(course)
        return found

    async def _store(self, courses: Sequence[_Course], now: datetime) -> int:
        read_at, moves = self._roster.read_at, []
        async for c in in_slices(courses):
            move = self._moves.of(replace(c.entry, read_at=read_at), c.after, c.transitions, c.reading)
            moves += [move] if move is not None else []
        changes, late = await self._moves.store(moves, now)
        if late:
            _log.info("objective_rules_changed_meanwhile", tenants=sorted(late))
        self._roster.forget({move.entry.rule.tenant_id for move in moves})
        return changes

    async def _go_on(self, entries: Sequence[tuple[RuleWithState, RuleState]], minute: datetime) -> None:
        """That rules go on firing, with the value that people see."""
        if not entries:
            return
        stored = await self._alerts.go_on(entries, minute)
        held = [replace(entry, state=after) for entry, after in entries if entry.rule.rule_id in stored]
        self._roster.advanced(held)
        self._roster.forget({e.rule.tenant_id for e, _ in entries if e.rule.rule_id not in stored})
