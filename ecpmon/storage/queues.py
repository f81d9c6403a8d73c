"""Batches that wait to be committed, and how much of one sender's goes into a commit. Pure."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable
from typing import Final

from ecpmon.errors import Overloaded
from ecpmon.model.ingest import Batch, IngestResult, cost_of
from ecpmon.model.leadership import Claim

# Sizes as `cost_of` counts them. Of one sender's in a commit, while others send as well: as much as is committed in
# FAIR_SECONDS, within these bounds, or in so many times what the shortest commit takes, when that is longer.
FAIR_SAMPLES_PER_COMMIT: Final = 1_500
LEAST_SAMPLES_PER_COMMIT: Final = 100
FAIR_SECONDS: Final = 0.006
FAIR_TIMES: Final = 3.0
# The shortest commit is forgotten by so much with every one that is longer.
_FORGOTTEN: Final = 1.02
# Seconds for which who has sent is not forgotten.
LATELY: Final = 1.0
MAX_WAITING: Final = 5_000
# One sender may not take the places of all.
MAX_WAITING_PER_SENDER: Final = 1_000


class Waiting:
    """A batch whose sender waits for `future`. `claim`: that of the leader it is from; None: not a leader's, such as a
    push. `sender`: its tenant; "": of several, or of none. `size`: what it costs to commit, in samples."""

    __slots__ = ("batch", "claim", "future", "sender", "size", "tenants")

    def __init__(self, batch: Batch, future: asyncio.Future[IngestResult], claim: Claim | None) -> None:
        self.batch, self.future, self.claim = batch, future, claim
        self.tenants: Collection[str] = tenants_of(batch)
        self.sender = next(iter(self.tenants)) if len(self.tenants) == 1 else ""
        self.size = 1 + sum(map(cost_of, batch.frames))

    def meets(self, tenants: Collection[str]) -> bool:
        """Whether something of it is about one of these."""
        return any(tenant in tenants for tenant in self.tenants)


def tenants_of(batch: Batch) -> Collection[str]:
    if len(batch.frames) == 1:
        return (batch.frames[0].tenant_id,)
    return {frame.tenant_id for frame in batch.frames}


def all_with(tenants: Iterable[str], batches: Iterable[Collection[str]]) -> set[str]:
    """These tenants, and those that share a batch with one of them, and so on. `batches`: their tenants."""
    found, several = set(tenants), [each for each in batches if len(each) > 1]
    while found and several:
        rest = [each for each in several if found.isdisjoint(each)]
        if len(rest) == len(several):
            break
        found.update(*(each for each in several if not found.isdisjoint(each)))
        several = rest
    return found


class SenderQueues:
    """Batches that wait, by sender.

    - Of each sender the batches leave in the order in which they came.
    - Into a commit comes next whoever has the least in it: small batches are not kept waiting by another's large ones.
    - While others send, one sender's part of a commit is bounded too, so that the others wait for a short commit only.
    - What is about a tenant that is held stays, and what its sender has sent since; it takes up nobody else's time.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Waiting]] = OrderedDict()
        self._length = 0
        # Tenants that are held, with the number of batches elsewhere that are about them; and of all of these.
        self._held: Counter[str] = Counter()
        self._elsewhere = 0
        # The last sender, and the last one before that was another; and when.
        self._last = ("", -math.inf)
        self._other = ("", -math.inf)

    def __len__(self) -> int:
        return self._length

    @property
    def free(self) -> int:
        """How many wait, without those whose tenant is held."""
        if not self._held:
            return self._length
        return self._length - sum(len(self._queues.get(sender, ())) for sender in self._held)

    def put(self, waiting: Waiting, now: float = 0.0) -> None:
        """`now` in seconds of any clock. Raises Overloaded; what is elsewhere counts."""
        sender = waiting.sender
        mine = len(self._queues.get(sender, ())) + self._held[sender]
        if self._length + self._elsewhere >= MAX_WAITING or mine >= MAX_WAITING_PER_SENDER:
            raise Overloaded("too many writes are waiting; try again shortly", details={"limit": "writes"})
        self.append(waiting)
        if self._last[0] != sender:
            self._other = self._last
        self._last = sender, now

    def append(self, waiting: Waiting) -> None:
        """Whatever waits already."""
        self._queues.setdefault(waiting.sender, deque()).append(waiting)
        self._length += 1

    def hold(self, gone: Collection[Waiting]) -> None:
        """These are under way elsewhere: what comes after them waits until `release`."""
        self._elsewhere += len(gone)
        for each in gone:
            self._held.update(each.tenants)

    def release(self, back: Collection[Waiting]) -> None:
        self._elsewhere -= len(back)
        for each in back:
            self._held.subtract(each.tenants)
            for tenant in each.tenants:
                if not self._held[tenant]:
                    del self._held[tenant]

    def crowded(self, now: float) -> bool:
        """Whether more than one has sent something lately."""
        return now - self._other[1] < LATELY

    def last(self) -> Waiting:
        return next(reversed(self._queues.values()))[-1]

    def take(self, samples: int, each: int) -> list[Waiting]:
        """While somebody is free at least one batch, then more while they hold no more than `samples` together, nor one
        sender's than `each`.

        A sender's first batch is taken whatever its size, while there is room.
        """
        taken: list[Waiting] = []
        spent = [(0, turn, sender) for turn, sender in enumerate(self._queues)]  # a heap, as it is sorted
        while spent:
            mine, turn, sender = heapq.heappop(spent)
            queue = self._queues[sender]
            if self._held and queue[0].meets(self._held):
                continue
            size = queue[0].size
            if taken and size > samples:
                break
            if mine and mine + size > each:
                continue
            samples -= size
            taken.append(self._pop(sender))
            if queue:
                heapq.heappush(spent, (mine + size, turn, sender))
        return taken

    def take_of_one(self, each: int) -> list[Waiting]:
        """What one sender has, while it holds no more than `each`; the senders by turns."""
        sender = next(iter(self._queues), None)
        if sender is None:
            return []
        queue, taken = self._queues[sender], [self._pop(sender)]
        size = taken[0].size
        while queue and size + queue[0].size <= each:
            size += queue[0].size
            taken.append(self._pop(sender))
        return taken

    def take_all(self) -> list[Waiting]:
        """Held or not."""
        return [self._pop(sender) for sender in list(self._queues) for _ in range(len(self._queues[sender]))]

    def _pop(self, sender: str) -> Waiting:
        queue = self._queues[sender]
        waiting = queue.popleft()
        self._length -= 1
        if queue:
            self._queues.move_to_end(sender)
        else:
            del self._queues[sender]
        return waiting


class Share:
    """How much of one sender's goes into a commit while others send as well.

    Samples do not all cost the same: what changes a timeline costs fifty times what is only stored. So the share
    begins small, falls by half when a commit took too long, and grows by a tenth when one of about its size did not.
    """

    def __init__(self) -> None:
        self.samples = FAIR_SAMPLES_PER_COMMIT // 5
        self._shortest = math.inf

    def took(self, seconds: float, size: int) -> None:
        """A commit of so much, as `cost_of` counts it."""
        self._shortest = min(seconds, self._shortest * _FORGOTTEN)
        wanted = self.samples
        if seconds > max(FAIR_SECONDS, FAIR_TIMES * self._shortest):
            wanted //= 2
        elif 2 * size > self.samples:
            wanted += wanted // 10
        self.samples = min(FAIR_SAMPLES_PER_COMMIT, max(LEAST_SAMPLES_PER_COMMIT, wanted))
