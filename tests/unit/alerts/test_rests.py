"""Who rests would be told nothing by an evaluation at any instant of the rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ecpmon.alerts.defaults import default_rules
from ecpmon.alerts.judgement import Facts, judge
from ecpmon.alerts.machine import advance
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.rests import REACH, SHORTER, Rests, rest_of, stays, waits_for_nothing
from ecpmon.alerts.screen import _Untold, course
from ecpmon.model.alerts import RuleKind, RuleState, RuleStatus
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Standing
from ecpmon.ports.sla import Outline
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.windows import tally

T0 = datetime(2026, 3, 1, tzinfo=UTC)
POLICIES = default_policies()
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
# The number of one who rests for all of REACH the first time.
WHO = 60


def tenant(target: str) -> Tenant:
    return Tenant(
        key=1, tenant_id="t", name="t", status="running", preset="small", is_demo=False,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability=target),
        sli_source="push", created_at=T0, updated_at=T0,
    )  # fmt: skip


class Spans:
    """A `Record` of spans; the screen's does not count failures either."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans

    def tally(self, start: datetime, end: datetime) -> Tally:
        return tally(self.spans, start, end)

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        return 2**31

    def history(self, start: datetime, end: datetime) -> timedelta:
        return end - max(self.spans[0].start, start)

    def since(self, now: datetime, length: timedelta, most: timedelta) -> datetime:
        return now - length

    def silence(self, start: datetime, end: datetime) -> float | None:
        last = self.spans[-1]
        return (end - last.start).total_seconds() if last.state is SpanState.GAP else None


def timeline(dice: random.Random, now: datetime, last: SpanState) -> list[Span]:
    """Up to `REACH` after `now`, in the state that it is in at `now`."""
    ends, spans = now + REACH, list[Span]()
    at, state = now + REACH, last
    start = now - timedelta(seconds=dice.choice([1, 30, 400, 5000, 90_000]))
    spans.append(Span(start, ends, state))
    at = start
    for _ in range(dice.randrange(0, 12)):
        state = dice.choice([s for s in SpanState if s is not state])
        often = 1 if state is SpanState.UP else 0.1
        length = timedelta(seconds=often * dice.choice([60, 500, 4000, 30_000, 300_000]) * dice.random() + 1)
        spans.insert(0, Span(at - length, at, state))
        at -= length
    return spans


def entries(dice: random.Random, now: datetime) -> list[RuleWithState]:
    """Some have resolved a while ago: what failed before was told."""
    found, ages = [], (timedelta(days=40), timedelta(days=2), timedelta(hours=2), timedelta(minutes=10))
    for rule in default_rules("t"):
        status = dice.choice([RuleStatus.INACTIVE, RuleStatus.FIRING])
        state = RuleState(status, since=now - dice.choice(ages), frozen=dice.random() < 0.3)
        found.append(RuleWithState(rule, state, None, T0))
    return found


def can_be_told(own: Sequence[RuleWithState], spans: Sequence[Span], facts: Facts) -> bool:
    """Whether totals, which do not say what was told, tell what an evaluation would make of the rules."""
    untold = _Untold(facts.tenant, facts.now, Spans(spans), {}, INTERVALS)
    return all(course(entry, untold, POLICIES) is not None for entry in own)


@pytest.mark.parametrize("last", list(SpanState))
def test_what_is_steady_is_decided_alike_all_the_time(last: SpanState) -> None:
    dice, steady, lively = random.Random(str(last)), 0, 0
    for _ in range(400):
        now = T0 + timedelta(days=dice.choice([1, 40]), seconds=dice.random() * 1000)
        spans, whose = timeline(dice, now, last), tenant(dice.choice(["90%", "99%", "99.5%", "99.99%"]))
        own = [dice.choice(entries(dice, now))]
        grows = None if last is SpanState.UP else last
        facts = Facts(whose, now, Spans(spans), {}, INTERVALS)
        decided = [judge(e.rule, e.state, facts, POLICIES).result for e in own]
        changes = 0
        for step in range(1, 26):
            later = Facts(whose, now + REACH * step / 25, Spans(spans), {}, INTERVALS)
            changes += [judge(e.rule, e.state, later, POLICIES).result for e in own] != decided
        if can_be_told(own, spans, facts) and stays(own, facts, grows, POLICIES):
            assert not changes, (spans, own, decided)
            steady += 1
        lively += changes > 0
    assert steady > 200, steady
    assert lively > 0


