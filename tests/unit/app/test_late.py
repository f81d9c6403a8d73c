"""Nobody's first call holds a front's loop for an import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import ecpmon.api
from ecpmon.app.late import COMPUTED, FRONTS

HANDLERS = sorted(Path(ecpmon.api.__file__).parent.rglob("*.py"))


def late_imports(source: Path) -> Iterator[str]:
    """Modules of ours that the functions of a file import."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in {inner for function in functions for inner in ast.walk(function)}:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ecpmon."):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if find_spec_of(name) else node.module for name in names)


def find_spec_of(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the last part is a name in a module
        return False


def test_what_a_handler_imports_late_is_loaded_before_anybody_waits_for_it() -> None:
    found = {name for source in HANDLERS for name in late_imports(source)}

    loaded = {*FRONTS, *COMPUTED}

    assert len(found) > 10
    assert not {name for name in found if loaded.isdisjoint((name, name.rpartition(".")[0]))}


def test_what_is_loaded_late_is_there() -> None:
    assert all(import_module(name) for name in {*FRONTS, *COMPUTED})
