"""Examples as they were answered: a test asks every route once, and compares what it gets with what is kept here."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _recorded() -> dict[str, dict[str, Any]]:
    text = (files("ecpmon.api.openapi") / "recorded.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def recorded(method: str, path: str, what: str) -> Any:
    """`what`: `body`, or the status of an answer; None where nothing was recorded."""
    found = _recorded()
    # A path that is the same with a slash at its end was asked once.
    operation = found.get(f"{method} {path}") or found.get(f"{method} {path}/") or {}
    return operation.get(what)