def test_whoever_is_about_to_change_rests_for_less_and_not_beyond() -> None:
    """A silence that has lasted for almost a tenth of a window, of which less than nine tenths are no evidence."""
    seen = set[timedelta | None]()
    own = [RuleWithState(r, RuleState(), None, T0) for r in default_rules("t")]
    for before in (10, 30, 100, 200, 400):
        since = T0 + timedelta(minutes=6) - timedelta(seconds=before)
        spans = [
            Span(T0 - timedelta(days=35), T0, SpanState.UP),
            Span(T0, T0 + timedelta(hours=1), SpanState.GAP),
        ]

        def decided(at: datetime, spans: Sequence[Span] = spans) -> list[bool | None]:
            facts = Facts(tenant("99%"), at, Spans(spans), {}, INTERVALS)
            return [judge(e.rule, e.state, facts, POLICIES).result for e in own[:1]]

        facts = Facts(tenant("99%"), since, Spans(spans), {}, INTERVALS)
        rest = rest_of(own[:1], facts, SpanState.GAP, POLICIES)
        seen.add(rest)
        changes = next(s for s in range(600) if decided(since + timedelta(seconds=s)) != decided(since))
        assert rest is None or rest <= timedelta(seconds=changes), before
    assert seen == {None, *SHORTER, REACH}


def test_those_who_begin_to_rest_together_are_not_looked_at_together_ever_after() -> None:
    rests, whose, far = Rests(), tenant("99%"), outline(expires=T0.timestamp() + 9000)
    own, many = standing(whose, ()), range(600)
    for number in many:
        rests.note(number, own, far, T0, steady=REACH)
    ticks = [T0 + timedelta(seconds=5 * n) for n in range(61)]
    over = [[n for n in many if not rests.holds(n, own, far, at)] for at in ticks]
    assert over[0] == []
    assert len(over[-1]) == len(many)
    assert max(len(b) - len(a) for a, b in pairwise(over)) <= 10
    rests.note(7, own, far, T0 + REACH, steady=REACH)
    assert rests.holds(7, own, far, T0 + 2 * REACH - timedelta(seconds=1))


def outline(**more: object) -> Outline:
    now = T0.timestamp()
    plain = Outline("up", now - 900, 0.0, now - 9000, None, None, None, None, now - 3, now + 30)
    return plain._replace(**more)  # type: ignore[arg-type]


def standing(whose: Tenant, rules: Sequence[RuleWithState]) -> Standing:
    return Standing("t", whose, tuple(rules), ())


def test_a_rest_ends_with_whatever_happens_but_further_observations() -> None:
    rests, whose = Rests(), tenant("99%")
    calm = standing(whose, [RuleWithState(r, RuleState(), None, T0) for r in default_rules("t")])
    rests.note(WHO, calm, outline(), T0, steady=REACH)
    soon = T0 + timedelta(seconds=20)
    assert rests.holds(WHO, calm, outline(), soon)
    observed = outline(latest=soon.timestamp(), expires=soon.timestamp() + 30)
    assert rests.holds(WHO, calm, observed, T0 + timedelta(seconds=45))
    # Silent for longer than that; corrected; down; moved; over; the clock stepped back.
    assert not rests.holds(WHO, calm, outline(), T0 + timedelta(seconds=31))
    assert not rests.holds(WHO, calm, outline(first=0.0), soon)
    assert not rests.holds(WHO, calm, outline(starts=1.0, ends=2.0, down=0.0, gap=0.0), soon)
    assert not rests.holds(WHO, calm, outline(state="down"), soon)
    assert not rests.holds(WHO, standing(tenant("98%"), calm.rules or ()), outline(), soon)
    assert not rests.holds(WHO, calm, observed, T0 - timedelta(seconds=1))
    late = outline(latest=0.0, expires=(T0 + 2 * REACH).timestamp())
    assert rests.holds(WHO, calm, late, T0 + REACH - timedelta(seconds=1))
    assert not rests.holds(WHO, calm, late, T0 + REACH)


