"""Stretches without evidence that are asked about once more, as a sender may have been late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ecpmon.collectors.holes import Holes

NOW = datetime(2026, 3, 1, tzinfo=UTC)
T = NOW.timestamp()
MINUTE = timedelta(minutes=1)


def ranges(holes: Holes, now: datetime, longest: float = 3600) -> list[tuple[str, float, float]]:
    return [(h.tenant, h.first - T, h.last - T) for h in holes.due(longest, now)]


def test_a_hole_is_asked_about_when_evidence_comes_back_and_five_minutes_later() -> None:
    holes = Holes(37.5, MINUTE)
    holes.seen("a", [T, T + 15, T + 30], NOW)
    assert ranges(holes, NOW) == []
    holes.seen("a", [T + 300], NOW)
    assert ranges(holes, NOW) == [("a", 30, 300)]
    assert ranges(holes, NOW + 4 * MINUTE) == []
    assert ranges(holes, NOW + 5 * MINUTE) == [("a", 30, 300)]
    assert ranges(holes, NOW + 60 * MINUTE) == []


def test_holes_of_many_tenants_are_one_question_and_two_questions_have_a_pause_between() -> None:
    holes = Holes(37.5, MINUTE)
    for name in "abc":
        holes.seen(name, [T, T + 100], NOW)
    assert [name for name, _, _ in ranges(holes, NOW)] == ["a", "b", "c"]
    holes.seen("a", [T + 200], NOW)
    assert ranges(holes, NOW + MINUTE / 2) == []
    assert ranges(holes, NOW + MINUTE) == [("a", 100, 200)]


def test_a_long_hole_is_asked_about_part_by_part_and_no_further_back_than_a_day() -> None:
    holes = Holes(37.5, MINUTE)
    holes.seen("a", [T, T + 3 * 86_400], NOW)
    found, now = [], NOW
    for _ in range(60):
        found += ranges(holes, now)
        now += MINUTE
    assert found[0][1:] == (2 * 86_400, 2 * 86_400 + 3600)
    first_pass = [(first, last) for _, first, last in found]
    assert max(last for _, last in first_pass) == 3 * 86_400
    assert all(last - first <= 3600 for first, last in first_pass)
