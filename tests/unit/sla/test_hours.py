"""Service hours: what people may say, and which minutes count, against a clock that is looked at minute by minute."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.errors import ValidationFailed
from ecpmon.model.hours import DAY_NAMES
from ecpmon.model.maintenance import Interval
from ecpmon.sla.hours import counted, document_of, outside, parse, stored, words

TODAY = date(2026, 11, 28)
MINUTE = timedelta(minutes=1)
OFFICE = {"weekly": {key: ["08:00-18:00"] for key in DAY_NAMES[:5]}}
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Seoul", "Asia/Kathmandu", "Africa/Cairo", "America/Santiago",
    "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "Asia/Beirut",
]  # fmt: skip


def counts(document: dict[str, Any], zone: ZoneInfo, at: datetime) -> bool:
    """By looking at the wall clock, and at what was sent."""
    local = at.astimezone(zone)
    if local.date().isoformat() in document.get("holidays", ()):
        return False
    shown, day = f"{local:%H:%M}", local.weekday()
    for text in document["weekly"].get(DAY_NAMES[day], ()):
        begin, end = text.split("-")
        if begin <= shown and (shown < end or end <= begin):
            return True
    for text in document["weekly"].get(DAY_NAMES[day - 1], ()):
        begin, end = text.split("-")
        if end <= begin and shown < end:
            return True
    return False


def by_the_minute(document: dict[str, Any], zone: ZoneInfo, start: datetime, end: datetime) -> list[Interval]:
    found: list[Interval] = []
    at = start
    while at < end:
        if not counts(document, zone, at):
            if found and found[-1].end == at:
                found[-1] = Interval(found[-1].start, at + MINUTE)
            else:
                found.append(Interval(at, at + MINUTE))
        at += MINUTE
    return found


CLOCK = st.sampled_from(
    [
        "00:00",
        "00:01",
        "00:30",
        "01:00",
        "01:30",
        "02:00",
        "02:15",
        "02:30",
        "03:00",
        "03:30",
        "08:00",
        "18:00",
        "23:59",
    ]
)


@st.composite
def days(draw: st.DrawFn) -> list[str]:
    """Up to two ranges that do not overlap; the last may go on after midnight, or end with the day."""
    clocks = sorted(draw(st.sets(CLOCK, min_size=0, max_size=4)))
    parts = [f"{a}-{b}" for a, b in zip(clocks[::2], clocks[1::2], strict=False)]
    if len(clocks) % 2:
        parts.append(f"{clocks[-1]}-{draw(st.sampled_from(['24:00', '00:00', min(clocks)]))}")
    return [p for p in parts if p.split("-")[0] != p.split("-")[1]]


@st.composite
def schedules(draw: st.DrawFn, around: date) -> dict[str, Any]:
    weekly = {name: draw(days()) for name in DAY_NAMES}
    if not any(weekly.values()):
        weekly["sun"] = ["01:00-04:00"]
    closed = draw(st.sets(st.integers(-3, 6), max_size=4))
    return {"weekly": weekly, "holidays": sorted((around + timedelta(days=n)).isoformat() for n in closed)}


# Days at which clocks change in some of the zones, a leap day, and the turn of a year.
AROUND = [
    date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 5), date(2026, 10, 4),
    date(2026, 4, 24), date(2026, 10, 30), date(2026, 9, 6), date(2028, 2, 29), date(2026, 12, 31), date(2011, 12, 30),
    date(2026, 2, 15), date(2026, 3, 22),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.data(), st.sampled_from(AROUND), st.sampled_from(ZONES), st.integers(0, 1439), st.integers(1, 4 * 1440)
)
def test_what_is_outside_is_what_the_wall_clock_says(
    data: st.DataObject, around: date, zone_name: str, offset: int, lasting: int
) -> None:
    document = data.draw(schedules(around))
    zone = ZoneInfo(zone_name)
    start = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=1) + offset * MINUTE
    end = start + lasting * MINUTE
    hours = stored(document)
    assert outside(hours, zone, start, end) == by_the_minute(document, zone, start, end)


@pytest.mark.parametrize("zone_name", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_a_whole_year_is_what_the_wall_clock_says(zone_name: str) -> None:
    document = {
        "weekly": {
            **{key: ["08:00-18:00"] for key in DAY_NAMES[:4]},
            "fri": ["22:00-06:00"],
            "sun": ["00:00-24:00"],
        },
        "holidays": ["2028-02-29", "2028-12-25", "2028-12-26"],
    }
    zone = ZoneInfo(zone_name)
    start, end = datetime(2028, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    assert outside(parse(document, TODAY), zone, start, end) == by_the_minute(document, zone, start, end)


@given(schedules(date(2026, 10, 25)), st.sampled_from(ZONES), st.integers(0, 10**9), st.integers(0, 10**9))
def test_inside_and_outside_are_all_of_the_time_to_the_microsecond(
    document: dict[str, Any], zone_name: str, shift: int, more: int
) -> None:
    hours, zone = stored(document), ZoneInfo(zone_name)
    start = datetime(2026, 10, 24, tzinfo=UTC) + timedelta(microseconds=97 * shift)
    end = start + timedelta(microseconds=211 * more)
    parts = sorted(
        [*counted(hours, zone, start, end), *outside(hours, zone, start, end)], key=lambda part: part.start
    )
    edges = [start, *(part.end for part in parts)]
    assert [part.start for part in parts] == edges[:-1]
    assert edges[-1] == end


@pytest.mark.parametrize(
    ("weekly", "day", "minutes"),
    [
        (["02:00-03:00"], date(2026, 3, 29), 0),  # does not exist
        (["01:00-04:00"], date(2026, 3, 29), 120),
        (["02:00-03:00"], date(2026, 10, 25), 120),  # comes twice
        (["02:15-02:45"], date(2026, 10, 25), 60),
        (["00:00-24:00"], date(2026, 10, 25), 25 * 60),
        (["00:00-24:00"], date(2026, 3, 29), 23 * 60),
        (["22:00-06:00"], date(2026, 10, 24), 9 * 60),
        (["22:00-06:00"], date(2026, 3, 28), 7 * 60),
    ],
)
def test_changes_of_the_clock_count_as_the_wall_clock_shows(
    weekly: list[str], day: date, minutes: int
) -> None:
    hours = parse({"weekly": {DAY_NAMES[day.weekday()]: weekly}}, TODAY)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=6)
    found = counted(hours, ZoneInfo("Europe/Berlin"), start, start + timedelta(days=3))
    assert sum((part.end - part.start for part in found), timedelta(0)) == minutes * MINUTE


def test_a_holiday_is_a_day_of_the_contracts_zone_and_cuts_a_night() -> None:
    hours = parse({"weekly": {"thu": ["22:00-06:00"]}, "holidays": ["2026-12-25"]}, TODAY)
    seoul = ZoneInfo("Asia/Seoul")
    found = counted(hours, seoul, datetime(2026, 12, 24, tzinfo=UTC), datetime(2026, 12, 26, tzinfo=UTC))
    assert found == [Interval(datetime(2026, 12, 24, 13, tzinfo=UTC), datetime(2026, 12, 24, 15, tzinfo=UTC))]


def test_a_year_of_office_hours_is_some_hundred_intervals() -> None:
    hours = parse(OFFICE, TODAY)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert len(outside(hours, ZoneInfo("Europe/Berlin"), start, start + timedelta(days=365))) == 262


def test_what_was_stored_is_read_again() -> None:
    document = {
        "weekly": {"mon": ["22:00-06:00", "08:00-12:00"], "sun": ["00:00-24:00"]},
        "holidays": ["2026-12-26", "2026-12-25"],
    }
    hours = parse(document, TODAY)
    assert document_of(hours) == {
        "weekly": {"mon": ["08:00-12:00", "22:00-06:00"], "sun": ["00:00-24:00"]},
        "holidays": ["2026-12-25", "2026-12-26"],
    }
    assert stored(document_of(hours)) == hours


@given(schedules(date(2026, 12, 24)))
def test_what_is_taken_names_no_minute_of_the_week_twice_and_is_read_again_as_it_was(
    document: dict[str, Any],
) -> None:
    minutes: Counter[int] = Counter()
    for day, name in enumerate(DAY_NAMES):
        for text in document["weekly"][name]:
            begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in text.split("-"))
            lasting = (end - begin) if end > begin else end - begin + 1440
            minutes.update((1440 * day + begin + n) % 10_080 for n in range(lasting))
    if max(minutes.values()) > 1:
        with pytest.raises(ValidationFailed, match=r"overlaps with .* which goes on after midnight"):
            parse(document, TODAY)
    else:
        assert parse(document, TODAY) == stored(document)
    # What an earlier release took is read as it was.
    hours = stored(document)
    assert stored(document_of(hours)) == hours


@pytest.mark.parametrize(
    ("weekly", "said"),
    [
        ({key: ["08:00-18:00"] for key in DAY_NAMES[:5]}, "Monday–Friday 08:00–18:00"),
        ({key: ["00:00-24:00"] for key in DAY_NAMES}, "Monday–Sunday 00:00–24:00"),
        (
            {
                "mon": ["08:00-12:00", "13:00-17:00"],
                "tue": ["08:00-12:00", "13:00-17:00"],
                "sat": ["22:00-06:00"],
            },
            "Monday and Tuesday 08:00–12:00, 13:00–17:00; Saturday 22:00–06:00",
        ),
        ({"mon": ["08:00-12:00"], "wed": ["08:00-12:00"]}, "Monday 08:00–12:00; Wednesday 08:00–12:00"),
    ],
)
def test_hours_are_said_in_words(weekly: dict[str, list[str]], said: str) -> None:
    assert words(parse({"weekly": weekly}, TODAY)) == said


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, ""),
        ([], ""),
        ({"weekly": {"mon": ["08:00-18:00"]}, "zone": "UTC"}, ""),
        ({}, "weekly"),
        ({"weekly": []}, "weekly"),
        ({"weekly": {}}, "weekly"),
        ({"weekly": {"mon": []}}, "weekly"),
        ({"weekly": {"Mon": ["08:00-18:00"]}}, "weekly"),
        ({"weekly": {"mon": "08:00-18:00"}}, "weekly.mon"),
        ({"weekly": {"mon": ["08:00-09:00"] * 5}}, "weekly.mon"),
        ({"weekly": {"mon": ["08:00-12:00", "11:00-13:00"]}}, "weekly.mon"),
        ({"weekly": {"mon": ["22:00-06:00"], "tue": ["05:59-12:00"]}}, "weekly.tue"),
        ({"weekly": {"sun": ["08:00-07:00"], "mon": ["00:00-00:01"]}}, "weekly.mon"),
        ({"weekly": {"mon": ["08:00-18:00", "8:00-18:00"]}}, "weekly.mon[1]"),
        ({"weekly": {"mon": ["08:00-08:00"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": ["08:00-24:30"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": ["24:00-08:00"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": ["08:60-18:00"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": ["08:00-18:00\n"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": ["٠٨:00-18:00"]}}, "weekly.mon[0]"),
        ({"weekly": {"mon": [8]}}, "weekly.mon[0]"),
        ({**OFFICE, "holidays": "2026-12-25"}, "holidays"),
        ({**OFFICE, "holidays": ["2026-12-25"] * 1_001}, "holidays"),
        ({**OFFICE, "holidays": ["2026-12-25", "2026-02-29"]}, "holidays[1]"),
        ({**OFFICE, "holidays": ["20261225"]}, "holidays[0]"),
        ({**OFFICE, "holidays": ["9999-12-25"]}, "holidays[0]"),
        ({**OFFICE, "calendar": 1}, "calendar"),
        ({**OFFICE, "calendar": "x" * 150_001}, "calendar"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(document: object, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        parse(document, TODAY)
    assert [f["field"] for f in refused.value.details["fields"]] == [
        f"service_hours.{field}" if field else "service_hours"
    ]


def test_a_calendar_adds_the_days_of_its_events() -> None:
    pytest.importorskip("icalendar")
    text = "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:1", "SUMMARY:Christmas",
         "DTSTART;VALUE=DATE:20261225", "END:VEVENT", "END:VCALENDAR"]
    )  # fmt: skip
    hours = parse({**OFFICE, "holidays": ["2026-12-24"], "calendar": text}, TODAY)
    # What is stored are dates: no other reading of the text can change them.
    assert document_of(hours)["holidays"] == ["2026-12-24", "2026-12-25"]


def test_a_calendar_and_dates_together_are_not_too_many() -> None:
    pytest.importorskip("icalendar")
    days = [(date(2027, 1, 1) + timedelta(days=n)).isoformat() for n in range(1_000)]
    text = calendar_of("20261225")
    with pytest.raises(ValidationFailed, match="1001 days"):
        parse({**OFFICE, "holidays": days, "calendar": text}, TODAY)


def calendar_of(day: str) -> str:
    event = f"BEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:{day}\r\nEND:VEVENT"
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{event}\r\nEND:VCALENDAR\r\n"
