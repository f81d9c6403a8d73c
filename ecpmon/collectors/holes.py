"""Stretches in which a tenant had no evidence, and then had some again. Pure.

Whoever brings samples to the store may have been late with them, so the store is asked once more.

A sender that was started anew never sends what it had not sent before; then the stretch stays a gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

# After the evidence has come back: at once, and when senders have had time to catch up.
ASKED_AFTER: Final = (timedelta(0), timedelta(minutes=5))
_MOST: Final = 1_000
_LONGEST: Final = timedelta(days=1).total_seconds()


@dataclass(frozen=True, slots=True)
class Hole:
    """Of a tenant, between two instants in seconds since 1970, neither included. `asked`: how often."""

    tenant: str
    first: float
    last: float
    asked: int
    next_at: datetime


class Holes:
    """`limit` in seconds: evidence further apart has a hole between. `pause`: between two questions about holes."""

    def __init__(self, limit: float, pause: timedelta) -> None:
        self._limit = limit
        self._pause = pause
        self._last: dict[str, float] = {}
        self._holes: list[Hole] = []
        self._not_before: datetime | None = None

    def seen(self, tenant: str, instants: Iterable[float], now: datetime) -> None:
        """Evidence of a tenant, of the present."""
        for at in sorted(instants):
            last = self._last.get(tenant)
            if last is not None and at - last > self._limit:
                self._holes.append(Hole(tenant, max(last, at - _LONGEST), at, 0, now + ASKED_AFTER[0]))
            self._last[tenant] = max(at, last or at)
        del self._holes[:-_MOST]

    def forget(self, wanted: frozenset[str]) -> None:
        """Keep these tenants alone."""
        if len(self._last) > 2 * len(wanted) + 100:
            self._last = {tenant: at for tenant, at in self._last.items() if tenant in wanted}

    def due(self, longest: float, now: datetime) -> list[Hole]:
        """Holes that one question of `longest` seconds can fill, now; each is asked about `len(ASKED_AFTER)` times."""
        ready = [hole for hole in self._holes if hole.next_at <= now]
        if not ready or (self._not_before is not None and now < self._not_before <= now + self._pause):
            return []
        begin = min(hole.first for hole in ready)
        chosen = [
            replace(hole, last=min(hole.last, begin + longest))
            for hole in ready
            if hole.first < begin + longest
        ]
        done = {(hole.tenant, hole.first): hole.last for hole in chosen}
        self._holes = [left for hole in self._holes for left in self._left(hole, done, now)]
        self._not_before = now + self._pause
        return chosen

    def _left(self, hole: Hole, done: dict[tuple[str, float], float], now: datetime) -> list[Hole]:
        """What is to be asked about later of a hole that is asked about up to an instant now."""
        until = done.get((hole.tenant, hole.first)) if hole.next_at <= now else None
        if until is None:
            return [hole]
        left = [replace(hole, first=until)] if until < hole.last else []
        if hole.asked + 1 < len(ASKED_AFTER):
            next_at = now + ASKED_AFTER[hole.asked + 1]
            left.append(replace(hole, last=until, asked=hole.asked + 1, next_at=next_at))
        return left
