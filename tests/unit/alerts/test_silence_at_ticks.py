"""A tenant that falls silent, tick by tick: the same is told at the same ticks as when each one evaluates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ecpmon.alerts.defaults import default_rules
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.screen import SLA_LOOKBACK, Screen, _goes_on, _Read, is_due
from ecpmon.model.alerts import RuleState
from ecpmon.model.availability import SpanState
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Standing
from ecpmon.ports.sla import Outline, WindowTotals
from ecpmon.sla.evidence import Intervals

T0 = datetime(2026, 3, 1, tzinfo=UTC)
TICK, TICKS, KEY = timedelta(seconds=10), 900, 60
TENANT = Tenant(
    key=KEY, tenant_id="t", name="t", status="running", preset="small", is_demo=False, service_requirements={},
    resources=Resources(), sla_target=SlaTarget(availability="99.5%"), sli_source="push", created_at=T0, updated_at=T0,
)  # fmt: skip


class Crowd:
    """Of one, who was up for 40 days and is silent from T0 on. Nothing is asked of a database."""

    def __init__(self, *, rests: bool) -> None:
        nothing: Any = None
        intervals = Intervals(timedelta(seconds=5), timedelta(seconds=15))
        self.screen = Screen(nothing, nothing, nothing, intervals, default_policies())
        self.rests = rests
        rules = default_rules("t")
        self.lengths = [*sorted(self.screen._lengths(rules)), SLA_LOOKBACK]
        self.standing = Standing(
            "t", TENANT, tuple(RuleWithState(r, RuleState(), None, T0) for r in rules), ()
        )
        began = T0.timestamp()
        self.outline = Outline(
            "up", began - 2e6, 1.0, began - 3.5e6, None, None, None, None, began - 60, began
        )
        self.evaluated = self.stored = 0
        self.told: list[tuple[datetime, str, str]] = []

    def tick(self, now: datetime) -> None:
        if self.rests and self.screen._rests_now(self.standing, {KEY: self.outline}, now):
            return
        self.evaluated += 1
        facts = self.screen._facts(self.standing, self.read(now), now)
        courses = self.screen._courses(self.standing, facts) if facts else None
        assert facts is not None
        assert courses is not None
        changed = [c for c in courses if c.transitions]
        self.told += [(now, c.entry.rule.alert_name, t.reason.value) for c in changed for t in c.transitions]
        due = [c for c in courses if is_due(c.entry.state, c.after, now)]
        if changed:
            self.keep([c for c in courses if c.transitions or _goes_on(c.after)])
        else:
            self.stored += len(due)
            self.screen._note_rest(self.standing, facts, self.outline, courses)
            self.keep(due)

    def read(self, now: datetime) -> _Read:
        seconds, gap = [length.total_seconds() for length in self.lengths], (now - T0).total_seconds()
        found = WindowTotals(
            SpanState.UP, T0 - timedelta(days=40), T0 - timedelta(minutes=1), T0,
            seconds, [s / 1000 for s in seconds], [min(s, gap) for s in seconds],
        )  # fmt: skip
        return _Read({now - length: n for n, length in enumerate(self.lengths)}, {KEY: found})

    def keep(self, courses: Any) -> None:
        after = {c.entry.rule.rule_id: c.after for c in courses}
        if after:
            rules = tuple(
                replace(r, state=after.get(r.rule.rule_id, r.state)) for r in self.standing.rules or ()
            )
            self.standing = replace(self.standing, rules=rules)


def test_who_rests_is_told_of_at_the_same_ticks() -> None:
    always, rested = Crowd(rests=False), Crowd(rests=True)
    for tick in range(1, TICKS):
        always.tick(T0 + tick * TICK)
        rested.tick(T0 + tick * TICK)
    assert rested.told == always.told
    assert {(name, why) for _, name, why in rested.told} == {
        ("sla_no_data", "condition_true"),
        ("sla_no_data", "held_for"),
        ("sla_burn_rate_page", "frozen"),
        ("sla_burn_rate_ticket", "frozen"),
    }
    # Each evaluation is most of a millisecond of CPU, of every tenant there is, and each row a write.
    assert rested.evaluated < 120 < always.evaluated
    assert rested.stored < 60
