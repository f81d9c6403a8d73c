"""`ecpmon.records.dataclass` beside the standard library's, of which it is a slower beginning and the same end."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

from ecpmon import records
from ecpmon.records import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = field(kw_only=True)


@dataclass(slots=True)
class Open:
    x: int

    def __post_init__(self) -> None:
        self.x *= 2


@dataclass(frozen=True, slots=True, order=True)
class Ranked:
    rank: int
    what: str


@dataclass(slots=True, eq=False)
class Alone:
    x: int


@dataclass(frozen=True, slots=True)
class Own:
    x: int

    def __repr__(self) -> str:
        return "mine"

    def __hash__(self) -> int:
        return 7


def of(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same class by another decorator."""

    @make(frozen=True, slots=True, order=True)
    class Both:
        a: int
        b: str = "b"
        c: dict[str, int] = field(default_factory=dict, repr=False, hash=False)
        d: int = field(default=4, kw_only=True)

    return Both


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}), ((1, "x"), {}), ((1, "x", {"k": 1}), {"d": 5}), ((), {"a": 3}),
    ((1, 2, 3, 4), {}), ((), {}), ((1,), {"e": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("args", "named"), CALLS)
def test_a_record_is_made_and_shown_and_compared_as_the_standard_library_does(
    args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    told: list[Any] = []
    for make in (dataclasses.dataclass, dataclass):
        kind = of(make)
        try:
            one = kind(*args, **named)
        except TypeError as error:
            told.append(str(error))
            continue
        other = replace(one, a=9)
        told.append(
            (repr(one), asdict(one), hash(one), one == kind(*args, **named), one == other, one < other)
        )
    assert told[0] == told[1]


def test_what_is_frozen_cannot_be_changed_and_has_no_room_for_more() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    assert not hasattr(point, "__dict__")


def test_a_record_goes_on_from_another() -> None:
    named = Named(1, name="n")
    assert (named.x, named.y, named.tags, named.name) == (1, 2, [], "n")
    assert [each.name for each in fields(Named)] == ["x", "y", "tags", "name"]
    assert repr(named) == "Named(x=1, y=2, tags=[], name='n')"
    assert Point(1) == Point(1, tags=["other"]) != named


def test_a_record_that_is_not_frozen_has_no_hash_and_finishes_its_making() -> None:
    open_ = Open(2)
    open_.x += 1
    assert open_ == Open(2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        hash(open_)


def test_order_comes_of_the_fields() -> None:
    assert sorted([Ranked(2, "a"), Ranked(1, "b"), Ranked(1, "a")])[0] == Ranked(1, "a")
    assert Ranked(1, "a") <= Ranked(1, "a") > Ranked(0, "z")


def test_equality_that_was_not_asked_for_is_identity() -> None:
    one = Alone(1)
    assert one != Alone(1)
    assert one in {one}


def test_methods_of_ones_own_are_kept() -> None:
    assert repr(Own(1)) == "mine"
    assert hash(Own(1)) == 7
    assert Own(1) == Own(1)


@pytest.mark.parametrize("one", [Point(1, 3, ["t"]), Named(1, name="n"), Open(1), Ranked(1, "r")], ids=repr)
def test_a_record_is_packed_and_copied(one: object) -> None:
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one


def test_a_record_matches_by_position() -> None:
    match Point(1, 5):
        case Point(1, y):
            assert y == 5
        case _:
            pytest.fail("it did not match")


def test_after_the_first_object_the_methods_are_those_of_the_standard_library() -> None:
    kind = of(dataclass)
    before = kind.__init__
    kind(1)
    assert kind.__init__ is not before
    theirs = of(dataclasses.dataclass)
    assert kind.__init__.__code__.co_code == theirs.__init__.__code__.co_code


def test_a_front_compiles_the_methods_of_few_classes_before_it_serves() -> None:
    ask = (
        "import ecpmon.records as records\nmade, real = [], records._like\n"
        "records._like = lambda cls, *a, **k: (made.append(cls.__name__), real(cls, *a, **k))[1]\n"
        "import ecpmon.settings, ecpmon.app\nprint(*made)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert 0 < len(done.stdout.split()) <= 20, done.stdout


def test_nobody_here_has_a_class_compiled_when_its_module_is_read() -> None:
    root = Path(records.__file__).parent
    taken = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path != Path(records.__file__)
        and re.search(
            r"^from dataclasses import .*\bdataclass\b|dataclasses\.dataclass", path.read_text(), re.M
        )
    ]
    assert not taken, "take `dataclass` from ecpmon.records"
