"""Kubernetes quantities, exactly; what `parse_quantity` lets through by mistake (NaN, 1_000) is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

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
    match = _FORM.fullmatch(str(value)) if isinstance(value, (str, int, float)) else None
    if match is None or isinstance(value, bool):
        raise ValueError(f"expected a quantity such as 250m, 2 or 512Mi, found {str(value)[:40]!r}")
    return Decimal(match[1] + (match[2] or "")) * _UNITS[match[3] or ""]


def amount(value: Any) -> Decimal:
    """The same, 0 for what is no quantity: that is reported where it stands."""
    try:
        return quantity(value)
    except ValueError:
        return Decimal(0)
