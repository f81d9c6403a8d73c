"""What a reader of the bus has seen: a snapshot of the database, not a highest number. Pure.

Rows get their number when they are written and become visible when they commit, so a lower number may come later.
PostgreSQL itself says what a snapshot has not seen: transactions from `end` on, and those that were `open` then.

Invariants:
- A row is new exactly when its transaction is unseen by the last snapshot and it is visible in the present one; so
  every row is handled once and none is missed.
- Rows below a floor have been dropped. Who has seen every transaction below it has missed none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`begin`: every transaction below was over; `end`: none from here on had begun; `open`: those not over yet."""

    begin: int
    end: int
    open: frozenset[int] = frozenset()

    @classmethod
    def of(cls, text: str) -> Self:
        """From PostgreSQL's own text, `begin:end:open,open,…`. Raises ValueError."""
        begin, end, running = text.split(":")
        return cls(int(begin), int(end), frozenset(map(int, running.split(","))) if running else frozenset())

    def __str__(self) -> str:
        return f"{self.begin}:{self.end}:{','.join(map(str, sorted(self.open)))}"

    def has_seen(self, xid: int) -> bool:
        """Whether what that transaction wrote was visible, if it committed at all."""
        return xid < self.end and xid not in self.open


# Before anything was read.
NOWHERE: Final = None


class Horizon:
    """How far one reader has read."""

    def __init__(self) -> None:
        self.last: Snapshot | None = NOWHERE

    def start(self, now: Snapshot) -> None:
        """From here on: what was committed before, the reader will find by itself."""
        self.last = now

    def move(self, now: Snapshot, floor: int) -> bool:
        """After a read of everything that `last` had not seen. False: some of that may have been dropped before.

        So it is when the floor has passed us, and when the server is another one or was set back to an earlier time.
        """
        last, self.last = self.last, now
        return last is not None and floor <= last.begin and last.begin <= now.begin
