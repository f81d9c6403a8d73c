"""Silences: whom they are about, when they are on, and what is told while they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.errors import ValidationFailed
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.silences import Matcher, Silence
from ecpmon.sla.silences import (
    LONGEST,
    check,
    checked,
    counts,
    is_on,
    is_owed,
    matches,
    on_until,
    said,
    silencing,
    state_of,
    times,
)

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = AlertRule("r1", "t", "cpu high", RuleKind.THRESHOLD, "cpu > 80", 0, Severity.WARNING)
ONCE = Silence("s", Matcher(), T0, HOUR, "upgrade", "ann", T0, ends_at=T0 + HOUR)
NIGHTLY = replace(ONCE, rrule="FREQ=DAILY", time_zone="Europe/Berlin", ends_at=None)


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_who_is_told_that_it_is_over_is_exactly_who_was_told_that_it_fires(
    story: list[tuple[bool, bool]],
) -> None:
    """`story`: whether something happens (else what is owed may be told), and whether it is silenced."""
    fires = owed = knows = False
    for happens, silenced in story:
        if happens:
            fires = not fires
            becomes = said(fires=fires, again=False, owed=owed, silenced=silenced)
            if fires:
                assert becomes.told is not silenced
                assert becomes.owed is silenced
                knows = becomes.told
            else:
                assert becomes.told is knows
                assert not becomes.owed
                knows = False
            owed = becomes.owed
        elif owed and not silenced:
            becomes = said(fires=True, again=False, owed=True, silenced=False)
            assert becomes.told
            owed, knows = becomes.owed, True
        # Nobody is left believing in an alert that is over, and who is owed one does not know of it.
        assert not (knows and not fires)
        assert not (knows and owed)
        assert owed is (fires and not knows)


@given(owed=st.booleans(), silenced=st.booleans())
def test_that_a_rule_has_calmed_while_it_fires_changes_nobodys_knowledge_in_a_silence(
    owed: bool, silenced: bool
) -> None:
    becomes = said(fires=True, again=True, owed=owed, silenced=silenced)
    assert becomes.told is not silenced
    assert becomes.owed is (owed and silenced)


@given(minute=st.integers(-200, 200), ends=st.none() | st.integers(-100, 100))
def test_it_is_on_just_when_one_of_its_times_is(minute: int, ends: int | None) -> None:
    now = T0 + timedelta(minutes=minute)
    for silence in (ONCE, NIGHTLY):
        if ends is not None:
            silence = replace(silence, ends_at=T0 + timedelta(minutes=ends))
        around = times(silence, T0 - timedelta(days=2), T0 + timedelta(days=2))
        assert is_on(silence, now) is any(i.start <= now < i.end for i in around)
        assert (on_until(silence, now) is None) is not is_on(silence, now)


def test_what_recurs_keeps_the_wall_clock_of_its_zone() -> None:
    # Summer time begins on the 29th of March: 10:00 in Berlin is an hour earlier in UTC.
    assert is_on(NIGHTLY, datetime(2026, 3, 28, 9, 30, tzinfo=UTC))
    assert not is_on(NIGHTLY, datetime(2026, 3, 29, 9, 30, tzinfo=UTC))
    assert on_until(NIGHTLY, datetime(2026, 3, 29, 8, 30, tzinfo=UTC)) == datetime(2026, 3, 29, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (Matcher(), True),
        (Matcher(rule_id="r1"), True),
        (Matcher(rule_id="r2"), False),
        (Matcher(alerts=("slo_*", "cpu*")), True),
        (Matcher(alerts=("cpu",)), False),
        (Matcher(severities=(Severity.WARNING, Severity.PAGE)), True),
        (Matcher(severities=(Severity.PAGE,)), False),
        (Matcher(alerts=("cpu*",), severities=(Severity.PAGE,)), False),
    ],
)
def test_all_that_a_matcher_says_must_hold(matcher: Matcher, fits: bool) -> None:
    assert matches(matcher, RULE) is fits
    silence = replace(ONCE, matcher=matcher)
    assert (silencing([silence], RULE) is silence) is fits


def test_states() -> None:
    assert [state_of(ONCE, T0 + n * HOUR) for n in (-1, 0, 1)] == ["pending", "active", "expired"]
    assert [state_of(NIGHTLY, T0 + n * HOUR) for n in (-1, 0, 1)] == ["pending", "active", "pending"]
    assert state_of(replace(NIGHTLY, ends_at=T0 + HOUR), T0 + 2 * HOUR) == "expired"


def test_one_that_nobody_can_read_silences_nothing() -> None:
    assert not counts(replace(NIGHTLY, rrule="FREQ=NEVER"), T0)
    assert not counts(replace(NIGHTLY, time_zone="Nowhere/Land"), T0)


@pytest.mark.parametrize(
    ("silence", "field"),
    [
        (replace(ONCE, duration=timedelta(0)), "end"),
        (replace(ONCE, duration=LONGEST + HOUR), "end"),
        (replace(ONCE, start=T0 - 2 * HOUR), "end"),
        (replace(ONCE, start=T0 + timedelta(days=400)), "start"),
        (replace(NIGHTLY, start=T0 - timedelta(days=400)), "start"),
        (replace(NIGHTLY, time_zone="Nowhere/Land"), "time_zone"),
        (replace(NIGHTLY, rrule="FREQ=HOURLY"), "rrule"),
        (replace(NIGHTLY, rrule="FREQ=DAILY;COUNT=1001"), "rrule"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_field(silence: Silence, field: str) -> None:
    check(ONCE, T0)
    check(NIGHTLY, T0)
    with pytest.raises(ValidationFailed) as refused:
        check(silence, T0)
    assert refused.value.details["fields"][0]["field"] == field


def test_an_alert_is_owed_only_as_long_as_silences_have_been_on_ever_since_it_began() -> None:
    began, morning, night = T0 + HOUR / 2, T0 + 2 * HOUR, T0 + 24.5 * HOUR
    assert is_owed([NIGHTLY], RULE, began, T0 + HOUR * 0.9)
    assert not is_owed([NIGHTLY], RULE, began, morning)
    # It was told in the morning, and goes on being told when the silence recurs.
    assert not is_owed([NIGHTLY], RULE, began, night)
    second = replace(ONCE, start=T0 + HOUR, duration=HOUR, ends_at=morning)
    assert is_owed([ONCE, second], RULE, began, T0 + HOUR * 1.5)
    always = replace(NIGHTLY, duration=24 * HOUR)
    assert is_owed([always], RULE, began, T0 + 100 * 24 * HOUR)


def test_an_alert_that_was_told_before_a_silence_was_made_is_not_owed_by_where_that_begins() -> None:
    afterwards = replace(ONCE, created_at=T0 + HOUR / 2)
    assert not is_owed([afterwards], RULE, T0 + HOUR / 4, T0 + HOUR * 0.75)
    assert is_owed([afterwards], RULE, T0 + HOUR / 2, T0 + HOUR * 0.75)


@pytest.mark.parametrize(
    ("rrule", "days"),
    [
        ("FREQ=DAILY;COUNT=5", 4), ("FREQ=DAILY;UNTIL=20260305T090000Z", 3), ("FREQ=WEEKLY;COUNT=3", 14),
        ("FREQ=DAILY;UNTIL=20260305T100000", 3), ("FREQ=DAILY", None), ("FREQ=YEARLY;COUNT=90", None),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", None),
    ],
)  # fmt: skip
def test_one_that_recurs_so_often_ends_with_the_last_time(rrule: str, days: int | None) -> None:
    made = checked(replace(NIGHTLY, rrule=rrule), T0)
    assert made.ends_at == (None if days is None else T0 + HOUR + timedelta(days=days))
    assert state_of(made, T0 + timedelta(days=1)) == "pending" if "WEEKLY" in rrule else "active"
    if made.ends_at is not None:
        assert is_on(made, made.ends_at - HOUR / 2)
        with pytest.raises(ValidationFailed, match="silence nothing"):
            checked(replace(NIGHTLY, rrule=rrule), made.ends_at)


def test_of_one_that_recurs_the_hour_that_comes_twice_and_the_one_that_is_skipped_are_no_end_too_early() -> (
    None
):
    for until, day in (("20261025T023000", datetime(2026, 10, 24, tzinfo=UTC)),
                       ("20260329T023000", datetime(2026, 3, 27, tzinfo=UTC))):  # fmt: skip
        silence = replace(
            ONCE, start=day, rrule=f"FREQ=DAILY;UNTIL={until}", time_zone="Europe/Berlin", ends_at=None
        )
        made = checked(silence, day)
        ahead = (day, day + timedelta(days=9))
        assert times(made, *ahead) == times(silence, *ahead)
