"""No regular expression of ours can be made to read the same text again and again: texts come from strangers, and the
interpreter's lock is held meanwhile.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _compiler as compiler  # type: ignore[attr-defined]
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from ecpmon.model.tenants import parse_milliseconds, parse_percentage
from tests.cost import at_most

ROOT = Path(__file__).parents[2]
CALLS = {"compile", "fullmatch", "match", "search", "sub", "split", "findall", "finditer"}
REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT)
CHARACTERS = [chr(number) for number in range(256)]


def patterns() -> Iterator[tuple[str, str, int]]:
    """(where, pattern, flags) of every call of `re` whose pattern is known without its being called."""
    for path in sorted((ROOT / "ecpmon").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_of_re(node.func)]
        if not calls:
            continue
        names = vars(importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))
        for call in calls:
            try:
                pattern, *rest = (_value(each, names) for each in (call.args[0], *_flags(call)))
            except NameError:
                continue  # of what its function is given
            text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
            yield f"{path.relative_to(ROOT)}:{call.lineno}", text, sum(rest)


def _is_of_re(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in CALLS
    )


def _flags(call: ast.Call) -> list[ast.expr]:
    named = [each.value for each in call.keywords if each.arg == "flags"]
    is_compile = isinstance(call.func, ast.Attribute) and call.func.attr == "compile"
    return named or (call.args[1:2] if is_compile else [])


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "", "eval"), names)


def ambiguous(pattern: str, flags: int = 0) -> list[str]:
    """What in it can share out one stretch of text in as many ways as that is long, or in more."""
    return list(_in_sequence(parser.parse(pattern, flags)))


def _in_sequence(sequence: Any) -> Iterator[str]:
    before: set[str] = set()  # what endless repeats take that nothing has closed yet
    for kind, value in sequence:
        node = _alone(sequence, kind, value)
        endless = kind in REPEATS and value[1] == constants.MAXREPEAT
        if endless:
            taken = _taken(value[2])
            if before & taken:
                yield f"{kind} after another takes the same: {sorted(before & taken)[:5]}"
            if _is_endless(value[2]):
                yield "an endless repeat of nothing but an endless repeat"
            before = before | taken if value[0] == 0 else taken
        elif node.getwidth()[0] > 0:
            before = set()
        yield from _inside(kind, value)


def _is_endless(sequence: Any) -> bool:
    while len(sequence) == 1:
        kind, value = sequence[0]
        if kind in REPEATS:
            return bool(value[1] == constants.MAXREPEAT)
        if kind is not constants.SUBPATTERN:
            return False
        sequence = value[-1]
    return False


def _inside(kind: Any, value: Any) -> Iterator[str]:
    if kind in REPEATS:
        yield from _in_sequence(value[2])
    elif kind is constants.SUBPATTERN:
        yield from _in_sequence(value[-1])
    elif kind is constants.BRANCH:
        for branch in value[1]:
            yield from _in_sequence(branch)


def _alone(sequence: Any, kind: Any, value: Any) -> Any:
    return parser.SubPattern(sequence.state, [(kind, value)])


def _taken(sequence: Any) -> set[str]:
    """The characters that it takes by itself; of what is longer than one character none."""
    if sequence.getwidth() != (1, 1):
        return set()
    one = compiler.compile(sequence)
    return {each for each in CHARACTERS if one.fullmatch(each)}


def test_no_pattern_reads_a_text_again_and_again() -> None:
    found = list(patterns())
    assert len(found) > 60
    assert {where: said for where, text, flags in found if (said := ambiguous(text, flags))} == {}


@pytest.mark.parametrize(
    "pattern",
    [r"\s*a?\s*", r"\s*(\d+(?:\.\d+)?)\s*%?\s*", r"x=\s*([^=]*)\s*", r"(?:a\s*(?:b)?\s*)c", r"(?:[a-z]+)+!"],
)
def test_one_that_does_is_found(pattern: str) -> None:
    assert ambiguous(pattern)


@pytest.mark.parametrize(
    "pattern", [r"\s*\d+\s*%", r"[a-z]([-a-z]*[a-z])?", r"\d+(?:\.\d*)?", r"[ \t]*,[ \t]*"]
)
def test_one_that_does_not_is_not(pattern: str) -> None:
    assert ambiguous(pattern) == []


@pytest.mark.parametrize("read", [parse_percentage, parse_milliseconds])
def test_a_target_with_blanks_without_end_costs_nothing_and_is_not_kept(
    read: Callable[[str], object],
) -> None:
    kept = parse_percentage.cache_info().currsize
    with at_most(1):
        for text in (
            "99.9" + " " * 20_000 + "x",
            "99.9%" + " " * 1_000_000,
            " " * 1_000_000,
            "9" * 1_000_000,
        ):
            with pytest.raises(ValueError, match="must be a"):
                read(text)
    assert parse_percentage.cache_info().currsize == kept
