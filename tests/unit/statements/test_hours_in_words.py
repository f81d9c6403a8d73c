"""A statement says the service hours, in the tenant's language."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.model.tenants import Language
from ecpmon.statements.hours import hours_line
from ecpmon.statements.words import Words

OFFICE = {
    "weekly": {
        **{day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
        "sat": ["22:00-06:00"],
    },
    "holidays": ["2026-02-17", "2026-03-02", "2026-03-04"],
}


def march(hours: dict[str, Any] | None, days: int = 31) -> dict[str, Any]:
    return {"contract": {"hours": hours}, "days": [{"date": f"2026-03-{d + 1:02}"} for d in range(days)]}


@pytest.mark.parametrize(
    ("language", "line"),
    [
        (Language.EN, "Monday–Friday 08:00–18:00; Saturday 22:00–06:00; not on 2026-03-02, 2026-03-04"),
        (Language.KO, "월요일부터 금요일까지 08:00–18:00; 토요일 22:00–06:00; 휴무: 2026-03-02, 2026-03-04"),
    ],
)
def test_hours_are_said_with_the_holidays_of_the_period(language: Language, line: str) -> None:
    assert hours_line(march(OFFICE), Words(language)) == line


def test_a_contract_that_counts_every_hour_says_none() -> None:
    assert hours_line(march(None), Words(Language.EN)) is None
    assert hours_line({"contract": {}, "days": []}, Words(Language.EN)) is None


def test_many_holidays_are_counted() -> None:
    closed = {**OFFICE, "holidays": [f"2026-03-{d + 1:02}" for d in range(25)]}
    line = hours_line(march(closed), Words(Language.EN))
    assert line is not None
    assert line.endswith("not on 25 holidays")
    assert "not on" not in (hours_line(march({"weekly": OFFICE["weekly"]}), Words(Language.EN)) or "")
