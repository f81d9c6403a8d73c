"""Backtests as timelines, and their running totals against the engine's own way of looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.alerts.backtest import Backtest, Firing, replay
from ecpmon.alerts.judgement import SLA_LOOKBACK, Facts, judge, told_until, unobserved
from ecpmon.alerts.machine import advance
from ecpmon.alerts.past import Folded, History, Series, Timeline
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.syntax import AggFunction
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.ports.samples import Point
from ecpmon.sla import windows
from ecpmon.sla.entries import Book
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.ledger import Ledger
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.spans import clip, coalesce
from tests.cost import at_most

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICIES = default_policies()
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
TENANT = Tenant(
    key=1, tenant_id="t", name=None, preset="small", is_demo=False, status=TenantStatus.RUNNING,
    service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.9%"),
    sli_source="push", created_at=T0, updated_at=T0,
)  # fmt: skip


def rate_of(values: list[tuple[datetime, float]]) -> float | None:
    """Increase per second between the first and the last value; a fall is a counter reset. None under two values."""
    if len(values) < 2:
        return None
    increase = sum(
        after - before if after >= before else after for (_, before), (_, after) in pairwise(values)
    )
    seconds = (values[-1][0] - values[0][0]).total_seconds()
    return increase / seconds if seconds > 0 else None


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def line(script: str) -> list[Span]:
    """`up 60, down 10` in minutes, from T0 on; `none 5` leaves a hole, as maintenance does."""
    spans, cursor = list[Span](), T0
    for part in script.split(","):
        word, minutes = part.split()
        end = cursor + timedelta(minutes=float(minutes))
        if word != "none":
            spans.append(Span(cursor, end, SpanState(word)))
        cursor = end
    return spans


def threshold(condition: str, for_seconds: int = 0) -> AlertRule:
    return AlertRule("r", "t", "r", RuleKind.THRESHOLD, condition, for_seconds, Severity.INFO)


def burning(policy: str = "page") -> AlertRule:
    return AlertRule("r", "t", "r", RuleKind.BURN_RATE, "", 0, Severity.INFO, policy=policy)


def play(
    rule: AlertRule, script: str, start: float, end: float, samples: dict[str, list[Series]] | None = None
) -> Backtest:
    history = History(TENANT, INTERVALS, line(script), samples=samples)
    return replay(rule, history, at(start), at(end), MINUTE, POLICIES)


def firings(found: Backtest) -> list[tuple[float, float | None]]:
    """(fired, resolved) in minutes after T0."""
    return [
        ((f.fired_at - T0) / MINUTE, None if f.resolved_at is None else (f.resolved_at - T0) / MINUTE)
        for f in found.firings
    ]


@pytest.mark.parametrize(
    ("sentence", "script", "start", "end", "fired", "delays", "unknown"),
    [
        ("nothing went wrong", "up 300", 0, 300, [], [], 0),
        ("three failures page; an hour later the long window is clean", "up 70, down 10, up 120", 0, 200,
         [(73, 140)], [3], 0),
        ("two failures are no evidence: the outage is missed", "up 70, down 2, up 120", 0, 190, [], [None], 0),
        ("without a full hour of history nothing is said", "up 10, down 5, up 30", 0, 45, [], [None], 0),
        ("still down at the end: it has not resolved", "up 70, down 20", 0, 90, [(73, None)], [3], 0),
        ("a second outage while it fires is known at once", "up 70, down 10, up 20, down 5, up 100", 0, 200,
         [(73, 165)], [3, 0], 0),
        ("a replay that begins in an outage fires when it looks", "up 70, down 10, up 120", 75, 200,
         [(75, 140)], [0], 0),
        ("blindness freezes: told when enough is measured again, while the short window still shows it",
         "up 60, gap 9, up 49, down 3, up 100", 0, 200, [(123, 181)], [5], 11),
        ("what was blind until it was over is missed", "up 70, gap 10, down 3, up 100", 0, 180, [], [None], 11),
        ("without any history nothing is said", "none 500", 0, 60, [], [], 0),
    ],
)  # fmt: skip
def test_timelines_of_the_page_policy(
    sentence: str,
    script: str,
    start: float,
    end: float,
    fired: list[tuple[float, float | None]],
    delays: list[float | None],
    unknown: int,
) -> None:
    found = play(burning(), script, start, end)
    assert firings(found) == fired, sentence
    assert [d.delay / MINUTE if d.delay is not None else None for d in found.detections] == delays, sentence
    assert found.missed == delays.count(None)
    assert found.false_alarms == 0
    assert found.unknown == unknown
    assert found.evaluations == end - start + 1


def test_the_budget_at_a_detection_is_that_of_the_moment() -> None:
    [seen] = play(burning(), "up 70, down 10, up 120", 0, 200).detections
    assert seen.budget_left is not None
    assert seen.budget_left.total == pytest.approx(73 * 60 * 0.001)
    assert seen.budget_left.remaining == pytest.approx(73 * 60 * 0.001 - 180)


def minutely(values: Sequence[float | None], first: float = 0) -> list[Series]:
    points = [Point(at(first + i), v, v, v) for i, v in enumerate(values) if v is not None]
    return [Series(Source.PUSH, points)]


def test_a_threshold_waits_freezes_and_is_compared_with_outages() -> None:
    cpu: list[float | None] = [10, 90, 10, 90, 95, 90, 90, 10, 10, None, None, None, None, 10, 99, 99, 99, 99]
    script = "up 4, down 4, up 12"
    found = play(threshold("cpu_usage > 80", 120), script, 0, 17, {"cpu_usage": minutely(cpu)})
    assert firings(found) == [(5, 7), (16, None)]
    assert found.firings[0].value == 90
    # A pushed value is good for two and a half minutes: the one of minute 8 is unknown from minute 11 on.
    assert found.unknown == 2
    assert found.false_alarms == 1
    assert [d.delay for d in found.detections] == [MINUTE]


def test_conditions_read_sla_terms_and_windows() -> None:
    script = "up 100, down 10, up 100"
    samples = {"queue": minutely([5] * 100 + [50] * 110)}
    burn = play(threshold("burn_rate(1h) > 14.4"), script, 0, 210)
    # 51.84 s of an hour are the limit, and the outage leaves the window with minute 170.
    assert firings(burn) == [(101, 170)]
    assert burn.unknown == 1
    both = play(threshold("avg(queue, 5m) >= 40 and budget_remaining(1h) < 0"), script, 0, 210, samples)
    assert firings(both) == [(103, 170)]


def test_a_firing_shortly_after_an_outage_is_about_it_when_its_window_contains_it() -> None:
    script = "up 100, down 2, up 100"
    late = {"queue": minutely([0] * 103 + [50] * 3 + [0] * 20)}
    reaching = play(threshold("max(queue, 5m) > 40"), script, 90, 125, late)
    assert (firings(reaching), reaching.false_alarms, reaching.missed) == ([(103, 110)], 0, 0)
    beside = {"queue": minutely([0] * 115 + [50] * 3 + [0] * 20)}
    unrelated = play(threshold("max(queue, 5m) > 40"), script, 90, 125, beside)
    assert (unrelated.false_alarms, unrelated.missed) == (1, 1)


# --- against the engine's way of looking --------------------------------------------------------------------

STATES = st.sampled_from([SpanState.UP, SpanState.UP, SpanState.UP, SpanState.DOWN, SpanState.GAP, None])


@st.composite
def timelines(draw: st.DrawFn, longest: int = 20_000) -> list[Span]:
    """Spans of whole seconds; None is a hole (maintenance)."""
    spans, cursor = list[Span](), T0 + timedelta(seconds=draw(st.integers(0, 5000)))
    for state, seconds in draw(st.lists(st.tuples(STATES, st.integers(1, longest)), max_size=25)):
        end = cursor + timedelta(seconds=seconds)
        if state is not None:
            share = draw(st.sampled_from([1.0, 1.0, 0.25])) if state is SpanState.DOWN else 1.0
            spans.append(Span(cursor, end, state, share=share))
        cursor = end
    return coalesce(spans)


def facts_at(spans: Sequence[Span], now: datetime) -> Facts:
    """What the engine would have read at `now`: holes are maintenance."""
    reach = now - SLA_LOOKBACK
    seen = clip(spans, reach, now)
    if not seen:
        return Facts(TENANT, now, unobserved(now), {}, INTERVALS)
    holes = [Interval(a.end, b.start) for a, b in pairwise(seen) if a.end < b.start]
    if seen[-1].end < now:
        holes.append(Interval(seen[-1].end, now))
    return Facts(TENANT, now, Ledger(Book(seen, seen[0].start, now).mark, holes), {}, INTERVALS)


@given(timelines(), st.integers(0, 300_000), st.integers(1, 200_000))
def test_running_totals_equal_a_scan_of_every_span(spans: list[Span], end: int, length: int) -> None:
    stop, window = T0 + timedelta(seconds=end), timedelta(seconds=length)
    ours, engines = Timeline(spans), facts_at(spans, stop)
    assert ours.tally(stop - window, stop) == windows.tally(spans, stop - window, stop)
    if window <= SLA_LOOKBACK:
        failures = ours.failures(stop - window, stop, TENANT.push_interval)
        assert failures == engines.window_burn(window).failed_observations
    assert ours.history(stop - SLA_LOOKBACK, stop) == engines.history
    assert ours.silence(stop - SLA_LOOKBACK, stop) == engines.silence


@settings(max_examples=60, deadline=None)
@given(
    timelines(longest=8_000),
    st.sampled_from(
        [burning("page"), burning("ticket"), threshold("burn_rate(1h) > 2 or budget_remaining(1d) < 50", 600)]
    ),
    st.integers(0, 40_000),
)
def test_a_replay_equals_the_engine_step_by_step(spans: list[Span], rule: AlertRule, offset: int) -> None:
    start, step = T0 + timedelta(seconds=offset), timedelta(minutes=7)
    found = replay(rule, History(TENANT, INTERVALS, spans), start, start + step * 300, step, POLICIES)
    state, expected, unknown = RuleState(), list[Firing](), 0
    for index in range(301):
        now = start + step * index
        said = judge(rule, state, facts_at(spans, now), POLICIES)
        unknown += said.result is None
        state, changes = advance(state, said.result, now, rule.for_, value=said.reading.value)
        for change in changes:
            if change.notifies and change.new is RuleStatus.FIRING:
                expected.append(Firing(now, None, change.value))
            elif change.notifies:
                expected[-1] = replace(expected[-1], resolved_at=now)
    assert (list(found.firings), found.unknown) == (expected, unknown)


@st.composite
def flapping(draw: st.DrawFn) -> list[Span]:
    """Hours of history, then bursts of failures of minutes: burn rates wander about the factors."""
    spans, cursor = [Span(T0, at(400), SpanState.UP)], at(400)
    bursts = st.tuples(st.integers(150, 300), st.integers(600, 2_400))
    for down, up in draw(st.lists(bursts, min_size=10, max_size=30)):
        for state, seconds in ((SpanState.DOWN, down), (SpanState.UP, up)):
            end = cursor + timedelta(seconds=seconds)
            spans.append(Span(cursor, end, state))
            cursor = end
    return spans


@settings(max_examples=60, deadline=None)
@given(flapping())
def test_every_firing_is_paid_with_a_budget_share_of_its_own(spans: list[Span]) -> None:
    """What failed before a resolution was told: it never fires the rule again, however the windows flap."""
    tenant = TENANT.model_copy(update={"sla_target": SlaTarget(availability="99.5%")})
    found = replay(
        burning(), History(tenant, INTERVALS, spans), at(380), spans[-1].end, MINUTE, POLICIES
    ).firings
    period = POLICIES["page"].period
    share = min(pair.budget_share for pair in POLICIES["page"].pairs)
    least = share * (1 - tenant.sla_target.fraction) * period.total_seconds()
    before = [T0, *(f.resolved_at for f in found if f.resolved_at)]
    for resolved, firing in zip(before, found, strict=False):
        assert windows.tally(spans, resolved, firing.fired_at).down > least


@settings(deadline=None)
@given(timelines(), st.integers(0, 300_000), st.integers(0, 300_000), st.sampled_from(["page", "ticket"]))
def test_after_a_resolution_the_past_counts_as_up_and_nothing_else_changes(
    spans: list[Span], resolved: int, later: int, policy: str
) -> None:
    told, now = T0 + timedelta(seconds=resolved), T0 + timedelta(seconds=resolved + later)
    parts = [
        replace(s, start=max(s.start, a), end=min(s.end, b), state=state(s))
        for a, b, state in (
            (T0, told, lambda s: SpanState.UP if s.state is SpanState.DOWN else s.state),
            (told, max(told, now, *(s.end for s in spans)), lambda s: s.state),
        )
        for s in spans
        if s.start < b and s.end > a
    ]
    forgiven = [replace(p, share=1.0) if p.state is SpanState.UP else p for p in parts]
    quiet = RuleState(RuleStatus.INACTIVE, since=told)
    said = judge(burning(policy), quiet, facts_at(spans, now), POLICIES)
    fresh = judge(burning(policy), RuleState(), facts_at(forgiven, now), POLICIES)
    assert said.result == fresh.result
    assert said.reading.value == pytest.approx(fresh.reading.value)


def test_a_clock_that_stepped_back_forgets_what_was_told() -> None:
    assert told_until(RuleState(RuleStatus.INACTIVE, since=at(5)), at(4)) is None
    assert told_until(RuleState(RuleStatus.INACTIVE, since=at(5)), at(5)) == at(5)
    assert told_until(RuleState(RuleStatus.FIRING, since=at(5)), at(6)) is None
    assert told_until(RuleState(), at(6)) is None


@given(
    st.lists(st.tuples(st.integers(1, 100), st.integers(-5, 5)), max_size=30),
    st.integers(0, 1500),
    st.integers(1, 900),
)
def test_windows_of_samples_equal_what_the_store_computes(
    steps: list[tuple[int, int]], end: int, length: int
) -> None:
    stamps = [T0]
    for seconds, _ in steps:
        stamps.append(stamps[-1] + timedelta(seconds=seconds))
    values = [(ts, float(value)) for ts, (_, value) in zip(stamps, steps, strict=False)]
    series = Series(Source.PUSH, [Point(ts, v, v, v) for ts, v in values])
    now, window = T0 + timedelta(seconds=end), timedelta(seconds=length)
    inside = [(ts, v) for ts, v in values if now - window < ts <= now]
    numbers = [v for _, v in inside]
    for function, expected in (
        (AggFunction.AVG, sum(numbers) / len(numbers) if numbers else None),
        (AggFunction.MIN, min(numbers, default=None)),
        (AggFunction.MAX, max(numbers, default=None)),
        (AggFunction.LAST, numbers[-1] if numbers else None),
        (AggFunction.RATE, rate_of(inside)),
    ):
        assert series.aggregate(function, window, now) == expected


def test_averages_are_known_when_their_time_is_over_and_hold_until_the_next() -> None:
    width = timedelta(minutes=10)
    points = [Point(at(0), 5, 1, 9), Point(at(10), 7, 2, 20)]
    series = Series(Source.PUSH, points, width)
    assert series.newest(at(9)) is None
    first, held = series.newest(at(10)), series.newest(at(19))
    assert first
    assert held
    assert (first.value, held.value, held.ts) == (5, 5, at(19))
    gone = series.newest(at(40))
    assert gone
    assert gone.ts == at(20)
    assert series.aggregate(AggFunction.MAX, timedelta(minutes=20), at(20)) == 20
    assert series.aggregate(AggFunction.MIN, timedelta(minutes=20), at(20)) == 1
    assert series.aggregate(AggFunction.AVG, width, at(5)) is None


def test_the_newest_of_all_sources_is_read_and_of_two_the_evidence() -> None:
    def one(source: Source, minutes: float, value: float) -> Series:
        return Series(source, [Point(at(minutes), value, value, value)])

    rule = threshold("cpu_usage > 80")
    newer = {"cpu_usage": [one(Source.PUSH, 0, 10), one(Source.SIMULATOR, 1, 90)]}
    assert firings(play(rule, "up 5", 1, 1, newer)) == [(1, None)]
    tie = {"cpu_usage": [one(Source.PUSH, 1, 10), one(Source.SIMULATOR, 1, 90)]}
    assert firings(play(rule, "up 5", 1, 1, tie)) == []


@pytest.mark.parametrize("accounting", list(Accounting))
def test_the_budget_follows_the_contracts_accounting(accounting: Accounting) -> None:
    spans = line("up 60, down 30, up 60, gap 10, up 20")
    maintenance = [Interval(at(50), at(80)), Interval(at(155), at(165))]
    tenant = TENANT.model_copy(update={"maintenance_accounting": accounting})
    terms = windows.Terms(maintenance, accounting)
    expected = windows.evaluate(
        "30d", spans, at(170) - timedelta(days=30), at(170), 0.999, terms=terms
    ).budget
    assert History(tenant, INTERVALS, spans, maintenance).budget(at(170)) == expected
    assert History(tenant, INTERVALS, spans, maintenance).eligible.spans == exclude(spans, maintenance)


def test_a_month_in_steps_of_a_minute_is_little_work() -> None:
    """43,201 evaluations over 1,000 outages. A scan of every span took a hundred times as long."""
    cuts = [60.0 + 60 * i for i in range(1000)]
    script = ", ".join(f"up {b - a - 3}, down 3" for a, b in pairwise([0.0, *cuts]))
    spans = clip(line(script + ", up 30000"), T0, at(87_000))
    with at_most(2500):
        found = replay(
            burning("ticket"), History(TENANT, INTERVALS, spans), at(43_200), at(86_400), MINUTE, POLICIES
        )
    assert found.evaluations == 43_201
    assert len(found.detections) == 280


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40), st.data())
def test_a_stretch_is_folded_as_one_by_one_and_in_logarithmic_steps(
    values: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    after = data.draw(st.integers(first + 1, len(values)))
    taken = 0

    def add(a: float, b: float) -> float:
        nonlocal taken
        taken += 1
        return a + b

    folded = Folded(values, add)
    taken = 0
    assert folded.over(first, after) == sum(values[first:after])
    assert taken <= 2 * len(values).bit_length()
    assert Folded(values, min).over(first, after) == min(values[first:after])
    assert Folded(values, max).over(first, after) == max(values[first:after])
