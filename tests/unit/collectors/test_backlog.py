"""What was refused is asked again a bounded number of times, and only what is bad of it is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.collectors.backlog import Backlog, Piece

STEP = 15.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def drained(backlog: Backlog, bad: set[float]) -> tuple[set[float], set[float], int]:
    """Instants that were had, those that were given up, and how often was asked."""
    had: set[float] = set()
    lost: set[float] = set()
    asked = 0
    while (found := backlog.next(3600)) is not None:
        subject, piece = found
        asked += 1
        instants = {piece.first + STEP * n for n in range(round((piece.last - piece.first) / STEP) + 1)}
        if not instants & bad:
            had |= instants
        elif backlog.refuse(subject, piece, "bad"):
            lost |= instants
    return had, lost, asked


@given(st.integers(1, 400), st.sets(st.integers(0, 399), max_size=5))
def test_of_what_was_missed_exactly_what_is_bad_is_given_up(count: int, bad: set[int]) -> None:
    backlog = Backlog(STEP)
    for n in range(count):
        assert backlog.missed("x", n * STEP, n * STEP, NOW, "bad") == []
    assert backlog.next(3600) is None  # it is refused still
    backlog.answered("x")
    broken = {n * STEP for n in bad if n < count}
    had, lost, asked = drained(backlog, broken)
    assert lost == broken
    assert had == {n * STEP for n in range(count)} - broken
    assert asked <= 2 + count // 200 + 2 * 10 * len(broken)
    assert backlog.next(3600) is None


def test_what_is_refused_is_asked_again_after_pauses_that_grow_to_five_minutes() -> None:
    backlog, now, asked = Backlog(STEP), NOW, []
    for _ in range(200):
        if backlog.is_due("x", now):
            asked.append((now - NOW).total_seconds())
            backlog.missed("x", now.timestamp(), now.timestamp(), now, "bad")
        else:
            backlog.missed("x", now.timestamp(), now.timestamp(), now, None)
        now += timedelta(seconds=STEP)
    pauses = [b - a for a, b in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[0] == STEP
    assert pauses[-1] <= 300
    assert backlog.refused == {"x": "bad"}
    backlog.answered("x")
    assert backlog.refused == {}
    had, lost, _ = drained(backlog, set())
    assert len(had) == 200
    assert not lost


def test_what_nobody_was_there_to_answer_is_asked_again() -> None:
    backlog = Backlog(STEP)
    backlog.missed("x", 0, 30, NOW, "bad")
    backlog.answered("x")
    found = backlog.next(3600)
    assert found == ("x", Piece(0, 30))
    backlog.put_back(*found)
    assert backlog.next(3600) == found
    assert backlog.next(3600) is None
