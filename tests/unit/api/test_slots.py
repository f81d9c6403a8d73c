"""Slots: everybody is due once, not before its time, and hardly after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.api.slots import SECONDS, Slots

_times = st.floats(0, 100, allow_nan=False)


def test_who_is_due_together_comes_together_and_only_once() -> None:
    slots: Slots[str] = Slots()
    for name, at in (("a", 10.01), ("b", 10.04), ("c", 10.11)):
        slots.put(name, at)
    assert slots.take(10.0) == []
    due = slots.next()
    assert due is not None
    assert slots.take(due) == ["a", "b"]
    assert slots.take(11) == ["c"]
    assert (slots.take(1000), slots.next(), len(slots)) == ([], None, 0)


def test_who_is_put_off_is_not_due_before_and_who_is_dropped_never() -> None:
    slots: Slots[str] = Slots()
    for name in ("a", "b", "c"):
        slots.put(name, 1)
    slots.put("a", 5)
    slots.put("b", 5)
    slots.put("b", 2)
    slots.drop("c")
    slots.drop("nobody")
    assert slots.take(1.5) == []
    assert slots.take(4) == ["b"]
    assert slots.take(5.1) == ["a"]


def test_what_is_no_longer_meant_is_not_kept() -> None:
    slots: Slots[int] = Slots()
    for number in range(1000):
        slots.put(number, 3600.0)
        slots.put(number, 1.0)
        slots.drop(number)
    assert sum(map(len, slots._slots.values())) == 0
    assert len(slots._order) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.one_of(_times, st.none())) | st.tuples(st.just("take"), _times),
        max_size=60,
    )
)
def test_everybody_is_due_at_the_last_time_he_was_put_to(steps: list[tuple[int | str, float | None]]) -> None:
    slots: Slots[int] = Slots()
    asked: dict[int, float] = {}
    clock = 0.0
    for key, at in steps:
        if key == "take":
            clock = max(clock, at or 0.0)
            taken = slots.take(clock)
            assert len(set(taken)) == len(taken)
            for each in taken:
                assert asked.pop(each) <= clock
            assert all(time > clock - SECONDS for time in asked.values())
        elif at is None:
            slots.drop(int(key))
            asked.pop(int(key), None)
        else:
            slots.put(int(key), at)
            asked[int(key)] = at
    assert set(slots.take(1000)) == asked.keys()
