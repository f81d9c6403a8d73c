"""Maintenance: recurring, across DST, before, during and after the fact; both accounting rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.errors import Forbidden, LimitReached, ValidationFailed
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval, Maintenance
from ecpmon.sla import terms
from ecpmon.sla.maintenance import check, covered, densest, exclude, merged, occurrences
from ecpmon.sla.parts import Terms
from ecpmon.sla.periods import month_of, period
from ecpmon.sla.windows import evaluate, standing, tally

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def planned(
    start: datetime, hours: float, rrule: str | None = None, zone: str = "UTC", reason: str = "x"
) -> Maintenance:
    return Maintenance("m", start, timedelta(hours=hours), reason, "someone", T0, zone, rrule)


def test_the_two_accounting_rules_of_the_textbook() -> None:
    # 1 h down in 7 d of which 1 d was maintenance: 60/8640 and 60/10080.
    spans = [
        Span(at(0), at(7 * DAY - 3600), SpanState.UP),
        Span(at(7 * DAY - 3600), at(7 * DAY), SpanState.DOWN),
    ]
    day = (Interval(at(DAY), at(2 * DAY)),)
    excluded = evaluate("7d", spans, at(0), at(7 * DAY), 0.995, terms=Terms(day))
    as_up = evaluate("7d", spans, at(0), at(7 * DAY), 0.995, terms=Terms(day, Accounting.COUNT_AS_UP))
    assert excluded.availability == pytest.approx(1 - 60 / 8640)
    assert as_up.availability == pytest.approx(1 - 60 / 10080)
    assert excluded.availability_other_accounting == as_up.availability
    assert as_up.availability_other_accounting == excluded.availability
    assert excluded.tally.maintenance == DAY


def test_downtime_within_maintenance_is_not_charged_and_no_incident() -> None:
    spans = [
        Span(at(0), at(100), SpanState.UP),
        Span(at(100), at(200), SpanState.DOWN),
        Span(at(200), at(300), SpanState.UP),
    ]
    found = evaluate("x", spans, at(0), at(300), 0.9, terms=Terms((Interval(at(90), at(150)),)))
    assert (found.tally.down, found.tally.eligible, found.tally.maintenance) == (50, 240, 60)
    assert (found.outages.count, found.outages.seconds) == (1, 50)


def test_a_weekly_window_keeps_its_wall_clock_time_across_dst() -> None:
    # Sundays 02:30 in Berlin; on 2026-03-29 there is no 02:30, so there is no maintenance.
    weekly = planned(datetime(2026, 3, 15, 1, 30, tzinfo=UTC), 2, "FREQ=WEEKLY;BYDAY=SU", "Europe/Berlin")
    found = occurrences(weekly, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 13, tzinfo=UTC))
    assert [i.start.strftime("%m-%d %H:%M") for i in found] == [
        "03-15 01:30", "03-22 01:30", "04-05 00:30", "04-12 00:30",
    ]  # fmt: skip
    assert all(i.end - i.start == timedelta(hours=2) for i in found)


def test_a_rule_ends_at_an_instant_whatever_the_zone() -> None:
    # 03:00 in Seoul is 18:00 UTC of the day before: the last occurrence is at the very end.
    daily = planned(
        datetime(2026, 3, 2, 18, tzinfo=UTC), 1, "FREQ=DAILY;UNTIL=20260304T180000Z", "Asia/Seoul"
    )
    found = occurrences(daily, T0, T0 + timedelta(days=30))
    assert [i.start.day for i in found] == [2, 3, 4]


@pytest.mark.parametrize(
    ("zone", "first", "hour", "seen"),
    [
        # From 01:45 on, when 02:00 does not exist on March 8; asked when it is 03:30 summer time.
        ("America/New_York", datetime(2026, 3, 7, 6, 45, tzinfo=UTC), datetime(2026, 3, 8, 6, 45, tzinfo=UTC), 45),
        # 01:45 comes twice on November 1, the first one counts; asked at the second 01:15.
        ("America/New_York", datetime(2026, 10, 30, 5, 45, tzinfo=UTC), datetime(2026, 11, 1, 5, 45, tzinfo=UTC), 30),
        # Half an hour of DST: 01:45 comes twice on April 5; asked at the second 01:40.
        ("Australia/Lord_Howe", datetime(2026, 4, 3, 14, 45, tzinfo=UTC), datetime(2026, 4, 4, 14, 45, tzinfo=UTC), 25),
    ],
)  # fmt: skip
def test_an_occurrence_is_found_while_the_clock_changes(
    zone: str, first: datetime, hour: datetime, seen: int
) -> None:
    daily = planned(first, 1, "FREQ=DAILY", zone)
    end = hour + timedelta(minutes=seen)
    assert occurrences(daily, hour, end) == [Interval(hour, end)]
    assert occurrences(daily, end, hour + timedelta(hours=2)) == [Interval(end, hour + timedelta(hours=1))]


@given(
    st.sampled_from(
        ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Asia/Seoul"]
    ),
    st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(0, 30 * 60),
    st.integers(1, 40 * 60),
)
def test_part_of_the_time_sees_part_of_the_occurrences(
    zone: str, start: datetime, later: int, minutes: int
) -> None:
    daily = planned(datetime(2026, 3, 1, 6, 30, tzinfo=UTC), 2, "FREQ=DAILY;BYHOUR=1,2;BYMINUTE=30", zone)
    whole = covered([daily], T0, datetime(2027, 1, 1, tzinfo=UTC))
    begin = start + timedelta(minutes=later)
    end = begin + timedelta(minutes=minutes)
    expected = [
        Interval(max(i.start, begin), min(i.end, end)) for i in whole if i.start < end and i.end > begin
    ]
    assert covered([daily], begin, end) == expected


def test_overlapping_windows_count_once() -> None:
    both = covered([planned(at(0), 2), planned(at(3600), 2)], at(0), at(DAY))
    assert both == [Interval(at(0), at(3 * 3600))]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (planned(at(0), 0), "end"), (planned(at(0), -1), "end"), (planned(at(0), 24 * 32), "end"),
        (planned(at(0), 1, reason=" "), "reason"), (planned(at(-31 * DAY), 1), "start"),
        (planned(at(0), 1, zone="Mars/Olympus"), "time_zone"),
        (planned(at(0), 1, zone="../../etc/passwd"), "time_zone"), (planned(at(0), 1, "FREQ=HOURLY"), "rrule"),
        (planned(at(0), 1, "every sunday"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY;DTSTART=20260101T000000"), "rrule"),
        (planned(at(0), 1, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31;COUNT=1"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY;UNTIL=20200101T000000Z"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY;UNTIL=tomorrow"), "rrule"), (planned(at(0), 1, "FREQ=DAILY;COUNT=0"), "rrule"),
        # dateutil steps by nothing for ever, takes the last FREQ, and lists every second of 186 days.
        (planned(at(0), 1, "FREQ=DAILY;INTERVAL=0"), "rrule"), (planned(at(0), 1, "FREQ=DAILY;INTERVAL=-1"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY;FREQ=SECONDLY"), "rrule"),
        (planned(at(0), 1, f"FREQ=DAILY;BYMINUTE={','.join(map(str, range(60)))}"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "rrule"),
        (planned(at(0), 1, "FREQ=DAILY\nEXDATE:20260303T000000"), "rrule"),
        # Its end is no date any more.
        (planned(datetime(9999, 12, 31, tzinfo=UTC), 24), "start"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_field(bad: Maintenance, field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check(bad, T0)
    assert [f["field"] for f in caught.value.details["fields"]] == [field]


def test_what_recurred_in_the_past_is_entered_by_who_is_authorised_saying_why() -> None:
    past = planned(at(-300 * DAY), 1, "FREQ=DAILY", reason="it was never entered")
    with pytest.raises(Forbidden, match="tenant_admin"):
        check(past, T0)
    check(past, T0, authorised=True)
    for bad, field in (
        (planned(at(-367 * DAY), 1, "FREQ=DAILY", reason="it was never entered"), "start"),
        (planned(at(-10), 1, "FREQ=DAILY", reason="forgotten"), "reason"),
        (planned(at(-31 * DAY), 1, reason="once, and long ago"), "start"),
    ):
        with pytest.raises(ValidationFailed) as caught:
            check(bad, T0, authorised=True)
        assert [f["field"] for f in caught.value.details["fields"]] == [field]


def test_maintenance_may_be_entered_up_to_thirty_days_afterwards() -> None:
    check(planned(at(-29 * DAY), 3), T0)


intervals = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 200)), max_size=6).map(
    lambda pairs: [Interval(at(s), at(s + n)) for s, n in pairs]
)


@given(intervals, st.lists(st.tuples(st.sampled_from(["up", "down"]), st.integers(1, 200)), max_size=8))
def test_excluding_takes_out_exactly_the_covered_seconds(
    taken: list[Interval], parts: list[tuple[str, int]]
) -> None:
    spans, cursor = [], 0
    for state, seconds in parts:
        spans.append(Span(at(cursor), at(cursor + seconds), SpanState(state)))
        cursor += seconds
    disjoint = merged(taken)
    by_second = {
        s: span.state
        for span in spans
        for s in range(int((span.start - T0).total_seconds()), int((span.end - T0).total_seconds()))
    }
    off = {
        s
        for i in taken
        for s in range(int((i.start - T0).total_seconds()), int((i.end - T0).total_seconds()))
    }
    found = tally(spans, at(0), at(2000), disjoint)
    assert found.eligible == len([s for s in by_second if s not in off])
    assert found.down == len(
        [s for s, state in by_second.items() if state is SpanState.DOWN and s not in off]
    )
    assert found.maintenance == len([s for s in by_second if s in off])
    assert sum(s.seconds for s in exclude(spans, disjoint)) == found.eligible


@pytest.mark.parametrize(
    ("year", "month", "zone", "hours"),
    [
        (2026, 3, "Europe/Berlin", 31 * 24 - 1), (2026, 10, "Europe/Berlin", 31 * 24 + 1),
        (2026, 2, "Asia/Seoul", 28 * 24),
        (2018, 11, "America/Sao_Paulo", 30 * 24 - 1), (2024, 2, "UTC", 29 * 24), (2026, 12, "Asia/Seoul", 31 * 24),
    ],
)  # fmt: skip
def test_months_have_their_real_length(year: int, month: int, zone: str, hours: int) -> None:
    found = month_of(year, month, ZoneInfo(zone))
    assert found.end - found.start == timedelta(hours=hours)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.sampled_from(
        ["UTC", "Asia/Seoul", "America/New_York", "Pacific/Apia", "Africa/Cairo", "Europe/Berlin"]
    ),
    st.sampled_from(["month", "quarter"]),
)
def test_calendar_periods_tile_time(naive: datetime, zone: str, name: str) -> None:
    now = naive.replace(tzinfo=UTC)
    found = period(name, now, ZoneInfo(zone))
    assert found.start <= now < found.end
    assert period(name, found.end, ZoneInfo(zone)).start == found.end
    assert period(name, found.start, ZoneInfo(zone)) == found


def test_the_budget_of_a_running_month_is_that_of_the_whole_month() -> None:
    now = datetime(2026, 3, 11, tzinfo=UTC)
    spans = [Span(datetime(2026, 3, 1, tzinfo=UTC), now, SpanState.UP)]
    [month] = standing(spans, now, 0.995, names=["month"])
    assert month.end == datetime(2026, 4, 1, tzinfo=UTC)
    assert month.budget.total / 60 == pytest.approx(223.2)
    assert month.tally.eligible == 10 * DAY
    ahead = Terms((Interval(datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 3, 21, tzinfo=UTC)),))
    [less] = standing(spans, now, 0.995, names=["month"], terms=ahead)
    assert less.budget.total / 60 == pytest.approx(223.2 - 7.2)


@pytest.mark.parametrize(
    ("rrule", "times"),
    [
        (None, 1), ("FREQ=DAILY", 93), ("FREQ=WEEKLY", 14), ("FREQ=DAILY;BYHOUR=0,4,8,12,16,20", 6 * 93),
        ("FREQ=DAILY;COUNT=5", 5), ("FREQ=YEARLY", 1), ("FREQ=DAILY;INTERVAL=1000", 1),
        # All of it in three months, half a year after its start.
        ("FREQ=DAILY;BYMONTH=9,10,11", 91),
    ],
)  # fmt: skip
def test_how_often_a_window_is_on_in_its_densest_quarter(rrule: str | None, times: int) -> None:
    assert densest(planned(T0, 1, rrule)) == times


def test_coverage_is_worked_out_once_a_day_and_anew_when_something_else_is_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked: list[int] = []

    def counted(planned: Iterable[Maintenance], start: datetime, end: datetime, most: int) -> list[Interval]:
        worked.append(1)
        return covered(planned, start, end, most)

    monkeypatch.setattr(terms, "covered", counted)
    known, daily = terms.Coverage(most=400), [planned(T0, 1, "FREQ=DAILY")]
    one: Any = SimpleNamespace(tenant_id="one", key=1, contract_versions=())
    two: Any = SimpleNamespace(tenant_id="two", key=2, contract_versions=())
    first = known.around(one, daily, at(40 * DAY))
    assert known.around(one, list(daily), at(40 * DAY + 7200)) == first
    assert len(worked) == 1
    assert Interval(at(40 * DAY), at(40 * DAY + 3600)) in first.maintenance
    known.around(one, daily, at(41 * DAY))
    known.around(one, [*daily, planned(at(7200), 1)], at(41 * DAY))
    assert len(worked) == 3
    # So much is remembered and no more: the one that was asked about longest ago goes.
    weekly = [planned(T0, 2, "FREQ=DAILY;BYHOUR=0,12")]
    known.around(two, weekly, at(120 * DAY))
    known.around(two, weekly, at(120 * DAY))
    assert len(worked) == 4
    known.around(one, [*daily, planned(at(7200), 1)], at(41 * DAY))
    assert len(worked) == 5
    assert known.around(one, (), at(41 * DAY)) == terms.NOTHING_OFF


def test_more_maintenance_than_can_be_worked_out_is_refused_by_name() -> None:
    daily = [planned(at(60 * n), 0.01, "FREQ=DAILY") for n in range(20)]
    assert len(covered(daily, at(0), at(10 * DAY), most=200)) == 200
    with pytest.raises(LimitReached, match="more than 199 times"):
        covered(daily, at(0), at(10 * DAY), most=199)
