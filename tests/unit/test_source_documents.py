"""docs/source-documents.md names every snippet of the source documents once, and tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Of each document, how many snippets it has.
SNIPPETS = {"0": 23, "1": 39, "3": 34, "4": 37}
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in (ROOT / "docs" / "source-documents.md").read_text("utf-8").splitlines()
    if re.match(r"\| \d-\d", line)
]


@cache
def known_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_snippet_is_there_once() -> None:
    named = [number for row in ROWS for number in row[0].split(", ")]
    assert sorted(named) == sorted(f"{d}-{n}" for d, count in SNIPPETS.items() for n in range(1, count + 1))


@pytest.mark.parametrize("row", ROWS, ids=[row[0].partition(",")[0] for row in ROWS])
def test_what_comes_of_it_is_said_and_its_tests_are_there(row: list[str]) -> None:
    _, what, here, tests = row
    assert what
    assert here
    for named in [] if tests == "—" else tests.split(", "):
        path, _, test = named.strip("`").partition("::")
        assert not test or test in known_tests(path), named
        assert (ROOT / path).is_file()
