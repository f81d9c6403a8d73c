"""Alerts on objectives as timelines of counts: which window pair fires at which minute, and what resolves it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.alerts.backtest import Backtest, replay_counted
from ecpmon.alerts.counted import CountedFacts, fitting, instants, judge, lengths, told_of
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.defaults import BUDGETS
from ecpmon.alerts.machine import advance
from ecpmon.alerts.policy import default_policies
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, Severity
from ecpmon.model.objectives import Counts, HoursOfCounts, Promised
from ecpmon.sla.burn import BurnPolicy, WindowPair
from ecpmon.sla.periods import period

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICIES = default_policies()
LOW, EXHAUSTED = BUDGETS
PROMISED = Promised(1, 1, 0.995, "30d", events=True, first_at=T0)
Minutes = Sequence[Counts]
SEEN = 60_000_000


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def minutes_of(script: str) -> list[Counts]:
    """`20: 3/100` is twenty minutes with 100 requests of which 3 are bad; `5: -` five that nobody observed."""
    found: list[Counts] = []
    for part in script.split(","):
        count, what = part.split(":")
        if what.strip() == "-":
            found += [Counts()] * int(count)
        else:
            bad, total = map(int, what.split("/"))
            found += [Counts(total - bad, total, SEEN)] * int(count)
    return found


def hours_of(minutes: Minutes) -> HoursOfCounts:
    """As the table has them; hours in which nothing was counted have no row."""
    found, so_far = HoursOfCounts(array("q"), array("q"), array("q"), array("q")), Counts()
    for first in range(0, len(minutes), 60):
        hour = [*minutes[first : first + 60], *[Counts()] * 60][:60]
        if any(m != Counts() for m in hour):
            found.begins.append(int(at(first).timestamp()))
            sums = [so_far]
            for minute in hour:
                sums.append(sums[-1] + minute)
            for each in sums:
                found.good.append(each.good)
                found.total.append(each.total)
                found.observed.append(each.observed)
            so_far = sums[-1]
    return found


def history(
    minutes: Minutes, promised: Promised = PROMISED, planned: Sequence[tuple[float, float]] = ()
) -> CountedHistory:
    off = [(at(a), at(b)) for a, b in planned]
    return CountedHistory(promised, hours_of(minutes), off, ZoneInfo("UTC"), timedelta(seconds=30))


def rule(kind: RuleKind, condition: str = "", policy: str | None = None) -> AlertRule:
    return AlertRule("r", "t", "r", kind, condition, 0, Severity.PAGE, (), policy, "checkout", 1)


PAGE, TICKET = rule(RuleKind.BURN_RATE, policy="page"), rule(RuleKind.BURN_RATE, policy="ticket")
NO_DATA = rule(RuleKind.NO_DATA)


def play(which: AlertRule, past: CountedHistory, minutes: int) -> list[tuple[float, float | None]]:
    """(fired, resolved) in minutes after T0."""
    found = replay_counted(which, past, T0, at(minutes), MINUTE, POLICIES)
    return firings(found)


def firings(found: Backtest) -> list[tuple[float, float | None]]:
    return [
        ((f.fired_at - T0) / MINUTE, None if f.resolved_at is None else (f.resolved_at - T0) / MINUTE)
        for f in found.firings
    ]


DAY = 24 * 60


@pytest.mark.parametrize(
    ("sentence", "script", "which", "expected"),
    [
        ("nothing went wrong", "500: 0/100", PAGE, []),
        # 14.4 times 0.5 % is 7.2 % of an hour: 4.32 minutes of a full outage.
        ("2 % in an hour: a full outage pages when the fifth minute is over, and resolves on the long window",
         "365: 0/100, 10: 100/100, 100: 0/100", PAGE, [(370, 431)]),
        # 6 times 0.5 % is 3 % of six hours: 6 % for more than three hours. The hour never has 7.2 %.
        ("5 % in six hours: what is under 7.2 % of the hour fires only the longer pair",
         "365: 0/100, 240: 6/100, 400: 0/100", PAGE, [(546, 786)]),
        ("one bad request of few is no evidence, and nine are none",
         "365: 0/1, 9: 1/1, 100: 0/1", PAGE, []),
        ("ten bad requests of a short window are",
         "365: 0/2, 5: 2/2, 100: 0/2", PAGE, [(370, 426)]),
        ("within the first hour of history nothing fires; with the first full hour what still goes on does",
         "30: 0/100, 40: 100/100, 60: 0/100", PAGE, [(60, 126)]),
        ("what is over by the first full hour never fires", "20: 0/100, 20: 100/100, 60: 0/100", PAGE, []),
        ("a gap freezes what fires until the hour is measured again",
         "365: 0/100, 6: 100/100, 30: -, 100: 0/100", PAGE, [(370, 455)]),
        ("without requests nothing is spent: it resolves",
         "365: 0/100, 5: 100/100, 100: 0/0", PAGE, [(370, 430)]),
        ("a second outage is told as soon as the first; six hours then hold both",
         "365: 0/100, 10: 100/100, 90: 0/100, 10: 100/100, 90: 0/100", PAGE, [(370, 431), (470, None)]),
        # 1.5 % of a day is 21.6 minutes of a full outage, and 22 are more; a first full day is needed.
        ("10 % in a day: a ticket after 22 minutes of a full outage",
         f"{DAY}: 0/100, 30: 100/100, {DAY + 100}: 0/100", TICKET, [(DAY + 22, 2 * DAY + 9)]),
        # 2 % of the requests: the day has 1.5 % after 18 hours.
        ("a slow burn is a ticket when the day holds 1.5 %",
         f"{DAY}: 0/100, {DAY}: 2/100", TICKET, [(DAY + 1081, None)]),
        # 0.5 % of three days is 21.6 minutes; 1 % for 36.1 hours. The day never holds 1.5 %.
        ("10 % in three days: what no day shows",
         f"{3 * DAY}: 0/100, {2 * DAY}: 1/100", TICKET, [(3 * DAY + 2161, None)]),
        ("nothing counted for five minutes", "60: 0/100, 20: -, 30: 0/100", NO_DATA, [(65, 81)]),
        ("four minutes of nothing are told to nobody", "60: 0/100, 4: -, 30: 0/100", NO_DATA, []),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" not in value[:6] else "",
)  # fmt: skip
def test_timelines(
    sentence: str, script: str, which: AlertRule, expected: list[tuple[float, float | None]]
) -> None:
    minutes = minutes_of(script)
    assert play(which, history(minutes), len(minutes)) == expected, sentence


def test_every_pair_fires_by_itself_at_the_minute_its_budget_share_is_spent() -> None:
    """An outage of all requests, seen by one pair alone, after a full long window of history."""
    for name, policy in POLICIES.items():
        for pair in policy.pairs:
            alone = {name: replace(policy, pairs=(pair,))}
            before = pair.long // MINUTE
            past = history(minutes_of(f"{before}: 0/100, 60: 100/100, {before}: 0/100"))
            which = rule(RuleKind.BURN_RATE, policy=name)
            found = firings(replay_counted(which, past, T0, at(2 * before + 60), MINUTE, alone))
            needed = pair.factor(policy.period) * 0.005 * before
            # More than the share, in whole minutes; resolved when what is left in the long window is less than it.
            fires = int(needed) + 1
            assert found == [(before + fires, 2 * before + 60 - int(needed))], (name, pair)


def test_a_policy_follows_the_period_of_the_promise() -> None:
    page = POLICIES["page"]
    factors = {
        window: [round(p.factor(f.period), 3) for p in f.pairs]
        for window in ("7d", "30d", "month", "90d", "quarter", "24h")
        for f in [fitting(page, window, events=True)]
    }
    assert factors == {
        "7d": [3.36, 1.4], "30d": [14.4, 6], "month": [14.4, 6], "90d": [43.2, 18], "quarter": [43.2, 18],
        "24h": [14.4, 6],
    }  # fmt: skip


def test_a_weeks_ticket_asks_for_what_its_promise_allows_at_least() -> None:
    """A tenth of a week's budget in a day is less than the promise allows: pairs are raised to a factor of 1."""
    ticket = POLICIES["ticket"]
    for window, factors in (("7d", [1, 1]), ("30d", [3, 1]), ("quarter", [9, 3])):
        policy = fitting(ticket, window, events=True)
        assert [p.factor(policy.period) for p in policy.pairs] == pytest.approx(factors)
    weekly = replace(PROMISED, window="7d")
    # Exactly what is allowed tells nobody, however long; 1.25 times as much for 0.8 days does.
    assert play(TICKET, history(minutes_of(f"{2 * DAY}: 1/200"), weekly), 2 * DAY) == []
    burning = history(minutes_of(f"{DAY}: 0/800, {DAY}: 5/800, {DAY}: 0/800"), weekly)
    assert play(TICKET, burning, 3 * DAY) == [(DAY + 1153, 2 * DAY + 289)]


