"""Holidays of an iCalendar text: whole days, recurring or not; what cannot be meant or costs too much is refused."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.sla.holidays import MAX_EVENTS, MAX_RECURRING, CalendarError, holidays_of

TODAY = date(2026, 11, 28)


def calendar(*events: str) -> str:
    shown = "".join(f"BEGIN:VEVENT\r\nUID:{n}\r\n{event}\r\nEND:VEVENT\r\n" for n, event in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{shown}END:VCALENDAR\r\n"


def lines(*properties: str) -> str:
    return "\r\n".join(properties)


def found(*events: str, most: int = 1_000) -> list[date]:
    return sorted(holidays_of(calendar(*events), TODAY, most))


@pytest.mark.parametrize(
    ("event", "days"),
    [
        (lines("DTSTART;VALUE=DATE:20261225"), [date(2026, 12, 25)]),
        (lines("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261225"), [date(2026, 12, 25)]),
        (lines("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"), [date(2026, 12, 25), date(2026, 12, 26)]),
        (lines("DTSTART;VALUE=DATE:20261230", "DURATION:P3D"),
         [date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 1)]),
        (lines("DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=YEARLY;COUNT=3"),
         [date(2027, 1, 1), date(2028, 1, 1), date(2029, 1, 1)]),
        (lines("DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=YEARLY;UNTIL=20290101", "EXDATE;VALUE=DATE:20280101"),
         [date(2027, 1, 1), date(2029, 1, 1)]),
        (lines("DTSTART;VALUE=DATE:20270101", "RDATE;VALUE=DATE:20270315,20270401"),
         [date(2027, 1, 1), date(2027, 3, 15), date(2027, 4, 1)]),
        # As the standard says, which dateutil does not: one day of the week, and every Monday beside the first Tuesday.
        (lines("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=YEARLY;BYWEEKNO=10;COUNT=3"),
         [date(2026, 3, 2), date(2027, 3, 8), date(2028, 3, 6)]),
        (lines("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=MONTHLY;BYDAY=MO,1TU;COUNT=6"),
         [date(2026, 3, day) for day in (2, 3, 9, 16, 23, 30)]),
        # Thanksgiving, and a leap day.
        (lines("DTSTART;VALUE=DATE:20261126", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3"),
         [date(2026, 11, 26), date(2027, 11, 25), date(2028, 11, 23)]),
        (lines("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY"),
         [date(2028, 2, 29), date(2032, 2, 29), date(2036, 2, 29)]),
        (lines("DTSTART;VALUE=DATE:20261225", "STATUS:CANCELLED"), []),
    ],
)  # fmt: skip
def test_an_event_is_its_days(event: str, days: list[date]) -> None:
    assert found(event) == days


def test_one_that_was_moved_is_where_it_was_moved_to() -> None:
    series = lines("DTSTART;VALUE=DATE:20270503", "RRULE:FREQ=YEARLY;COUNT=2")
    moved = lines("DTSTART;VALUE=DATE:20270504", "RECURRENCE-ID;VALUE=DATE:20270503").replace("\r\n", "\r\n")
    text = calendar(series, moved).replace("UID:1", "UID:0")
    assert sorted(holidays_of(text, TODAY, 100)) == [date(2027, 5, 4), date(2028, 5, 3)]


YEARLY = lines("DTSTART;VALUE=DATE:20270503", "RRULE:FREQ=YEARLY;COUNT=5")
LATER = "RECURRENCE-ID;VALUE=DATE;RANGE=THISANDFUTURE"


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        # Two days later, and two days long, from 2029 on.
        ([lines(f"{LATER}:20290503", "DTSTART;VALUE=DATE:20290505", "DTEND;VALUE=DATE:20290507")],
         ["2027-05-03", "2028-05-03", "2029-05-05", "2029-05-06", "2030-05-05", "2030-05-06", "2031-05-05",
          "2031-05-06"]),
        # A later change goes on from the dates that the rule has, whichever comes first in the file.
        ([lines(f"{LATER}:20300503", "DTSTART;VALUE=DATE:20300501"),
          lines(f"{LATER}:20280503", "DTSTART;VALUE=DATE:20280504")],
         ["2027-05-03", "2028-05-04", "2029-05-04", "2030-05-01", "2031-05-01"]),
        # One that is told apart stays so.
        ([lines(f"{LATER}:20280503", "DTSTART;VALUE=DATE:20280504"),
          lines("RECURRENCE-ID;VALUE=DATE:20300503", "DTSTART;VALUE=DATE:20301224")],
         ["2027-05-03", "2028-05-04", "2029-05-04", "2030-12-24", "2031-05-04"]),
        ([lines(f"{LATER}:20290503", "STATUS:CANCELLED")], ["2027-05-03", "2028-05-03"]),
        ([lines("RECURRENCE-ID;RANGE=thisandfuture;VALUE=DATE:20310503", "DTSTART;VALUE=DATE:20310601")],
         ["2027-05-03", "2028-05-03", "2029-05-03", "2030-05-03", "2031-06-01"]),
    ],
)  # fmt: skip
def test_what_moves_all_later_ones_moves_this_and_all_later_ones(changes: list[str], days: list[str]) -> None:
    text = re.sub(r"UID:\d+", "UID:0", calendar(YEARLY, *changes))
    assert [day.isoformat() for day in sorted(holidays_of(text, TODAY, 100))] == days


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lines("RECURRENCE-ID;VALUE=DATE;RANGE=THISANDPRIOR:20290503", "DTSTART;VALUE=DATE:20290505"),
         "RANGE=THISANDPRIOR; known is THISANDFUTURE"),
        (lines(f"{LATER}:20290503", "DTSTART;VALUE=DATE:20310505"), "by more than a year"),
        (lines(f"{LATER}:20290503", "DTSTART;VALUE=DATE:20290505", "RRULE:FREQ=YEARLY"), "recurs itself"),
        (lines(f"{LATER}:20290503", "SUMMARY:x"), "no DTSTART"),
        (lines(f"{LATER}:20290503", "DTSTART:20290505T100000"), "time of day (DTSTART)"),
    ],
)  # fmt: skip
def test_a_change_of_all_later_ones_that_cannot_be_meant_is_refused(change: str, said: str) -> None:
    with pytest.raises(CalendarError) as refused:
        holidays_of(re.sub(r"UID:\d+", "UID:0", calendar(YEARLY, change)), TODAY, 100)
    assert said in str(refused.value)


def test_a_change_of_all_later_ones_of_a_series_that_is_not_there_is_refused() -> None:
    with pytest.raises(CalendarError, match="a series that is not there"):
        found(lines(f"{LATER}:20290503", "DTSTART;VALUE=DATE:20290505"))


@given(st.integers(1990, 2036), st.integers(1, 12), st.integers(1, 28))
def test_what_recurs_each_year_does_so_for_ten_years(year: int, month: int, day: int) -> None:
    event = lines(f"DTSTART;VALUE=DATE:{year:04d}{month:02d}{day:02d}", "RRULE:FREQ=YEARLY")
    near = range(max(year, 2025), 2038)
    days = [date(y, month, day) for y in near]
    first, last = TODAY - timedelta(days=366), TODAY + timedelta(days=3_660)
    assert found(event) == [d for d in days if first <= d < last]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (lines("DTSTART:20261224T120000", "SUMMARY:Early"), "the event 'Early' has a time of day (DTSTART)"),
        (lines("DTSTART;VALUE=DATE:20261224", "DTEND:20261224T120000"), "time of day (DTEND)"),
        (lines("DTSTART;VALUE=DATE:20261224", "DURATION:PT4H"), "does not last whole days"),
        (lines("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261220"), "does not last whole days"),
        (lines("DTSTART;VALUE=DATE:20261324"), "unusable DTSTART"),
        (lines("SUMMARY:x"), "no DTSTART"),
        (lines("DTSTART;VALUE=DATE:20261224", "DTSTART;VALUE=DATE:20261225"), "more than one DTSTART"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=SOMETIMES"), "unusable RRULE"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=SECONDLY"), "unusable RRULE"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY;INTERVAL=1,2"), "unusable RRULE"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY;BYMONTH=13"), "unusable RRULE"),
        (lines("DTSTART;VALUE=DATE:20261224", "DURATION:P999999999D"), "longer than any contract"),
        (lines("DTSTART;VALUE=DATE:20261224", "DURATION:P400000W"), "longer than any contract"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY;BYHOUR=1"), "recurs as no holiday does"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY;INTERVAL=0"), "INTERVAL"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY", "RRULE:FREQ=DAILY"), "more than one RRULE"),
        (lines("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=DAILY"), "more than 1000"),
        (lines("DTSTART;VALUE=DATE:20261224", "DURATION:P2000D"), "more than 1000 days"),
        (lines("DTSTART;VALUE=DATE:00010101", "RRULE:FREQ=DAILY"), "no contract is made for"),
        (lines("DTSTART;VALUE=DATE:20261224", "RDATE:20270101T000000"), "time of day (RDATE)"),
    ],
)  # fmt: skip
def test_what_is_no_holiday_is_refused_and_named(event: str, said: str) -> None:
    with pytest.raises(CalendarError) as refused:
        found(event)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "\0", "BEGIN:VCALENDAR", "BEGIN:VCALENDAR\r\nEND:VCALENDAR", "BEGIN:VEVENT\r\nEND:VEVENT",
        "BEGIN:VCALENDAR\r\nFOO;:;\r\nEND:VCALENDAR", "END:VCALENDAR",
        "BEGIN:VCALENDAR\r\n" * 6_000 + "END:VCALENDAR\r\n" * 6_000,
        calendar("DTSTART;VALUE=DATE:20261225") * 2,
    ],
)  # fmt: skip
def test_what_is_no_calendar_is_refused(text: str) -> None:
    with pytest.raises(CalendarError):
        holidays_of(text, TODAY, 1_000)


def test_too_much_is_refused() -> None:
    with pytest.raises(CalendarError, match="1 to"):
        found(*["DTSTART;VALUE=DATE:20261225"] * (MAX_EVENTS + 1))
    with pytest.raises(CalendarError, match="recur"):
        found(*[lines("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY")] * (MAX_RECURRING + 1))
    with pytest.raises(CalendarError, match="more than 2 days"):
        found(*[f"DTSTART;VALUE=DATE:202612{day}" for day in (10, 11, 12)], most=2)


@given(st.text(alphabet="BEGIN:VCALDTRU=;0123456789\r\n,PHWFQY", max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for each in (text, calendar(text)):
        try:
            holidays_of(each, TODAY, 50)
        except CalendarError:
            continue
