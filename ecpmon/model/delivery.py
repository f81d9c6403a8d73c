"""Values of fair delivery: queues, what may be taken from them, and the pace at which messages may leave. Pure.

A *queue* holds what one tenant has for one *receiver*: a server or a mailbox. An *endpoint* is one action as it
stands; only what goes to the same endpoint can be merged into one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# (the tenant's number, receiver)
QueueKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """A queue in which something is due. `failures`: of its receiver, in a row, the last at `failed_at`.

    `asked_until`: the receiver asked to be left alone until then.
    """

    tenant_key: int
    receiver: str
    failures: int = 0
    failed_at: datetime | None = None
    asked_until: datetime | None = None

    @property
    def key(self) -> QueueKey:
        return self.tenant_key, self.receiver


@dataclass(frozen=True, slots=True)
class Grant:
    """So many notifications may be taken from a queue."""

    tenant_key: int
    receiver: str
    count: int

    @property
    def key(self) -> QueueKey:
        return self.tenant_key, self.receiver


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` messages at once, and one per `interval` in the long run (GCRA)."""

    burst: int
    interval: timedelta

    @classmethod
    def per_minute(cls, count: int) -> Pace:
        """A minute's worth at once, and as many per minute."""
        return cls(count, timedelta(minutes=1) / count)

    def due(self, busy_until: datetime, now: datetime) -> tuple[datetime, datetime]:
        """(when the next message may leave, `busy_until` once it was let out)."""
        after = max(busy_until, now) + self.interval
        return max(now, after - self.burst * self.interval), after


@dataclass(frozen=True, slots=True)
class FanOut:
    """How many messages of a tenant may leave: per receiver, in all, and how many may wait per endpoint."""

    receiver: Pace = field(default_factory=lambda: Pace.per_minute(60))
    tenant: Pace = field(default_factory=lambda: Pace.per_minute(300))
    waiting: int = 20


@dataclass(frozen=True, slots=True)
class Place:
    """What waits for one endpoint before a message about a rule: so many notifications.

    `covering`: the newest that tells about the rule; `newest`: the newest of all, unless it is full.
    """

    receiver: str
    waiting: int
    covering: int | None = None
    newest: int | None = None

    def target(self, open_ones: frozenset[int]) -> int | None:
        """What the message can be merged into: never into one before another that tells about its rule."""
        if self.covering in open_ones:
            return self.covering
        return self.newest if self.newest in open_ones and (self.newest or 0) > (self.covering or 0) else None


@dataclass(frozen=True, slots=True)
class Placed:
    """A notification of its own, due at `due`."""

    due: datetime


@dataclass(frozen=True, slots=True)
class Merged:
    """No notification of its own: its event is told by `into`."""

    into: int


def crowded(place: Place, due: datetime, now: datetime, limits: FanOut) -> bool:
    """Whether a message had better be merged into what waits already, if that can be."""
    return due > now or place.waiting >= limits.waiting


class Gate:
    """Lets the messages of one tenant out, by the paces of the tenant and its receivers.

    `busy` is by receiver, the tenant's own under the empty name; `changed` what to store of it afterwards.
    """

    def __init__(self, busy: dict[str, datetime], now: datetime, limits: FanOut) -> None:
        self._busy = busy
        self._now = now
        self._limits = limits
        self.changed: dict[str, datetime] = {}

    def due(self, receiver: str) -> datetime:
        """When the next message to `receiver` may leave."""
        return max(due for due, _ in self._next(receiver))

    def let_out(self, receiver: str) -> datetime:
        """As `due`, and the message takes up its share of both paces."""
        (own, own_busy), (tenant, tenant_busy) = self._next(receiver)
        for name, busy in ((receiver, own_busy), ("", tenant_busy)):
            self._busy[name] = self.changed[name] = busy
        return max(own, tenant)

    def _next(self, receiver: str) -> Sequence[tuple[datetime, datetime]]:
        now, limits = self._now, self._limits
        return (
            limits.receiver.due(self._busy.get(receiver, now), now),
            limits.tenant.due(self._busy.get("", now), now),
        )


def place(
    places: Sequence[Place], open_ones: frozenset[int], gate: Gate, now: datetime, limits: FanOut
) -> list[Placed | Merged]:
    """Where the messages of one event go, one per endpoint. `open_ones` may still be added to: nobody has seen them."""
    found: list[Placed | Merged] = []
    for one in places:
        into = one.target(open_ones)
        if into is not None and crowded(one, gate.due(one.receiver), now, limits):
            found.append(Merged(into))
        else:
            found.append(Placed(gate.let_out(one.receiver)))
    return found