def test_latency_counts_time_and_its_failed_observations() -> None:
    """Bad microseconds are as many failed observations as fit into them: at 30 s each, three are 90 s."""
    slow, fine = Counts(0, SEEN, SEEN), Counts(SEEN, SEEN, SEEN)
    latency = replace(PROMISED, events=False)
    assert play(PAGE, history([fine] * 365 + [slow] * 10 + [fine] * 100, latency), 475) == [(370, 431)]
    short = history([fine] * 60 + [Counts(0, SEEN, SEEN)] + [fine] * 60, replace(latency, target=0.9999))
    assert play(PAGE, short, 121) == []


def test_what_was_planned_wakes_nobody_and_is_in_no_window() -> None:
    minutes = minutes_of("365: 0/100, 20: 100/100, 90: 0/100")
    assert play(PAGE, history(minutes, planned=[(364, 385)]), 475) == []
    # Of the hour 40 minutes are left, of which three are 7.5 %; of 42 minutes they are 7.1 %.
    late = minutes_of("365: 0/100, 23: 100/100, 90: 0/100")
    assert play(PAGE, history(late, planned=[(365, 385)]), 478) == [(388, 427)]
    silent = minutes_of("60: 0/100, 30: -, 30: 0/100")
    assert play(NO_DATA, history(silent, planned=[(60, 90)]), 120) == []


