"""Service hours: the part of the week that a contract counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """Wall-clock time of the contract's time zone.

    `weekly`: for each day from Monday on, what begins on it, as minutes `[from, to)` after its midnight; `to` lies up
    to a day after `from`, and beyond 1,440 on the next day. On `holidays` nothing counts, from midnight to midnight.
    """

    weekly: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date] = frozenset()
