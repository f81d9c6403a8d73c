"""Nobody is paged for what lies outside of the service hours, nor less soon, or sooner, for what lies within them."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.alerts.backtest import replay, replay_counted
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.judgement import SLA_LOOKBACK, Facts
from ecpmon.alerts.past import History, Instant
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.syntax import References
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.objectives import HoursOfCounts, Promised
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.sla.entries import Book
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.hours import outside, parse
from ecpmon.sla.ledger import Ledger, question
from ecpmon.sla.maintenance import merged
from ecpmon.sla.parts import UTC_ZONE, Terms
from ecpmon.sla.ratios import planned_minutes, whole_minutes

# A Sunday.
T0 = datetime(2026, 3, 1, tzinfo=UTC)
END = T0 + timedelta(days=14)
MINUTE = timedelta(minutes=1)
POLICIES = default_policies()
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
TENANT = Tenant(
    key=1, tenant_id="t", name=None, preset="small", is_demo=False, status=TenantStatus.RUNNING,
    service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.5%"),
    sli_source="push", created_at=T0, updated_at=T0,
)  # fmt: skip
OFFICE = parse({"weekly": {day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}, T0.date())
OUTSIDE = outside(OFFICE, UTC_ZONE, T0 - SLA_LOOKBACK, END)
PAGE = AlertRule("r", "t", "r", RuleKind.BURN_RATE, "", 0, Severity.INFO, policy="page")


def tuesday(clock: str, week: int = 1) -> datetime:
    hour, minute = clock.split(":")
    return T0 + timedelta(days=7 * week + 2, hours=int(hour), minutes=int(minute))


def outage(begin: datetime, end: datetime) -> list[Span]:
    return [Span(T0, begin, SpanState.UP), Span(begin, end, SpanState.DOWN), Span(end, END, SpanState.UP)]


def pages(spans: list[Span], off: list[Interval] = OUTSIDE) -> list[tuple[datetime, datetime | None]]:
    """(fired, resolved) on the tenth and the eleventh day."""
    history = History(TENANT, INTERVALS, spans, off, outside=off)
    start = T0 + timedelta(days=9)
    found = replay(PAGE, history, start, start + timedelta(days=2), MINUTE, POLICIES)
    return [(f.fired_at, f.resolved_at) for f in found.firings]


def test_an_outage_by_night_pages_nobody_and_one_by_day_does_so_as_soon_as_always() -> None:
    night = outage(tuesday("19:00"), tuesday("23:00"))
    assert pages(night) == []
    [(fired, _)] = pages(night, [])
    assert fired - tuesday("19:00") == 5 * MINUTE
    [(fired, resolved)] = pages(outage(tuesday("11:00"), tuesday("11:08")))
    assert fired - tuesday("11:00") == 5 * MINUTE
    assert resolved == tuesday("12:04")


def test_what_goes_on_until_the_morning_pages_when_it_has_cost_as_much_as_always() -> None:
    [(fired, _)] = pages(outage(tuesday("03:00"), tuesday("08:30")))
    assert fired == tuesday("08:05")


def test_the_first_minutes_of_a_day_are_not_its_first_hour() -> None:
    """One minute in five is more than any policy allows, and one in the sixty before is not."""
    assert pages(outage(tuesday("08:00"), tuesday("08:03"))) == []


def test_an_alert_goes_on_over_night_and_resolves_in_the_morning() -> None:
    [(fired, resolved)] = pages(outage(tuesday("17:44"), tuesday("17:50")))
    assert fired == tuesday("17:49")
    # The hour of service before it begins at 17:46, and holds less than the policy allows.
    assert resolved == tuesday("08:46") + timedelta(days=1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 14 * 24 * 60), min_size=2, max_size=12, unique=True).map(sorted),
    st.lists(st.integers(0, 14 * 24 * 60), max_size=6, unique=True).map(sorted),
    st.integers(24 * 60, 14 * 24 * 60),
)
def test_a_replay_reads_what_the_engine_reads(edges: list[int], planned: list[int], minute: int) -> None:
    """Windows across nights, maintenance and gaps: the running totals of the one and the marks of the other."""
    states = [SpanState.UP, SpanState.DOWN, SpanState.UP, SpanState.GAP]
    points = [T0, *(T0 + e * MINUTE for e in edges if 0 < e < 14 * 24 * 60), END]
    spans = [Span(a, b, states[n % 4]) for n, (a, b) in enumerate(pairwise(points))]
    maintenance = [
        Interval(T0 + a * MINUTE, T0 + b * MINUTE) for a, b in zip(planned[::2], planned[1::2], strict=False)
    ]
    off, now = merged([*maintenance, *OUTSIDE]), T0 + minute * MINUTE
    past = History(TENANT, INTERVALS, spans, off, outside=OUTSIDE).at(now, References())
    asked = question(now, Terms(off, outside=OUTSIDE), (), (now - SLA_LOOKBACK,))
    record = Ledger(Book(spans, T0, now).mark, asked.maintenance, asked.outside)
    live = Facts(TENANT, now, record, {}, INTERVALS)
    assert isinstance(past, Instant)
    for pair in POLICIES["page"].pairs + POLICIES["ticket"].pairs:
        for window in (pair.long, pair.short):
            assert past.window_burn(window) == live.window_burn(window)
    assert (past.history, past.silence) == (live.history, live.silence)


@pytest.mark.parametrize(
    ("begin", "end", "fires"),
    [
        ("19:00", "23:00", False),
        ("11:00", "11:20", True),
        ("08:00", "08:03", False),
        ("03:00", "08:30", True),
    ],
)
def test_so_do_rules_about_objectives(begin: str, end: str, fires: bool) -> None:
    """Ten requests a minute, all of which fail during the outage."""
    first, count = int(T0.timestamp()), 14 * 24
    bad = range((tuesday(begin) - T0) // MINUTE, (tuesday(end) - T0) // MINUTE)
    good, total, observed = [0], [0], [0]
    cells = array("q"), array("q"), array("q")
    for hour in range(count):
        for place in range(61):
            for mine, running in zip(cells, (good, total, observed), strict=True):
                mine.append(running[-1])
            if place < 60:
                minute = 60 * hour + place
                good.append(good[-1] + (0 if minute in bad else 10))
                total.append(total[-1] + 10)
                observed.append(observed[-1] + 60_000_000)
    counts = HoursOfCounts(array("q", [first + 3600 * h for h in range(count)]), *cells)
    promised = Promised(1, 1, 0.995, "30d", True, T0)
    history = CountedHistory(
        promised, counts, planned_minutes(OUTSIDE, T0, END), UTC_ZONE, timedelta(seconds=60),
        whole_minutes(OUTSIDE, T0, END),
    )  # fmt: skip
    start = T0 + timedelta(days=9)
    rule = AlertRule("r", "t", "r", RuleKind.BURN_RATE, "", 0, Severity.INFO, policy="page", objective="o")
    found = replay_counted(rule, history, start, start + timedelta(days=1), MINUTE, POLICIES)
    assert bool(found.firings) is fires
