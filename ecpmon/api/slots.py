"""When whose next message is due, in slots of a twentieth of a second. Pure.

Who is due in one slot is served together, so that a message is made once for all of them. A key stands in one slot. To
put it off costs nothing: it is moved when that slot's time has come.
"""

from __future__ import annotations

import heapq
import math
from typing import Final, Generic, TypeVar

K = TypeVar("K")
SECONDS: Final = 0.05


class Slots(Generic[K]):
    def __init__(self) -> None:
        self._slots: dict[int, dict[K, None]] = {}
        self._order: list[int] = []
        # The slot that a key stands in, and when it is really due, which may have been put off since.
        self._held: dict[K, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: K, at: float) -> None:
        """`key` is due at `at`, and no longer when it was before."""
        slot = _slot(at)
        held = self._held.get(key)
        if held is not None and held[0] <= slot:
            self._held[key] = held[0], at
        else:
            self.drop(key)
            self._enter(key, slot, at)

    def _enter(self, key: K, slot: int, at: float) -> None:
        if slot not in self._slots:
            self._slots[slot] = {}
            heapq.heappush(self._order, slot)
        self._slots[slot][key] = None
        self._held[key] = slot, at

    def drop(self, key: K) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            del self._slots[held[0]][key]

    def next(self) -> float | None:
        """When the next slot is over; None: nobody is due."""
        return self._order[0] * SECONDS if self._order else None

    def take(self, now: float) -> list[K]:
        """Those who are due by now; they are not due any more."""
        found: list[K] = []
        while self._order and self._order[0] * SECONDS <= now:
            for key in self._slots.pop(heapq.heappop(self._order)):
                slot, at = self._held.pop(key)
                if _slot(at) > slot:
                    self._enter(key, _slot(at), at)
                else:
                    found.append(key)
        return found


def _slot(at: float) -> int:
    return math.ceil(at / SECONDS)
