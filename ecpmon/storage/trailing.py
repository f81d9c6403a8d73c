"""What the samples of trailing windows say: many windows of many series from one look at the longest of them.

The database adds up what lies between the beginnings of two windows; a window is all such steps from its own on. So a
tenant's rules cost one scan, however many windows they name. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.errors import ValidationFailed

# Frames of a tenant that are looked at: the newest. A day of five agents that push every second has fewer.
MOST_FRAMES: Final = 500_000
# Series of a tenant that are looked at, those of its evidence first: a rule names a few metrics, and each may come from
# every source that there is.
MOST_SERIES: Final = 500
_TICK: Final = timedelta(microseconds=1)
# Function (avg, min, max, last, rate), metric, window.
Term = tuple[str, str, timedelta]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The values of one series in some time: `rise` is how much a counter grew, also from the value before the first,
    and `first_rise` that part of it."""

    count: int
    total: float
    low: float
    high: float
    first: datetime
    last: datetime
    newest: float
    rise: float
    first_rise: float

    @classmethod
    def of(cls, row: Any) -> Stretch:
        return cls(
            row["count"], row["total"], row["low"], row["high"], row["first"], row["last"], row["newest"],
            row["rise"] or 0.0, row["first_rise"] or 0.0,
        )  # fmt: skip

    def before(self, later: Stretch) -> Stretch:
        """Both together; `later` follows without a value in between."""
        return replace(
            later,
            count=self.count + later.count,
            total=self.total + later.total,
            low=min(self.low, later.low),
            high=max(self.high, later.high),
            first=self.first,
            rise=self.rise + later.rise,
            first_rise=self.first_rise,
        )

    def says(self, function: str) -> float | None:
        """`rate` is per second, and None of a single value. Raises ValidationFailed for an unknown function."""
        match function:
            case "avg":
                return self.total / self.count
            case "min":
                return self.low
            case "max":
                return self.high
            case "last":
                return self.newest
            case "rate":
                seconds = (self.last - self.first).total_seconds()
                return (self.rise - self.first_rise) / seconds if seconds > 0 else None
        raise ValidationFailed(f"unknown function {function!r}; known are avg, min, max, last, rate")


def beginnings(terms: Iterable[Term], now: datetime) -> list[datetime]:
    """From when on each of their windows reaches to `now`, the longest first. A window leaves its first instant out."""
    return [now - window + _TICK for window in sorted({window for _, _, window in terms}, reverse=True)]


# Of one series: steps, negative as they are sorted, and with each what it and all later ones hold together.
_Steps = tuple[list[int], list[Stretch]]


def answered(
    terms: Collection[Term], now: datetime, rows: Iterable[Any], series: Mapping[int, tuple[str, bool]]
) -> dict[Term, float | None]:
    """What each term says; None where there is no value. `rows`: steps of series, numbered by `beginnings` from 1;
    `series`: the metric of each, and whether its source is the tenant's evidence.

    Of several series of a metric it is the evidence source's that says it, if that has a value in the window, else the
    one that spoke last.
    """
    place = {start: number for number, start in enumerate(beginnings(terms, now), 1)}
    known: dict[int, _Steps] = {}
    for row in sorted(rows, key=lambda row: -int(row["step"])):
        steps, wholes = known.setdefault(row["series"], ([], []))
        stretch = Stretch.of(row)
        steps.append(-row["step"])
        wholes.append(stretch.before(wholes[-1]) if wholes else stretch)
    by_name: dict[str, list[tuple[bool, _Steps]]] = {}
    for number, steps_of in known.items():
        name, is_evidence = series[number]
        by_name.setdefault(name, []).append((is_evidence, steps_of))
    found: dict[Term, float | None] = {}
    for function, name, window in terms:
        chosen = _chosen(by_name.get(name, ()), place[now - window + _TICK])
        found[function, name, window] = None if chosen is None else chosen.says(function)
    return found


def _chosen(candidates: Iterable[tuple[bool, _Steps]], step: int) -> Stretch | None:
    """What one of the series holds from `step` on."""
    said = [
        (is_evidence, wholes[at - 1])
        for is_evidence, (steps, wholes) in candidates
        if (at := bisect_right(steps, -step))
    ]
    return max(said, key=lambda one: (one[0], one[1].last))[1] if said else None
