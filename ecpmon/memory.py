"""What is read again and again, held for a moment; while changes are heard of, for longer.

Invariants: no entry is told after `seconds`, whoever changed what it was made of, unless changes were heard of when it
was looked up and are so now (`trusted`), and then not after `long_seconds`; after `drop` or `clear` nothing is told
that was read before, not even by a look-up that was under way then; there are `most` entries at most, and the oldest
goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
P = TypeVar("P", bound=Hashable)
V = TypeVar("V")
# So long may another process not have heard of a change.
SECONDS: Final = 1.0
# While this process hears of changes.
LONG_SECONDS: Final = 60.0
MOST: Final = 10_000
# How many changes there had been, and whether they were heard of.
Mark = tuple[int, bool]


class Memory(Generic[K, V]):
    """Values by key. `mark = memory.mark()`, look up, `memory.put(key, value, mark)`."""

    def __init__(
        self, seconds: float = SECONDS, most: int = MOST, *, long_seconds: float = LONG_SECONDS
    ) -> None:
        self._seconds = seconds
        self._long_seconds = long_seconds
        self._most = most
        self._entries: dict[K, tuple[V, float, float]] = {}
        self._changes = 0
        # How often all of it has been given up.
        self.cleared = 0
        # Whether whatever is changed anywhere is dropped here at once.
        self.trusted: Callable[[], bool] = lambda: False

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, until, long_until = entry
        now = monotonic()
        return value if now < until or (now < long_until and self.trusted()) else None

    def mark(self) -> Mark:
        """To be taken before a value is looked up."""
        return self._changes, self.trusted()

    def put(self, key: K, value: V, mark: Mark) -> None:
        """Hold what was looked up since `mark`, unless something was dropped meanwhile."""
        changes, trusted = mark
        if changes != self._changes:
            return
        self._entries.pop(key, None)
        now = monotonic()
        self._entries[key] = (value, now + self._seconds, now + self._long_seconds if trusted else 0.0)
        if len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    def drop(self, key: K) -> None:
        """What `key` stands for has changed."""
        self._changes += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Anything may have changed."""
        self._changes += 1
        self.cleared += 1
        self._entries.clear()


class Interned(Generic[P, V]):
    """Values by what they are made of, each made once; the oldest go when all keys together have too many parts."""

    def __init__(self, most_parts: int = 100_000) -> None:
        self._values: dict[tuple[P, ...], V] = {}
        self._room = most_parts

    def get(self, key: tuple[P, ...]) -> V | None:
        return self._values.get(key)

    def put(self, key: tuple[P, ...], value: V) -> V:
        """`value`, which is held from now on. For a key that is not there yet."""
        self._values[key] = value
        self._room -= len(key)
        while self._room < 0 and len(self._values) > 1:
            oldest = next(iter(self._values))
            del self._values[oldest]
            self._room += len(oldest)
        return value