def test_the_budget_is_told_once_and_again_when_it_has_recovered() -> None:
    """Of 100,000 requests 500 may fail; at 400 a fifth of the budget is left."""
    minutes = minutes_of(f"{DAY}: 0/100, 8: 100/100, {DAY}: 0/100")
    low, none = rule(RuleKind.BUDGET, LOW), rule(RuleKind.BUDGET, EXHAUSTED)
    # After a day and n minutes of outage 0.5 % of (1440 + n) x 100 may be bad: 80 % of that is 576 and a little.
    assert play(low, history(minutes), 2 * DAY) == [(DAY + 6, DAY + 694)]
    assert play(none, history(minutes), 2 * DAY) == [(DAY + 8, DAY + 193)]
    assert play(low, history(minutes_of("700: 50/100")), 700) == [], "in its first day a budget says nothing"


def test_a_month_that_begins_has_a_fresh_budget_and_says_nothing_for_a_day() -> None:
    month = replace(PROMISED, window="month", first_at=at(-3 * DAY))
    april = (datetime(2026, 4, 1, tzinfo=UTC) - T0) // MINUTE
    minutes = minutes_of(f"{april - 2 * DAY}: 0/100, {4 * DAY}: 10/100")
    found = replay_counted(
        rule(RuleKind.BUDGET, LOW),
        history(minutes, month),
        at(april - 2 * DAY),
        at(april + 2 * DAY),
        MINUTE,
        POLICIES,
    )
    (first, *rest) = firings(found)
    assert first[0] < april
    assert first[1] is None
    assert rest == [], "what the new month has spent by the end of its first day holds it"
    assert found.unknown == DAY


