"""Parts of documents of which nobody knows yet whether they are right: what has another shape counts as empty."""

from __future__ import annotations

from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a mapping, else an empty one: who checks the schema says what is wrong with it."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def whole(value: Any, default: int) -> int:
    """`value` when it is a whole number from 0 on, else `default`."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def group_of(body: dict[str, Any]) -> str:
    """The API group of an object, "" for the core."""
    return str(body.get("apiVersion", "")).rpartition("/")[0]
