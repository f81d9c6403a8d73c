"""Kubernetes quantities, exactly; what `parse_quantity` lets through by mistake (NaN, 1_000) is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

# What is asked for, by the name of the resource: cores, bytes or pieces.
Amounts = dict[str, Decimal]

_UNITS: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    **{letter: Decimal(1000) ** n for n, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("KMGTPE", 1)},
}  # fmt: skip
_FORM: Final = re.compile(
    r"(\+?(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))(?:([eE][+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)"
)


def quantity(value: Any) -> Decimal:
    """In cores, bytes or pieces. Raises ValueError for what Kubernetes refuses, and for negative ones."""
    number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    found = _parsed(str(value)[:64]) if number else None
    if found is None:
        raise ValueError(f"expected a quantity such as 250m, 2 or 512Mi, found {str(value)[:40]!r}")
    return found


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Decimal | None:
    match = _FORM.fullmatch(text)
    return None if match is None else Decimal(match[1] + (match[2] or "")) * _UNITS[match[3] or ""]


def amount(value: Any) -> Decimal:
    """The same, 0 for what is no quantity: that is reported where it stands."""
    try:
        return quantity(value)
    except ValueError:
        return Decimal(0)


def amounts(given: Mapping[Any, Any]) -> Amounts:
    """Of a mapping of names to quantities."""
    return {str(name): amount(value) for name, value in given.items()}


def added(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total


def greatest(one: Amounts, other: Amounts) -> Amounts:
    """Of each resource the larger."""
    found = dict(one)
    for name, value in other.items():
        if name not in found or value > found[name]:
            found[name] = value
    return found


def times(each: Amounts, count: int) -> Amounts:
    return {name: value * count for name, value in each.items()}
