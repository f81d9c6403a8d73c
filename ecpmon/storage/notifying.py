"""Putting notifications into the outbox, in the transaction of their event: each its own, or merged into what waits."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.alerts import Action, action_to_dict
from ecpmon.model.delivery import FanOut, Gate, Merged, Place, Placed, QueueKey, place
from ecpmon.storage.queries import load

# Others in one message.
_MERGED_RULES: Final = 100


class Notifying:
    """Shared by whoever tells people something. `merged` counts since the start; the metrics read it."""

    def __init__(self, limits: FanOut | None = None) -> None:
        self._limits = limits or FanOut()
        self._sql = load("outbox")
        self.merged = 0
        # Called with queues in which something was just committed that is due at once; a deliverer of this process.
        self.told: Callable[[Collection[QueueKey]], None] = lambda _: None

    @property
    def bounds(self) -> tuple[int, timedelta, int, timedelta, int]:
        """As `put_at_once` takes them: the pace of a receiver, that of a tenant, how many may wait for an endpoint."""
        receiver, tenant = self._limits.receiver, self._limits.tenant
        return receiver.burst, receiver.interval, tenant.burst, tenant.interval, self._limits.waiting

    async def put(
        self,
        connection: Any,
        tenant: int,
        rule_id: str,
        event_id: int,
        messages: Sequence[tuple[str, Action]],
        now: datetime,
    ) -> None:
        """Tell an event to endpoints, one (idempotency key, action) each. The caller holds the transaction."""
        if not messages:
            return
        actions = [action_to_dict(action) for _, action in messages]
        busy = {"": await connection.fetchval(self._sql["lock_pace"], tenant, now)}
        rule, crowd = uuid.UUID(rule_id), self._limits.waiting
        rows = await connection.fetch(self._sql["places"], tenant, actions, rule, crowd, _MERGED_RULES)
        busy |= {r["receiver"]: r["busy_until"] for r in rows if r["busy_until"] is not None}
        places = [Place(r["receiver"], r["waiting"], r["covering"], r["newest"]) for r in rows]
        gate = Gate(busy, now, self._limits)
        found = place(places, await self._open_ones(connection, tenant, places), gate, now, self._limits)
        keys = [uuid.UUID(key) for key, _ in messages]
        own = [(k, a, f.due) for k, a, f in zip(keys, actions, found, strict=True) if isinstance(f, Placed)]
        if own:
            columns = [list(column) for column in zip(*own, strict=True)]
            paces = list(gate.changed), list(gate.changed.values())
            await connection.execute(self._sql["put"], tenant, rule, event_id, now, *columns, *paces)
        into = [f.into for f in found if isinstance(f, Merged)]
        if into:
            await connection.execute(self._sql["merge"], tenant, into, rule, event_id)
            self.merged += len(into)

    async def _open_ones(self, connection: Any, tenant: int, places: Sequence[Place]) -> frozenset[int]:
        waiting = [n for p in places for n in (p.covering, p.newest) if n is not None]
        if not waiting:
            return frozenset()
        rows = await connection.fetch(self._sql["lock_open"], tenant, waiting)
        return frozenset(r["notification_id"] for r in rows)
