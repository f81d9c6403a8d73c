"""Kubernetes quantities (`250m`, `1.5Gi`, `1e3`), exactly."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_FORM: Final = re.compile(r"([+-]?\d*(?:\.\d*)?)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?", re.ASCII)
_UNITS: Final = {
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("num", start=-3)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
_MAX_LENGTH: Final = 60
# Digits of a whole number that is held as it is.
_PLAIN: Final = 18
_LARGEST: Final = Decimal(2**63 - 1)
_SMALLEST: Final = Decimal("1e-9")
_MAX_EXPONENT: Final = 40
WORDS: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(32_768)  # of a long manifest each is read three times
def parsed(text: str) -> Decimal:
    """In base units, within what the server holds. Raises ValueError for what it cannot decode."""
    if len(text) <= _PLAIN and text.isascii() and text.isdigit():
        return Decimal(text)
    found = _FORM.fullmatch(text) if 0 < len(text) <= _MAX_LENGTH else None
    if found is None:
        raise ValueError(WORDS)
    number, exponent, unit = found.groups()
    if not number[-1:].isdigit() and not any(map(str.isdigit, number)):
        return Decimal(0)  # a sign, a dot or a unit alone: the server counts the digits that there are
    value = Decimal(number) * _UNITS[unit or ""]
    if exponent:
        power = max(-_MAX_EXPONENT, min(int(exponent[1:]), _MAX_EXPONENT))
        value *= Decimal(10) ** power
    return _held(value)


def _held(value: Decimal) -> Decimal:
    size = abs(value)
    if size > _LARGEST:
        return _LARGEST.copy_sign(value)
    if 0 < size < _SMALLEST:
        return _SMALLEST.copy_sign(value)
    return value


def is_whole(value: Decimal) -> bool:
    """What counts pieces is told in whole ones."""
    return value == value.to_integral_value()
