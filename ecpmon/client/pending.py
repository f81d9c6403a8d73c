"""What a batch holds: entries per tenant, in their order, counted and bounded. No I/O; any thread may add.

Invariants:
- An entry that `offer` took is in a queue, or in the hands of who took it from there, until it is dropped by `done`;
  until then it counts towards the bounds.
- Of one tenant entries are taken in the order in which they came.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecpmon.client.calls import encoded

# The service takes no entry that is larger (docs/limits.md).
LARGEST_ENTRY: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """Measurements of one instant; `body` is what is sent of it."""

    tenant_id: str
    metrics: Mapping[str, float]
    timestamp: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, tenant_id: str, metrics: Mapping[str, float], timestamp: str) -> Entry:
        """Raises ValueError for what can never be stored: no metrics, or too many for one entry."""
        kept = dict(metrics)
        if not kept:
            raise ValueError("an entry needs at least one metric")
        body = encoded({"timestamp": timestamp, "metrics": kept})
        if len(body) > LARGEST_ENTRY:
            raise ValueError(f"an entry has at most {LARGEST_ENTRY} bytes as JSON, this one has {len(body)}")
        return cls(tenant_id, kept, timestamp, body)


@dataclass(frozen=True, slots=True)
class Sizes:
    """When a tenant's entries are sent, whichever comes first; and what is held at most, of all tenants together."""

    entries: int = 500
    # Larger bodies take turns at the service.
    bytes: int = 200 * 1024
    seconds: float = 1.0
    most_entries: int = 100_000
    most_bytes: int = 32 * 2**20


USUAL: Final = Sizes()


@dataclass(slots=True)
class _Queue:
    entries: deque[Entry] = field(default_factory=deque)
    bytes: int = 0
    # When the oldest of them came.
    since: float = 0.0


class Pending:
    """All times are of one monotonic clock."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        self._entries = self._bytes = 0

    def __len__(self) -> int:
        """Entries that are not done yet."""
        return self._entries

    def offer(self, entry: Entry, now: float) -> bool | None:
        """Take an entry. None: there is no room; True: somebody should look: it is the first, or they are enough."""
        sizes = self._sizes
        with self._lock:
            full = self._entries >= sizes.most_entries or self._bytes + len(entry.body) > sizes.most_bytes
            if full and self._entries:
                return None
            self._entries += 1
            self._bytes += len(entry.body)
            queue = self._queues.setdefault(entry.tenant_id, _Queue())
            if not queue.entries:
                queue.since = now
            queue.entries.append(entry)
            queue.bytes += len(entry.body)
            return len(queue.entries) == 1 or self._is_full(queue)

    def _is_full(self, queue: _Queue) -> bool:
        return len(queue.entries) >= self._sizes.entries or queue.bytes >= self._sizes.bytes

    def due(self, now: float, *, everything: bool = False) -> list[str]:
        """Tenants whose entries are to be sent now."""
        with self._lock:
            return [
                name
                for name, queue in self._queues.items()
                if queue.entries
                and (everything or self._is_full(queue) or now - queue.since >= self._sizes.seconds)
            ]

    def next_due(self, besides: Container[str] = ()) -> float | None:
        """When the oldest entry has waited long enough; None: there is none. `besides` these tenants."""
        with self._lock:
            waiting = [q.since for name, q in self._queues.items() if q.entries and name not in besides]
        return min(waiting) + self._sizes.seconds if waiting else None

    def take(self, tenant_id: str, now: float) -> list[Entry]:
        """The next entries of a tenant that fit one request."""
        taken: list[Entry] = []
        size = 0
        with self._lock:
            queue = self._queues.get(tenant_id)
            while queue and queue.entries and len(taken) < self._sizes.entries:
                size += len(queue.entries[0].body)
                if taken and size > self._sizes.bytes:
                    break
                taken.append(queue.entries.popleft())
                queue.bytes -= len(taken[-1].body)
            if queue:
                queue.since = now
                if not queue.entries:
                    del self._queues[tenant_id]
        return taken

    def done(self, entries: Sequence[Entry]) -> None:
        """These need not be held any more."""
        with self._lock:
            self._entries -= len(entries)
            self._bytes -= sum(len(entry.body) for entry in entries)

    def rest(self) -> list[Entry]:
        """Everything that nobody has taken, taken now."""
        with self._lock:
            found = [entry for queue in self._queues.values() for entry in queue.entries]
            self._queues.clear()
        return found
