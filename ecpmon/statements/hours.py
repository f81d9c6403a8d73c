"""The service hours of a contract, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ecpmon.model.hours import DAY_NAMES
from ecpmon.sla.hours import runs, stored
from ecpmon.statements.words import Words

# Of one statement: more are counted only.
_MOST_HOLIDAYS: Final = 20


def hours_line(data: Mapping[str, Any], say: Words) -> str | None:
    """`Monday–Friday 08:00–18:00; not on 2026-12-25`, of the holidays those of the period; None: every hour counts."""
    document = data["contract"].get("hours")
    if document is None:
        return None
    hours = stored(document)
    weekly = "; ".join(f"{_days(days, say)} {', '.join(parts)}" for days, parts in runs(hours))
    held = {day["date"] for day in data["days"]}
    off = [text for day in sorted(hours.holidays) if (text := day.isoformat()) in held]
    if not off:
        return weekly
    shown = ", ".join(off) if len(off) <= _MOST_HOLIDAYS else say("holidays", count=len(off))
    return say("hours_but", hours=weekly, days=shown)


def _days(days: Sequence[int], say: Words) -> str:
    first, last = (say(DAY_NAMES[day]) for day in (days[0], days[-1]))
    if first == last:
        return first
    return say("days_to" if len(days) > 2 else "days_and", first=first, last=last)
