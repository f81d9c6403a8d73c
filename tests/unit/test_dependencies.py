"""What ecpmon imports is declared: a dependency of a dependency may be gone with its next release."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(source: str) -> Iterator[str]:
    """The top-level names of the modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    matches = (re.match(r"[A-Za-z0-9._-]+", one) for one in project["dependencies"])
    return {canonical(match.group()) for match in matches if match}


def third_party() -> dict[str, list[str]]:
    """The files of ecpmon by the third-party module they import."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "ecpmon").rglob("*.py")):
        for name in set(imported(path.read_text(encoding="utf-8"))):
            if name != "ecpmon" and name not in sys.stdlib_module_names:
                found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_third_party_import_is_declared() -> None:
    distributions, known = packages_distributions(), declared()
    found = third_party()
    assert {"aiohttp", "asyncpg", "yaml"} <= found.keys(), "the imports were not found"
    undeclared = {
        name: files
        for name, files in found.items()
        if known.isdisjoint(canonical(d) for d in distributions.get(name, (name,)))
    }
    assert not undeclared


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c", {"a", "c"}),
        ("def f():\n    from d.e import g", {"d"}),
        ("from . import sibling\nfrom .x import y", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, names: set[str]) -> None:
    assert set(imported(source)) == names