def test_who_is_silent_rests_until_it_is_heard_of() -> None:
    rests, whose, silent = Rests(), tenant("99%"), outline(expires=T0.timestamp() - 60)
    own = standing(whose, ())
    rests.note(WHO, own, silent, T0, steady=REACH)
    assert rests.holds(WHO, own, silent, T0 + timedelta(minutes=2))
    assert not rests.holds(WHO, own, silent._replace(latest=T0.timestamp() + 60), T0 + timedelta(minutes=2))


def test_what_goes_on_is_stored_when_it_is_due_and_does_not_end_the_rest() -> None:
    rests, whose = Rests(), tenant("99%")
    rule = next(r for r in default_rules("t") if r.kind is RuleKind.BUDGET)
    firing = RuleState(RuleStatus.FIRING, since=T0, evaluated_at=T0)
    own = standing(whose, [RuleWithState(rule, firing, "a", T0)])
    far = outline(expires=T0.timestamp() + 9000)
    rests.note(WHO, own, far, T0, steady=REACH)
    rests.note_due(WHO, T0 + timedelta(minutes=1))
    assert rests.holds(WHO, own, far, T0 + timedelta(seconds=59))
    due = T0 + timedelta(seconds=61)
    assert not rests.holds(WHO, own, far, due)
    assert rests.is_known(WHO, own, far, due)
    stored = RuleState(RuleStatus.FIRING, since=T0, evaluated_at=due, value=3.0)
    again = Standing("t", whose, (RuleWithState(rule, stored, "a", T0),), own.planned)
    rests.note_due(WHO, T0 + timedelta(minutes=2))
    assert rests.holds(WHO, again, far, T0 + timedelta(seconds=90))
    resolved = RuleWithState(rule, RuleState(RuleStatus.INACTIVE, since=due), None, T0)
    assert not rests.holds(
        WHO, Standing("t", whose, (resolved,), own.planned), far, T0 + timedelta(seconds=90)
    )


def test_who_was_never_observed_rests_until_it_is() -> None:
    rests, own = (
        Rests(),
        standing(tenant("99%"), [RuleWithState(r, RuleState(), None, T0) for r in default_rules("t")]),
    )
    assert waits_for_nothing(own.rules or ())
    rests.note(WHO, own, None, T0, steady=REACH)
    assert rests.holds(WHO, own, None, T0 + timedelta(minutes=4))
    assert not rests.holds(WHO, own, outline(), T0 + timedelta(minutes=4))
    pending = RuleState(RuleStatus.PENDING, since=T0, evaluated_at=T0)
    assert not waits_for_nothing([RuleWithState(default_rules("t")[0], pending, "a", T0)])


def test_whose_silence_is_waited_for_rests_until_it_has_lasted_long_enough() -> None:
    """Evaluated at every tick the rule fires at the same tick, and nothing changes before."""
    rule = next(r for r in default_rules("t") if r.kind is RuleKind.NO_DATA)
    ticks = [T0 + timedelta(seconds=5 * n) for n in range(400)]
    state = RuleState()
    states = [state := advance(state, True, at, rule.for_)[0] for at in ticks]
    fires = next(at for at, found in zip(ticks, states, strict=True) if found.status is RuleStatus.FIRING)
    silent, whose = outline(expires=T0.timestamp() - 60), tenant("99%")
    for number in (0, 3, 20):
        rests, at = Rests(), ticks[number]
        own = standing(whose, [RuleWithState(rule, states[number], None, T0)])
        facts = Facts(whose, at, Spans([Span(T0 - timedelta(hours=9), T0, SpanState.GAP)]), {}, INTERVALS)
        assert stays(own.rules or (), facts, SpanState.GAP, POLICIES)
        rests.note(WHO, own, silent, at, steady=REACH)
        assert next(t for t in ticks if t >= at and not rests.holds(WHO, own, silent, t)) == min(
            fires, at + REACH
        )
        assert advance(states[number], True, fires, rule.for_)[0].status is RuleStatus.FIRING


def test_a_frozen_wait_has_no_end_that_can_be_told() -> None:
    rule = next(r for r in default_rules("t") if r.kind is RuleKind.NO_DATA)
    frozen = RuleState(RuleStatus.PENDING, since=T0, pending_since=T0, evaluated_at=T0, frozen=True)
    facts = Facts(tenant("99%"), T0, Spans([Span(T0 - timedelta(hours=9), T0, SpanState.GAP)]), {}, INTERVALS)
    assert not stays([RuleWithState(rule, frozen, None, T0)], facts, SpanState.GAP, POLICIES)
