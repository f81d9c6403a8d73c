"""What rules move to, stored with its events and the messages about them: as one statement, or the long way.

States of moves that are to be stored:

    found ── one statement: all rules are as they were read, no message has to wait or to be merged, and nobody who
      │      is told something has a silence ──► stored
      │
      └── it found something else (EC002), and stored nothing ──► a transaction: rules moved ─► which messages are
                                                                  silenced ─► events ─► the messages of each event
                                                                  placed by themselves ──► stored

Formula of the statement (`put_at_once`, 0084_silences.sql), for so many messages of all events together:

    greatest(busy_until, now) + messages × interval <= now + burst × interval, of each receiver and each tenant, and
    pending + messages <= waiting, of each endpoint.

Both sides only rise with each message, so that holds for all exactly where none is `crowded` when they are placed one
after the other (`model.delivery.place`); then each is due at once.

Invariants:

1. Either way it is one transaction in the name of whoever leads, whose term is checked before anything else in it.
2. Locks are taken in the same order: states of rules by their ids, then the paces of tenants.
3. What is returned is committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.alerts import AlertRule, RuleState, action_to_dict
from ecpmon.model.delivery import QueueKey
from ecpmon.ports.alerts import AlertEvent, Move, NewEvent
from ecpmon.ports.leading import leading
from ecpmon.storage.database import Database
from ecpmon.storage.faults import NotAsRemembered, wrap_errors
from ecpmon.storage.flaps import flaps_values
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.queries import load
from ecpmon.storage.silencing import Silencing, Told

# So long after it was read a rule may be moved on: longer than an evaluation takes, unless its process stands still.
READ_FOR: Final = timedelta(seconds=30)
_MOVE_COLUMNS: Final = 15
_EVENT_COLUMNS: Final = 14


def columns(rows: Sequence[tuple[Any, ...]], count: int | None = None) -> list[list[Any]]:
    """As unnest takes them; `count`: how many there are when there may be no row."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count or 0)]


def state_values(state: RuleState, alert_id: str | None) -> tuple[Any, ...]:
    return (
        state.status.value,
        state.since,
        state.pending_since,
        state.held,
        state.evaluated_at,
        state.value,
        state.frozen,
        state.frozen_since,
        flaps_values(state.flaps),
        alert_id,
    )


