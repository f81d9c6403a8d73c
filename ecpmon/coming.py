"""Values that were told ahead of their time, kept until it has come. Pure.

Who sends samples may have a clock that is ahead of ours. What it says is stored when it comes, and acts when it is due:
what is shown from memory has to wait as well.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coming(Generic[K, V]):
    """Invariants: of a key one value per second is kept, that with the latest time; `most` are kept in all, and what
    comes when they are there already is left out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[tuple[int, K], tuple[float, V]] = {}
        # When each is due: the second, and how many were put before it, as keys need have no order.
        self._due: list[tuple[int, int, K]] = []
        self._puts = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: K, at: float, value: V) -> None:
        """`at`: in seconds since 1970."""
        second = math.ceil(at)
        known = self._held.get((second, key))
        if known is None:
            if len(self._held) >= self._most:
                return
            self._puts += 1
            heapq.heappush(self._due, (second, self._puts, key))
        elif known[0] > at:
            return
        self._held[second, key] = (at, value)

    def due(self, now: float) -> Iterator[tuple[K, float, V]]:
        """Key, time and value of those whose time has come, in its order; each is told once."""
        while self._due and self._due[0][0] <= now:
            second, _, key = heapq.heappop(self._due)
            yield key, *self._held.pop((second, key))

    def keep_only(self, keys: Collection[K]) -> None:
        self._held = {place: value for place, value in self._held.items() if place[1] in keys}
        self._due = [each for each in self._due if (each[0], each[2]) in self._held]
        heapq.heapify(self._due)

    def clear(self) -> None:
        self._held.clear()
        self._due.clear()