def naive(
    minutes: Minutes, start: int, end: int, planned: Sequence[tuple[float, float]]
) -> tuple[int, int, int, int]:
    """(good, total, observed, minutes) of those that do not begin in maintenance."""
    chosen = [
        minutes[m] for m in range(max(start, 0), end) if not any(a <= m < b for a, b in planned)
    ]  # fmt: skip
    return (
        sum(c.good for c in chosen),
        sum(c.total for c in chosen),
        sum(c.observed for c in chosen),
        len(chosen),
    )


@st.composite
def timelines(draw: st.DrawFn) -> tuple[list[Counts], list[tuple[int, int]]]:
    part = st.tuples(st.integers(1, 90), st.sampled_from([0, 0, 1, 40, 100, None]))
    parts = draw(st.lists(part, min_size=1, max_size=9))
    minutes: list[Counts] = []
    for length, bad in parts:
        minutes += [Counts() if bad is None else Counts(100 - bad, 100, SEEN)] * length
    edges = sorted(set(draw(st.lists(st.integers(0, len(minutes)), max_size=6))))
    return minutes, list(zip(edges[::2], edges[1::2], strict=False))


@settings(max_examples=60, deadline=None)
@given(timelines(), st.data())
def test_windows_are_what_adding_up_their_minutes_gives(
    drawn: tuple[list[Counts], list[tuple[int, int]]], data: st.DataObject
) -> None:
    minutes, planned = drawn
    now = data.draw(st.integers(0, len(minutes)))
    facts = history(minutes, planned=planned).at(at(now))
    for window in sorted(lengths(POLICIES)):
        span = window // MINUTE
        told = data.draw(st.none() | st.integers(0, now))
        found = facts.window_burn(window, None if told is None else at(told))
        _, total, observed, eligible = naive(minutes, now - span, now, planned)
        good_since, total_since, *_ = naive(minutes, max(now - span, told or 0), now, planned)
        rate = (total_since - good_since) / total / 0.005 if total else None
        assert found.burn == pytest.approx(rate)
        assert found.failed_observations == total_since - good_since
        assert found.coverage == pytest.approx(observed / 1e6 / (60 * eligible) if eligible else 0.0)


def shrunk(policy: BurnPolicy) -> BurnPolicy:
    """Its first pair with windows of a twelfth, so that some hours hold everything that may happen to it."""
    pair = policy.pairs[0]
    short = max(pair.short / 12, MINUTE)
    return replace(policy, pairs=(WindowPair(pair.budget_share / 12, pair.long / 12, short),))


@settings(max_examples=30, deadline=None)
@given(timelines())
def test_a_replay_is_what_evaluating_minute_by_minute_gives(
    drawn: tuple[list[Counts], list[tuple[int, int]]],
) -> None:
    """With nothing but the look-ups that an evaluation asks for, as the engine has them."""
    minutes, planned = drawn
    past = history(minutes, planned=planned)
    short = {name: shrunk(policy) for name, policy in POLICIES.items()}
    for which in (PAGE, TICKET, NO_DATA, rule(RuleKind.BUDGET, LOW)):
        state, told = RuleState(), list[tuple[float, str]]()
        for minute in range(len(minutes) + 1):
            now = at(minute)
            whole = past.at(now)
            wanted = instants(now, whole.begun, whole.planned, told_of([state], now), lengths(short))
            sums = {edge: past.before(edge) for edge in wanted}
            facts = CountedFacts(PROMISED, now, whole.begun, sums.__getitem__, whole.planned, past.interval)
            evaluation = judge(which, state, facts, short)
            state, changes = advance(state, evaluation.result, now, which.for_)
            told += [(minute, c.new.value) for c in changes if c.notifies]
        replayed = firings(replay_counted(which, past, T0, at(len(minutes)), MINUTE, short))
        flat = [(m, s) for f, r in replayed for m, s in ((f, "firing"), (r, "inactive")) if m is not None]
        assert flat == told
        assert all(a < b for (a, _), (b, _) in pairwise(told))


def test_the_promised_window_begins_where_its_calendar_says() -> None:
    facts = history(minutes_of("100: 0/1"), replace(PROMISED, window="quarter")).at(at(50))
    assert facts.begun == period("quarter", at(50), ZoneInfo("UTC")).start == datetime(2026, 1, 1, tzinfo=UTC)
