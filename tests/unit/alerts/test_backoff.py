"""Retries: growing pauses, the receiver's wish, and the end after a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.backoff import Backoff

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(hours=24)
BACKOFF = Backoff()


def half() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 2.5), (1, 5), (2, 10), (9, 1280), (10, 1800), (11, 1800), (10_000, 1800)]
)
def test_pauses_grow_up_to_the_longest(attempt: int, seconds: float) -> None:
    assert BACKOFF.delay(attempt, half) == timedelta(seconds=seconds)


def test_full_jitter_within_bounds() -> None:
    assert BACKOFF.delay(3, lambda: 0.0) == BACKOFF.shortest
    assert BACKOFF.delay(3, lambda: 0.999) < timedelta(seconds=40)


def again(attempt: int, after: timedelta, retry_after: timedelta | None = None) -> timedelta | None:
    """Pause after a try that failed `after` its creation."""
    now = T0 + after
    at = BACKOFF.next_attempt(attempt=attempt, created_at=T0, now=now, random=half, retry_after=retry_after)
    return None if at is None else at - now


@pytest.mark.parametrize(
    ("sentence", "attempt", "after", "retry_after", "expected"),
    [
        ("the first failure", 0, timedelta(0), None, timedelta(seconds=2.5)),
        ("the receiver wants longer", 0, timedelta(0), timedelta(minutes=2), timedelta(minutes=2)),
        ("the receiver wants less", 9, timedelta(0), timedelta(seconds=1), timedelta(seconds=1280)),
        ("the last try is at the deadline", 30, DAY - timedelta(minutes=1), None, timedelta(minutes=1)),
        ("after a day it is given up", 30, DAY, None, None),
        ("waited a day for its first try", 0, 2 * DAY, None, timedelta(seconds=2.5)),
        ("and for its second", 1, 2 * DAY, None, timedelta(seconds=5)),
        ("but not for ever", 2, 2 * DAY, None, None),
    ],
)
def test_next_attempt(
    sentence: str, attempt: int, after: timedelta, retry_after: timedelta | None, expected: timedelta | None
) -> None:
    assert again(attempt, after, retry_after) == expected, sentence


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 3600))
def test_every_delivery_ends_within_a_day(dice: float, wish: float) -> None:
    now, attempt = T0, 0
    while (
        at := BACKOFF.next_attempt(
            attempt=attempt, created_at=T0, now=now, random=lambda: dice, retry_after=timedelta(seconds=wish)
        )
    ) is not None:
        assert at > now
        now, attempt = at, attempt + 1
        if attempt > 200:  # low dice make many tries, each at least a second later
            return
    assert now <= T0 + DAY