class Moving:
    """Shared by whoever stores what became of rules."""

    def __init__(self, database: Database, notifying: Notifying) -> None:
        self._database = database
        self._notifying = notifying
        self._silencing = Silencing()
        self._sql = load("alerts")
        # Moves that were stored as one statement, and the long way; since the start.
        self.at_once = 0
        self.the_long_way = 0

    async def store(self, moves: Sequence[Move], now: datetime) -> list[list[AlertEvent] | None]:
        """What came of each move; None: nothing, as its rule is not as it was read."""
        new = [(m.entry.rule, event) for m in moves for event in m.events]
        try:
            taken, numbers, queues = await self._at_once(moves, new, now)
        except NotAsRemembered:
            self.the_long_way += len(moves)
            return await self._the_long_way(moves, now)
        self.at_once += len(moves)
        if numbers:
            self._notifying.told(queues)
        # Of all rules, or, as none is as it was read, of none.
        stored = (event_of(rule, event, n) for (rule, event), n in zip(new, numbers, strict=bool(numbers)))
        return [[next(stored) for _ in m.events] if m.entry.rule.rule_id in taken else None for m in moves]

    async def record(self, connection: Any, new: Sequence[Told], now: datetime) -> list[AlertEvent]:
        """Events of rules whose states are locked, with their messages, in order, in the caller's transaction."""
        if not new:
            return []
        decided = await self._silencing.decide(connection, new, now)
        values = columns([_event_values(rule, event) for rule, event in decided.events])
        row = await connection.fetchrow(self._sql["record_events"], *values)
        await self._silencing.note(connection, decided, row["numbers"], now)
        stored = []
        for (rule, event), number, tenant in zip(decided.events, row["numbers"], row["tenants"], strict=True):
            if event.notifications:
                put = self._notifying.put
                await put(connection, tenant, rule.rule_id, number, event.notifications, now)
            stored.append(event_of(rule, event, number))
        return stored

    async def is_silenced(self, connection: Any, rule: AlertRule, event: NewEvent, now: datetime) -> bool:
        """Whether nobody would be told of an event of a rule whose state is locked."""
        decided = await self._silencing.decide(connection, [(rule, event)], now)
        return any(each.silenced_by is not None for _, each in decided.events)

    async def _at_once(
        self, moves: Sequence[Move], new: Sequence[Told], now: datetime
    ) -> tuple[set[str], Sequence[int], list[QueueKey]]:
        """Rules that were moved, the numbers of the events, and where their messages wait. Raises NotAsRemembered, and
        then nothing is stored."""
        claim = leading.get()
        messages = [
            (place, uuid.UUID(key), action_to_dict(action))
            for place, (_, event) in enumerate(new, start=1)
            for key, action in event.notifications
        ]
        async with self._database.connection() as connection:
            with wrap_errors():
                row = await connection.fetchrow(
                    self._sql["move_at_once"],
                    *((claim.role, claim.term, claim.holder) if claim else (None, None, None)),
                    *columns([_move_values(m) for m in moves], _MOVE_COLUMNS),
                    READ_FOR,
                    *columns([_event_values(rule, event) for rule, event in new], _EVENT_COLUMNS),
                    *columns(messages, 3),
                    now,
                    *self._notifying.bounds,
                )
        queues = [(tenant, receiver) for tenant, receiver in row["queues"] or ()]
        return {str(rule_id) for rule_id in row["taken"]}, row["numbers"] or (), queues

    async def _the_long_way(self, moves: Sequence[Move], now: datetime) -> list[list[AlertEvent] | None]:
        async with self._database.transaction() as connection:
            with wrap_errors():
                values = columns([_move_values(m) for m in moves], _MOVE_COLUMNS)
                taken = {str(r) for r in await connection.fetchval(self._sql["move"], *values, READ_FOR)}
                new = [(m.entry.rule, e) for m in moves if m.entry.rule.rule_id in taken for e in m.events]
                stored = iter(await self.record(connection, new, now))
        return [[next(stored) for _ in m.events] if m.entry.rule.rule_id in taken else None for m in moves]


def _move_values(move: Move) -> tuple[Any, ...]:
    return (
        move.entry.rule.rule_id,
        move.entry.rule.tenant_id,
        move.entry.state.status.value,
        move.entry.state.evaluated_at,
        *state_values(move.after, move.alert_id),
        move.entry.read_at,
    )


def _event_values(rule: AlertRule, event: NewEvent) -> tuple[Any, ...]:
    return (
        rule.rule_id,
        rule.tenant_id,
        event.alert_id,
        event.from_state,
        event.to_state,
        event.at,
        event.value,
        event.threshold,
        event.metric,
        event.reason,
        event.message,
        event.body,
        event.flapping,
        event.suppressed,
    )


def event_of(rule: AlertRule, event: NewEvent, number: int) -> AlertEvent:
    """As it is stored under that number."""
    return AlertEvent(
        event_id=number,
        tenant_id=rule.tenant_id,
        rule_id=rule.rule_id,
        alert_id=event.alert_id,
        alert_name=rule.alert_name,
        severity=rule.severity.value,
        kind=rule.kind.value,
        from_state=event.from_state,
        to_state=event.to_state,
        at=event.at,
        value=event.value,
        threshold=event.threshold,
        metric=event.metric,
        reason=event.reason,
        message=event.message,
        objective=rule.objective,
        flapping=event.flapping,
        suppressed=event.suppressed,
        silenced_by=event.silenced_by,
    )
