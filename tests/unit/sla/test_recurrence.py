"""Recurrence rules: the examples of RFC 5545, both changes of the clock, and dateutil where it is right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from ecpmon.sla import recurrence_before
from ecpmon.sla.recurrence import Recurrence
from ecpmon.sla.rrule_text import rule_of

NEW_YORK = "America/New_York"


def recurring(text: str, start: str, zone: str = NEW_YORK) -> Recurrence:
    """`start` is a wall-clock time, or has an offset."""
    at, there = datetime.fromisoformat(start), ZoneInfo(zone)
    return Recurrence(rule_of(text), (at if at.tzinfo else at.replace(tzinfo=there)).astimezone(UTC), there)


def begins(text: str, start: str, zone: str = NEW_YORK, days: int = 400) -> list[datetime]:
    """Instants of the first so many days."""
    found = recurring(text, start, zone)
    first = found.local.date()
    return list(found.begins(first, first + timedelta(days=days)))


def walls(text: str, start: str, zone: str = NEW_YORK, days: int = 400) -> list[str]:
    there = ZoneInfo(zone)
    return [at.astimezone(there).strftime("%Y-%m-%d %H:%M") for at in begins(text, start, zone, days)]


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1996-11-05",
         "1996-11-05 2000-11-07 2004-11-02"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04", "1997-09-04 1997-10-07 1997-11-06"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;UNTIL=19980331", "1997-09-29",
         "1997-09-29 1997-10-30 1997-11-27 1997-12-30 1998-01-29 1998-02-26 1998-03-30"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05",
         "1997-08-05 1997-08-10 1997-08-19 1997-08-24"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05",
         "1997-08-05 1997-08-17 1997-08-19 1997-08-31"),
        ("FREQ=YEARLY;BYDAY=20MO;COUNT=3", "1997-05-19", "1997-05-19 1998-05-18 1999-05-17"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3", "1997-05-12", "1997-05-12 1998-05-11 1999-05-17"),
        ("FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "1997-01-01",
         "1997-01-01 1997-04-10 1997-07-19 2000-01-01 2000-04-09 2000-07-18 2003-01-01 2003-04-10 2003-07-19 "
         "2006-01-01"),
        ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "1997-09-30",
         "1997-09-30 1997-10-01 1997-10-31 1997-11-01 1997-11-30 1997-12-01 1997-12-31 1998-01-01 1998-01-31 "
         "1998-02-01"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=5", "1997-09-02",
         "1998-02-13 1998-03-13 1998-11-13 1999-08-13 2000-10-13"),
        ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15",
         "2007-01-15 2007-01-30 2007-02-15 2007-03-15 2007-03-30"),
        ("FREQ=MONTHLY;COUNT=4;INTERVAL=2;BYDAY=1SU,-1SU", "1997-09-07",
         "1997-09-07 1997-09-28 1997-11-02 1997-11-30"),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfc(text: str, start: str, expected: str) -> None:
    assert walls(text, f"{start}T09:00", days=4_000) == [f"{day} 09:00" for day in expected.split()]


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # Both every Monday and the first Tuesday: dateutil takes what is both at once, nothing.
        ("FREQ=MONTHLY;BYDAY=MO,1TU;COUNT=6", "2026-06-01", "06-01 06-02 06-08 06-15 06-22 06-29"),
        # The week's first is Monday, before the start: dateutil takes Wednesday for the first of that week.
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1;COUNT=2", "2026-06-03", "06-08 06-15"),
        # The weekday is the start's: dateutil takes all seven days of the week.
        ("FREQ=YEARLY;BYWEEKNO=23;COUNT=1", "2026-06-03", "06-03"),
    ],
)  # fmt: skip
def test_what_dateutil_gets_wrong(text: str, start: str, expected: str) -> None:
    assert walls(text, f"{start}T09:00") == [f"2026-{day} 09:00" for day in expected.split()]


def test_a_year_begins_with_its_first_week_even_in_december() -> None:
    # The first week of 2026 begins on 2025-12-29, and that of 2028 on 2028-01-03.
    found = walls("FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO;COUNT=3", "2025-12-29T09:00", days=2_000)
    assert found == ["2025-12-29 09:00", "2028-01-03 09:00", "2029-12-31 09:00"]


@pytest.mark.parametrize(
    ("text", "start", "zone", "expected"),
    [
        # 02:30 does not exist on 2026-03-29 in Berlin: it is left out, and not counted.
        ("FREQ=DAILY;COUNT=3", "2026-03-28T02:30", "Europe/Berlin", "03-28 02:30,03-30 02:30,03-31 02:30"),
        ("FREQ=DAILY;BYHOUR=2,4;BYSETPOS=1;COUNT=3", "2026-03-28T02:30", "Europe/Berlin",
         "03-28 02:30,03-29 04:30,03-30 02:30"),
        # The clock is put forward at midnight.
        ("FREQ=DAILY;COUNT=3", "2026-04-23T00:30", "Africa/Cairo", "04-23 00:30,04-25 00:30,04-26 00:30"),
        ("FREQ=WEEKLY;COUNT=2", "2026-03-01T00:00", "America/Havana", "03-01 00:00,03-15 00:00"),
        # By half an hour: 02:15 does not exist, 02:30 does.
        ("FREQ=DAILY;COUNT=2", "2026-10-03T02:15", "Australia/Lord_Howe", "10-03 02:15,10-05 02:15"),
        ("FREQ=DAILY;COUNT=2", "2026-10-03T02:30", "Australia/Lord_Howe", "10-03 02:30,10-04 02:30"),
        # By two hours.
        ("FREQ=DAILY;COUNT=2", "2026-03-28T01:15", "Antarctica/Troll", "03-28 01:15,03-30 01:15"),
    ],
)  # fmt: skip
def test_a_time_that_the_clock_skips_is_left_out_and_not_counted(
    text: str, start: str, zone: str, expected: str
) -> None:
    assert walls(text, start, zone) == [f"2026-{each}" for each in expected.split(",")]


def test_a_day_that_a_zone_skips_is_left_out_and_not_counted() -> None:
    # Samoa went from 2011-12-29 to 2011-12-31.
    found = walls("FREQ=DAILY;COUNT=3", "2011-12-29T09:00", "Pacific/Apia")
    assert found == ["2011-12-29 09:00", "2011-12-31 09:00", "2012-01-01 09:00"]
    friday = walls("FREQ=WEEKLY;BYDAY=FR;COUNT=2", "2011-12-23T09:00", "Pacific/Apia")
    assert friday == ["2011-12-23 09:00", "2012-01-06 09:00"]


def test_a_time_that_comes_twice_is_the_first_of_both_and_the_start_is_what_was_given() -> None:
    # On 2026-10-25 it is twice 02:30 in Berlin: at 00:30 and at 01:30 UTC.
    daily = begins("FREQ=DAILY;COUNT=2", "2026-10-24T02:30", "Europe/Berlin")
    assert [at.isoformat() for at in daily] == ["2026-10-24T00:30:00+00:00", "2026-10-25T00:30:00+00:00"]
    second = begins("FREQ=DAILY;COUNT=2", "2026-10-25T01:30+00:00", "Europe/Berlin")
    assert [at.isoformat() for at in second] == ["2026-10-25T01:30:00+00:00", "2026-10-26T01:30:00+00:00"]
    # 02:45 came first before the start.
    later = begins("FREQ=DAILY;BYMINUTE=30,45;COUNT=2", "2026-10-25T01:30+00:00", "Europe/Berlin")
    assert [at.isoformat() for at in later] == ["2026-10-25T01:30:00+00:00", "2026-10-26T01:30:00+00:00"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        # A date is all of that day, where the rule is at home.
        ("20260303", "2026-03-03"), ("20260303T085959", "2026-03-02"), ("20260303T090000", "2026-03-03"),
        # 09:00 in Seoul is 00:00 UTC.
        ("20260303T000000Z", "2026-03-03"), ("20260302T235959Z", "2026-03-02"),
    ],
)  # fmt: skip
def test_until_is_included_as_a_date_a_wall_clock_time_and_an_instant(until: str, last: str) -> None:
    assert walls(f"FREQ=DAILY;UNTIL={until}", "2026-03-01T09:00", "Asia/Seoul")[-1] == f"{last} 09:00"


def test_until_as_an_instant_is_none_as_a_wall_clock_time() -> None:
    # 02:45 comes first at 00:45 UTC; the second 02:15 is later, though the clock shows less.
    rule = "FREQ=DAILY;UNTIL=20261025T011500Z"
    assert walls(rule, "2026-10-24T02:45", "Europe/Berlin") == ["2026-10-24 02:45", "2026-10-25 02:45"]


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=WEEKLY;BYDAY=1MO", "FREQ=DAILY;BYDAY=-1FR", "FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO",
        "FREQ=WEEKLY;BYMONTHDAY=3", "FREQ=DAILY;BYYEARDAY=3", "FREQ=MONTHLY;BYYEARDAY=3", "FREQ=MONTHLY;BYWEEKNO=3",
        "FREQ=MONTHLY;BYSETPOS=1", "FREQ=DAILY;BYSECOND=60", "FREQ=DAILY;BYHOUR=24", "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=YEARLY;BYMONTH=-1", "FREQ=YEARLY;BYMONTH=13", "FREQ=WEEKLY;WKST=XX",
        "FREQ=WEEKLY;BYDAY=", "FREQ=WEEKLY;BYDAY=MO,", "FREQ=DAILY;UNTIL=20261301", "FREQ=DAILY;UNTIL=20260229",
        "FREQ=MONTHLY;BYDAY=0MO", "FREQ=MONTHLY;BYDAY=54MO", "FREQ=DAILY;COUNT=2;UNTIL=20261231", "", "FREQ=",
        "FREQ=DAILY;BYHOUR=1.5", "FREQ=DAILY;BYHOUR=٣", "FREQ=DAILY;X-PART=1", "FREQ=DAILY;BYEASTER=1",
    ],
)  # fmt: skip
def test_what_the_rfc_forbids_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rule_of(text)


# --- against dateutil ---------------------------------------------------------------------------------------

ZONES = {
    "Europe/Berlin": 2026, "America/New_York": 2026, "Asia/Seoul": 2026, "America/Havana": 2026, "Africa/Cairo": 2026,
    "Asia/Beirut": 2026, "America/Sao_Paulo": 2018, "Australia/Lord_Howe": 2026, "Antarctica/Troll": 2026,
    "Pacific/Apia": 2011, "Africa/Casablanca": 2026, "America/Scoresbysund": 2024, "Asia/Pyongyang": 2018,
}  # fmt: skip
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
HORIZON = timedelta(days=500)


def some(numbers: list[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(numbers), min_size=1, max_size=most, unique=True).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """What both must agree about: no weeks of the year, days all numbered or none, BYSETPOS of months and years."""
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.integers(1, 4))}", f"WKST={draw(st.sampled_from(DAYS))}"]
    numbered = [f"{n}{d}" for n in (1, 2, -1) for d in DAYS]
    may = {"BYMONTH": some(["1", "3", "4", "10", "11", "12"]), "BYHOUR": some(["0", "1", "2", "3", "23"])}
    if freq != "WEEKLY":
        may["BYMONTHDAY"] = some(["1", "13", "29", "30", "31", "-1", "-2"])
    if freq == "YEARLY":
        may["BYYEARDAY"] = some(["1", "60", "88", "366", "-1"])
    may["BYDAY"] = some(list(DAYS)) if freq in ("WEEKLY", "DAILY") else some(list(DAYS)) | some(numbered)
    given_ = [name for name in may if draw(st.booleans())]
    parts += [f"{name}={draw(may[name])}" for name in given_]
    if freq in ("YEARLY", "MONTHLY") and given_ and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(some(['1', '2', '-1']))}")
    parts.append("BYMINUTE=" + draw(some(["0", "15", "30"], most=1)))
    return ";".join(parts)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def by_dateutil(text: str, start: datetime, zone: ZoneInfo, end: datetime) -> list[datetime]:
    """Wall-clock times before `end`; what does not exist is still in it."""
    local = start.astimezone(zone).replace(tzinfo=None)
    return list(rrulestr(f"{text};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=local))


@given(
    rules(),
    st.sampled_from(sorted(ZONES)),
    st.integers(0, 365 * 24 * 4),
    st.none() | st.integers(1, 12),
    st.none() | st.tuples(st.integers(1, 300), st.sampled_from(["day", "wall", "instant"])),
)
def test_dateutil_says_the_same_where_it_is_right(
    text: str, zone: str, quarters: int, most: int | None, until: tuple[int, str] | None
) -> None:
    there, begin = ZoneInfo(zone), datetime(ZONES[zone], 1, 1, tzinfo=UTC)
    start = begin + timedelta(minutes=15 * quarters)
    local = start.astimezone(there).replace(tzinfo=None)
    # What comes twice on the day of the start is ours to decide: there is a test above.
    assume(local.replace(tzinfo=there).astimezone(UTC) == start)
    end = local + HORIZON
    walls_ = by_dateutil(text, start, there, end)
    if "BYSETPOS" in text:
        without = ";".join(part for part in text.split(";") if not part.startswith("BYSETPOS"))
        assume(all(exists(w, there) for w in by_dateutil(without, start, there, end)))
    expected = [(w, w.replace(tzinfo=there).astimezone(UTC)) for w in walls_ if exists(w, there)]
    if until is not None and most is None:
        at = local + timedelta(days=until[0])
        match until[1]:
            case "day":
                text += f";UNTIL={at:%Y%m%d}"
                expected = [e for e in expected if e[0].date() <= at.date()]
            case "wall":
                text += f";UNTIL={at:%Y%m%dT%H%M%S}"
                expected = [e for e in expected if e[0] <= at]
            case _:
                instant = start + timedelta(days=until[0])
                text += f";UNTIL={instant:%Y%m%dT%H%M%S}Z"
                expected = [e for e in expected if e[1] <= instant]
    if most is not None:
        text, expected = f"{text};COUNT={most}", expected[:most]
    found = list(Recurrence(rule_of(text), start, there).begins(local.date(), end.date()))
    assert [at for at in found if at.astimezone(there).replace(tzinfo=None) <= end] == [
        at for _, at in expected
    ]


@given(
    rules(), st.sampled_from(sorted(ZONES)), st.integers(0, 365), st.integers(0, 480), st.integers(0, 40),
    st.none() | st.integers(1, 20),
)  # fmt: skip
def test_part_of_the_time_holds_part_of_the_occurrences(
    text: str, zone: str, begin: int, later: int, days: int, most: int | None
) -> None:
    start = datetime(ZONES[zone], 1, 1, 0, 30, tzinfo=UTC) + timedelta(days=begin)
    made = Recurrence(rule_of(text if most is None else f"{text};COUNT={most}"), start, ZoneInfo(zone))
    first = made.local.date() + timedelta(days=later)
    last = first + timedelta(days=days)
    whole = list(made.begins(made.local.date(), made.local.date() + HORIZON))
    there = made.zone
    assert list(made.begins(first, last)) == [
        at for at in whole if first <= at.astimezone(there).date() <= last
    ]


def test_a_rule_of_long_ago_costs_what_one_of_today_does() -> None:
    looked: list[date] = []

    class Counting(Recurrence):
        def _at(self, wall: datetime) -> datetime | None:
            looked.append(wall.date())
            return super()._at(wall)

    old = Counting(rule_of("FREQ=DAILY"), datetime(1980, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert len(list(old.begins(date(2026, 1, 1), date(2026, 1, 31)))) == 31
    assert len(looked) <= 33


def test_what_was_entered_before_goes_on_as_it_did() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 3, 28, 2, 30, tzinfo=berlin).astimezone(UTC)
    found = recurrence_before.begins("FREQ=DAILY;COUNT=3", start, berlin, date(2026, 3, 1), date(2026, 5, 1))
    assert [at.isoformat() for at in found] == [
        "2026-03-28T01:30:00+00:00", "2026-03-29T01:30:00+00:00", "2026-03-30T00:30:00+00:00",
    ]  # fmt: skip
    until = recurrence_before.begins(
        "FREQ=DAILY;UNTIL=20260330", start, berlin, date(2026, 3, 1), date(2026, 5, 1)
    )
    assert len(list(until)) == 2
