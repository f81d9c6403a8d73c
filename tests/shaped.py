"""Answers held against a shape that a document shows: what it names is there and of its kind; more may be."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final


class _Time:
    def __repr__(self) -> str:
        return "a time in UTC"


# Texts such as "2026-01-20T14:30:00Z".
TIME: Final = _Time()


def assert_shaped(found: Any, shape: Any, where: str = "answer") -> None:
    """`shape`: a type, a tuple of possible shapes, a set of possible values, None, `TIME`, a list of one shape or of
    none (any list), or a mapping from the names that have to be there to theirs."""
    if isinstance(shape, tuple):
        assert any(_fits(found, each) for each in shape), f"{where} is {found!r} and none of {shape}"
    elif isinstance(shape, dict):
        assert isinstance(found, dict), f"{where} is {found!r} and no object"
        assert shape.keys() <= found.keys(), f"{where} lacks {sorted(shape.keys() - found.keys())}"
        for name, inner in shape.items():
            assert_shaped(found[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(found, list), f"{where} is {found!r} and no list"
        for place, each in enumerate(found if shape else []):
            assert_shaped(each, shape[0], f"{where}[{place}]")
    else:
        assert _is_one(found, shape), f"{where} is {found!r} and not {shape!r}"


def _fits(found: Any, shape: Any) -> bool:
    try:
        assert_shaped(found, shape)
    except AssertionError:
        return False
    return True


def _is_one(found: Any, shape: Any) -> bool:
    if shape is TIME:
        return isinstance(found, str) and found.endswith("Z") and datetime.fromisoformat(found).year >= 2024
    if isinstance(shape, set):
        return found in shape
    if shape is float:
        return isinstance(found, int | float) and not isinstance(found, bool)
    if shape is int:
        return isinstance(found, int) and not isinstance(found, bool)
    return found is None if shape is None else isinstance(found, shape)
