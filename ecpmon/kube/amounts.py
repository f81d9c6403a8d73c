"""What is asked for, added up: quantities as the server decodes them, none of them negative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ecpmon.kube.quantities import parsed

# What is asked for, by the name of the resource: cores, bytes or pieces.
Amounts = dict[str, Decimal]


def quantity(value: Any) -> Decimal:
    """In cores, bytes or pieces. Raises ValueError for what Kubernetes refuses, and for negative ones."""
    number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    try:
        found = parsed(str(value).strip()) if number else None
    except ValueError:
        found = None
    if found is None or found < 0:
        raise ValueError(f"expected a quantity such as 250m, 2 or 512Mi, found {str(value)[:40]!r}")
    return found


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
