"""What is held for a moment is never told for longer, nor after it was dropped."""

from __future__ import annotations

import pytest

from ecpmon import memory
from ecpmon.memory import Interned, Memory


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(memory, "monotonic", lambda: now[0])
    return now


def test_an_entry_is_told_for_its_time_and_no_longer(clock: list[float]) -> None:
    held: Memory[str, int] = Memory(seconds=1.0)
    held.put("a", 1, held.mark())
    clock[0] += 0.9
    assert held.get("a") == 1
    clock[0] += 0.1
    assert held.get("a") is None


@pytest.mark.parametrize("how", ["drop", "clear"])
def test_what_was_being_looked_up_when_something_changed_is_not_held(how: str) -> None:
    held: Memory[str, int] = Memory()
    mark = held.mark()
    if how == "drop":
        held.drop("a")
    else:
        held.clear()
    held.put("a", 1, mark)
    assert held.get("a") is None


def test_dropping_one_leaves_the_others() -> None:
    held: Memory[str, int] = Memory()
    for name in "ab":
        held.put(name, 1, held.mark())
    held.drop("a")
    assert (held.get("a"), held.get("b")) == (None, 1)
    held.clear()
    assert len(held) == 0


def test_there_is_an_end_to_what_is_held() -> None:
    held: Memory[int, int] = Memory(most=3)
    for n in range(5):
        held.put(n, n, held.mark())
    assert [held.get(n) for n in range(5)] == [None, None, 2, 3, 4]


def test_interned_values_are_bounded_by_the_parts_of_their_keys() -> None:
    made: Interned[str, object] = Interned(most_parts=5)
    first = made.put(("a", "b"), object())
    assert made.get(("a", "b")) is first
    made.put(("c", "d"), object())
    made.put(("e", "f"), object())
    assert made.get(("a", "b")) is None
    assert made.get(("c", "d")) is not None
    large = made.put(tuple("ghijklmno"), object())
    assert made.get(tuple("ghijklmno")) is large


def test_while_changes_are_heard_of_an_entry_is_told_for_longer_but_not_for_ever(clock: list[float]) -> None:
    held: Memory[str, int] = Memory(seconds=1.0)
    heard = True
    held.trusted = lambda: heard
    held.put("a", 1, held.mark())
    clock[0] += memory.LONG_SECONDS - 1
    assert held.get("a") == 1
    heard = False
    assert held.get("a") is None, "nothing has been heard for a while"
    heard = True
    assert held.get("a") == 1
    clock[0] += 1
    assert held.get("a") is None


def test_what_was_looked_up_while_nothing_was_heard_is_held_for_a_moment_only(clock: list[float]) -> None:
    """Its change may have been told before we began to listen."""
    held: Memory[str, int] = Memory(seconds=1.0)
    mark = held.mark()
    held.trusted = lambda: True
    held.put("a", 1, mark)
    clock[0] += 0.5
    assert held.get("a") == 1
    clock[0] += 0.5
    assert held.get("a") is None
