"""Which buckets a process need not mark again: the protocol between who stores samples and who works marks off.

A mark (`rollup_dirty`, and by its trigger `objective_marks`) says that a 5-minute bucket of a tenant holds samples that
its rollups and counts may lack. It has to be there after every commit that touched the bucket, until somebody has read
the samples of that commit. Marking anew with every commit costs more than storing the samples, and it has writers
wait for jobs. So a mark stays while its bucket is **open**, and a process marks an open bucket once.

States of a (tenant, bucket) for a process that stores samples:

    unmarked ── it commits a mark ──► marked ── MARGIN before the bucket's end ──► over
       ▲                                │                                            │ every commit marks it
       └── a commit failed, or the connection is another one ◄───────────────────────┘

Invariants of a writer:

1. It leaves a mark out only in state *marked*: it has committed one itself, over the connection that it still has.
   Each lane of a process (`storage.writer`) is a writer of its own here.
2. It decides that after its COPY, so that it holds a lock on `frames` until it ends, and by the database's clock
   (told at the beginning of the transaction, plus what has passed since): only until MARGIN before the bucket's end.
   Where one statement is the whole commit (`storage.steady`) it guesses by that clock before, and the statement fails
   if, once the frames are stored, the clock itself says otherwise.

Invariants of a job:

3. It reads marks without locking them, works, and takes a mark away in a short transaction of its own, only if its
   generation is the one that was read: who marks meanwhile raises it. It skips what a writer has locked, and nobody
   waits for it for longer than that transaction.
4. It takes no mark away before its bucket is over by its own clock, nor while a transaction holds a lock on `frames`
   that began before that (`pg_locks`); it looks before it reads samples. Marks that are wider than a bucket stand for
   nothing that a writer remembers, and go when they are worked off.

Why nothing is lost: let a commit leave out its mark. By 1 the mark was there when it decided, by 2 that was before the
bucket's end. Whoever looked at the mark before the bucket's end has left it there (4). Whoever looked later found the
commit's transaction under way, and left the mark (4), or ended, and then its reading of samples, which came later, has
seen them. A commit that marks raises the generation: the mark outlives everybody who read it before (3).

Assumed: the clocks of a job and of the database differ by less than MARGIN. People who delete marks by hand, and the
retention that drops them with their samples, are not part of this.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

BUCKET: Final = timedelta(minutes=5)
MARGIN: Final = timedelta(seconds=20)
# (tenant's number, the bucket's start)
Mark = tuple[int, datetime]
_MANY: Final = 10_000


class OpenMarks:
    """The open buckets that this process has marked, for one transaction after the other.

    `begin`, then `told`, then `missing` once the samples are in, then `committed`, or nothing. In one statement:
    `begin`, `guessed`, then `told` and `committed`, or `undone`, or nothing.
    """

    def __init__(self) -> None:
        self._marked: set[Mark] = set()
        self._fresh: list[Mark] = []
        self._connection: Any = None
        self._now: datetime | None = None
        # What was told last, before this transaction.
        self._before: datetime | None = None
        self._told = 0.0
        self._most = _MANY

    def begin(self, connection: Any) -> None:
        """A transaction on `connection` begins. Nothing is believed that another one, or a failed one, has left."""
        self._before = self._now if connection is self._connection else None
        if connection is not self._connection or self._fresh:
            self._marked.clear()
        self._connection, self._now, self._fresh = connection, None, []

    def told(self, now: datetime) -> None:
        """What the database's clock says at this moment, or a little before."""
        self._now, self._told = now, monotonic()

    def distrust(self) -> None:
        """A part of this transaction may be rolled back: everything is marked, and nothing of it is remembered."""
        self._now = None

    def missing(self, touched: Collection[Mark]) -> Collection[Mark]:
        """Those that have to be marked in this transaction."""
        if self._now is None:
            return touched
        over = self._now + timedelta(seconds=monotonic() - self._told) + MARGIN - BUCKET
        self._fresh = [mark for mark in touched if mark[1] <= over or mark not in self._marked]
        return self._fresh

    def guessed(self, touched: Collection[Mark]) -> tuple[Collection[Mark], datetime | None]:
        """For a statement that has yet to begin: what it has to mark, and until when, by the database's clock, it may
        leave out the others."""
        if self._before is None:
            self._fresh = list(touched)
            return touched, None
        over = self._before + timedelta(seconds=monotonic() - self._told) + MARGIN - BUCKET
        self._fresh = [mark for mark in touched if mark[1] <= over or mark not in self._marked]
        if len(self._fresh) == len(touched):
            return self._fresh, None
        left_out = min(mark[1] for mark in touched if mark[1] > over and mark in self._marked)
        return self._fresh, left_out + BUCKET - MARGIN

    def undone(self) -> None:
        """The statement has failed as a whole: nothing of it is there, and what was there is."""
        self._now, self._fresh = self._before, []

    def committed(self) -> None:
        """What was missing is there."""
        self._marked.update(self._fresh)
        self._fresh = []
        if self._now is not None and len(self._marked) > self._most:
            self._marked = {mark for mark in self._marked if mark[1] + BUCKET > self._now}
            self._most = max(_MANY, 2 * len(self._marked))
