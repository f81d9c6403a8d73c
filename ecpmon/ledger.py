"""Numbers that the processes of one machine share: each adds to a column of its own, each reads all (ADR 0010).

A file in memory, without a lock: a process writes nothing but its own column, and a number is one store of eight bytes.
A key is found by its hash, in one of a few places of a column; one that finds none takes that of a key of which nothing
is held, or else of the longest unused.

Invariants: what is told of a key was written for it, or for one with the same hash of 64 bits; what was written stays
when its writer is gone, until whoever gets the column next goes on with it.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

SLOTS: Final = 16_384
PLACES: Final = 8
# Of a place: the key's hash, what was added in all, what was owed, and when.
_WORDS: Final = 4
_COLUMN: Final = SLOTS * _WORDS
_MOST_KNOWN: Final = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """What one process has written of a key. `at`: seconds since 1970, when `owed` was so."""

    total: float
    owed: float
    at: float


class Ledger:
    """One process's view of the file. `columns`: how many processes there may be; `own`: which of them this is."""

    def __init__(self, path: Path, columns: int, own: int) -> None:
        size = columns * _COLUMN * 8
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # All holes: a page is there once something is written to it. Never shorter: others have it open.
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        view = memoryview(self._map)
        self._tags, self._numbers = view.cast("Q"), view.cast("d")
        self._own = own * _COLUMN
        self._others = [column * _COLUMN for column in range(columns) if column != own]
        self._known: dict[str, tuple[int, tuple[int, ...]]] = {}

    def clear(self) -> None:
        """Nothing is held in this column: for who has just begun and holds nothing yet."""
        for place in range(self._own, self._own + _COLUMN, _WORDS):
            if self._tags[place]:
                self._numbers[place + 1] = 0.0

    def add(self, key: str, amount: float, owed: float = 0.0, at: float = 0.0) -> None:
        """Add to our own; `owed` at the instant `at` is what of all of it has not been made up."""
        place = self._place(key)
        self._numbers[place + 1] += amount
        self._numbers[place + 2], self._numbers[place + 3] = owed, at

    def own(self, key: str) -> Entry | None:
        return self._entry(self._own, key)

    def others(self, key: str) -> list[Entry]:
        """What each of the others has written of the key."""
        found = (self._entry(column, key) for column in self._others)
        return [entry for entry in found if entry is not None]

    def total_of_others(self, key: str) -> float:
        tag, places = self._hashed(key)
        total = 0.0
        for column in self._others:
            for place in places:
                found = self._tags[column + place]
                if found == tag:
                    total += self._numbers[column + place + 1]
                if found == tag or not found:
                    break
        return total

    def _hashed(self, key: str) -> tuple[int, tuple[int, ...]]:
        """The tag of a key, and where in a column it may be."""
        known = self._known.get(key)
        if known is None:
            tag = int.from_bytes(blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()) or 1
            places = tuple((tag + n) % SLOTS * _WORDS for n in range(PLACES))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = tag, places
        return known

    def _entry(self, column: int, key: str) -> Entry | None:
        tag, places = self._hashed(key)
        for place in places:
            found = self._tags[column + place]
            if found == tag:
                at = column + place
                return Entry(*self._numbers[at + 1 : at + 4])
            if not found:
                return None
        return None

    def _place(self, key: str) -> int:
        """Where our own number of the key is; from now on, if there was none."""
        tag, places = self._hashed(key)
        for place in places:
            found = self._tags[self._own + place]
            if found == tag:
                return self._own + place
            if not found:
                return self._taken(self._own + place, tag)
        unused = min(places, key=self._worth)
        return self._taken(self._own + unused, tag)

    def _worth(self, place: int) -> tuple[bool, float]:
        """Of a place of our column: what is given up last is the greatest."""
        at = self._own + place
        return self._numbers[at + 1] != 0, self._numbers[at + 3]

    def _taken(self, place: int, tag: int) -> int:
        # The number first: nobody may read another's under the new tag.
        self._numbers[place + 1] = self._numbers[place + 2] = self._numbers[place + 3] = 0.0
        self._tags[place] = tag
        return place
