"""The plot of a statement's days: one column per day, of what its time was. Pure; pages and HTML draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# From the bottom to the top, with their colours.
COLOURS: Final = {
    "up": "#1b8a4b",
    "maintenance": "#3b7dd8",
    "outside": "#e6eaee",
    "gap": "#aab4be",
    "down": "#c0392b",
}
# An outage of a minute is seen in a column of a day, too.
_LEAST: Final = 0.06
_DAY: Final = 1440.0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a column: from `bottom`, `height` high, both as fractions of the column."""

    kind: str
    bottom: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A day. Without parts: nothing was promised on it."""

    day: str
    availability: float | None
    parts: tuple[Part, ...]


def columns(days: Sequence[Mapping[str, Any]], accounting: str = "exclude") -> list[Column]:
    """Of the day rows of a statement; those of earlier releases do not say what was eligible."""
    return [Column(d["date"], d["availability"], _parts(_minutes(d, accounting))) for d in days]


def _minutes(day: Mapping[str, Any], accounting: str) -> dict[str, float]:
    planned, outside = day["maintenance_minutes"], day.get("outside_minutes", 0.0)
    eligible = day.get("eligible_minutes")
    counted = planned if accounting == "count_as_up" else 0.0
    if eligible is None:
        eligible = _DAY - (planned - counted)
    return {
        "up": max(eligible - counted - day["down_minutes"] - day["gap_minutes"], 0.0),
        "maintenance": planned,
        "outside": outside,
        "gap": day["gap_minutes"],
        "down": day["down_minutes"],
    }


def _parts(minutes: Mapping[str, float]) -> tuple[Part, ...]:
    there = {kind: m for kind in COLOURS if (m := minutes[kind]) > 0}
    whole = sum(there.values())
    if not whole:
        return ()
    seen = {kind: max(m / whole, _LEAST) for kind, m in there.items()}
    scale, bottom, parts = sum(seen.values()), 0.0, []
    for kind, share in seen.items():
        parts.append(Part(kind, bottom, share / scale))
        bottom += share / scale
    return tuple(parts)


def kinds(found: Sequence[Column]) -> list[str]:
    """What there is in any of the columns, in order: the legend."""
    there = {part.kind for column in found for part in column.parts}
    return [kind for kind in COLOURS if kind in there]
