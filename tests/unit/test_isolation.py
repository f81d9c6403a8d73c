"""One tenant's trouble stops no other: who fails waits, the others are done together again, and it heals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.errors import DatabaseUnavailable, NoLongerLeader, PermanentError
from ecpmon.isolation import Isolation, is_due, reason_of
from tests.quarantine import FakeQuarantine

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Work:
    """Fails for who is `sick`; remembers for whom it was asked."""

    def __init__(self, *sick: str, error: type[Exception] = OverflowError) -> None:
        self.sick = set(sick)
        self.error = error
        self.asked: list[list[str]] = []

    async def __call__(self, names: list[str]) -> dict[str, str]:
        self.asked.append(names)
        if bad := self.sick & set(names):
            raise self.error(f"{bad} is out of range")
        return {name: name.upper() for name in names}


@pytest.fixture
def quarantine() -> FakeQuarantine:
    return FakeQuarantine()


@pytest.fixture
def isolation(quarantine: FakeQuarantine) -> Isolation:
    return Isolation(quarantine, "job")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def test_everybody_is_done_at_once_while_nobody_fails(isolation: Isolation) -> None:
    work = Work()
    assert await isolation.together(["a", "b"], work, NOW) == {"a": "A", "b": "B"}
    assert work.asked == [["a", "b"]]


async def test_who_fails_is_found_and_left_out_until_its_turn_comes_and_then_heals(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    work = Work("b")
    assert await isolation.together("abc", work, NOW) == {"a": "A", "c": "C"}
    assert quarantine.rows["job", "b", ""].reason == "OverflowError: {'b'} is out of range"
    work.asked.clear()
    assert await isolation.together("abc", work, after(5)) == {"a": "A", "c": "C"}
    assert work.asked == [["a", "c"]]
    work.asked.clear()
    await isolation.together("abc", work, after(15))
    assert work.asked == [["a", "c"], ["b"]]
    again = quarantine.rows["job", "b", ""]
    assert (again.tries, again.next_at) == (2, after(45))
    work.sick.clear()
    assert await isolation.together("abc", work, after(45)) == {"a": "A", "b": "B", "c": "C"}
    assert quarantine.rows == {}


async def test_who_is_left_out_of_an_answer_is_tried_alone(isolation: Isolation) -> None:
    async def work(names: list[str]) -> dict[str, int]:
        return {name: len(names) for name in names if name != "b" or len(names) == 1}

    assert await isolation.together("abc", work, NOW) == {"a": 3, "c": 3, "b": 1}


async def test_nobody_is_quarantined_while_something_is_away(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    quarantine.answers = False
    with pytest.raises(DatabaseUnavailable):
        await isolation.together("abc", Work("b", error=DatabaseUnavailable), NOW)
    assert quarantine.rows == {}


async def test_a_statement_that_takes_too_long_is_its_tenants_trouble_when_the_database_answers_others(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    work = Work("b", error=DatabaseUnavailable)
    assert await isolation.together("abc", work, NOW) == {"a": "A", "c": "C"}
    assert set(quarantine.rows) == {("job", "b", "")}


async def test_what_fails_for_everybody_is_nobodys_own_trouble(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    with pytest.raises(PermanentError):
        await isolation.together("abc", Work(*"abc", error=PermanentError), NOW)
    assert quarantine.rows == {}


async def test_two_that_fail_again_and_again_do_not_fail_the_job(isolation: Isolation) -> None:
    work = Work("a", "b")
    await isolation.together("abc", work, NOW)
    for seconds in (15, 60, 200):
        assert await isolation.one_by_one("abc", work, after(seconds)) == {"c": "C"}


async def test_a_clock_that_stepped_back_keeps_nobody_waiting(isolation: Isolation) -> None:
    work = Work("b")
    await isolation.together("abc", work, after(86_400))
    work.sick.clear()
    assert set(await isolation.together("abc", work, NOW)) == set("abc")


async def test_parts_of_a_tenant_are_noted_once_per_turn_and_heal_alone(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    part, other = ("a", "rule x"), ("a", "rule y")
    await isolation.settle_parts({part: "why", other: "why"}, [], NOW)
    await isolation.settle_parts({part: "why"}, [other], after(1))
    assert {key[1:]: t.tries for key, t in quarantine.rows.items()} == {part: 1}
    assert await isolation.together("ab", Work(), after(2)) == {"a": "A", "b": "B"}
    await isolation.settle_parts({}, [part], after(3))
    assert quarantine.rows == {}


def test_reasons_are_storable_lines() -> None:
    assert reason_of(ValueError("half \ud800 and nul \x00")) == "ValueError: half ? and nul \ufffd"
    assert len(reason_of(ValueError("x" * 10_000))) == 300


@pytest.mark.parametrize(("ahead", "due"), [(-1, True), (0, True), (1, False), (3600, False), (3601, True)])
def test_whose_turn_it_is(ahead: float, due: bool) -> None:
    assert is_due(after(ahead), NOW) is due


async def test_a_term_that_is_over_is_nobodys_own_trouble(
    isolation: Isolation, quarantine: FakeQuarantine
) -> None:
    work = Work("a", "b", error=NoLongerLeader)
    with pytest.raises(NoLongerLeader):
        await isolation.together("ab", work, NOW)
    assert work.asked == [["a", "b"]], "nobody is tried alone"
    with pytest.raises(NoLongerLeader):
        await isolation.one_by_one("ab", work, NOW)
    assert quarantine.rows == {}
