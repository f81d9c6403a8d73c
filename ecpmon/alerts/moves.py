"""From what an evaluation finds to what is stored and told of it; shared by all who evaluate rules."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from ecpmon.alerts.evaluate import Reading
from ecpmon.alerts.message import new_event
from ecpmon.model.alerts import RuleState, Transition
from ecpmon.ports.alerts import AlertEvent, AlertStore, Move, RuleWithState

_log = structlog.get_logger(__name__)


class Moves:
    """Makes moves of what was found and stores them; `on_event` is called after the commit, once per event."""

    def __init__(self, alerts: AlertStore, external_url: str, on_event: Callable[[AlertEvent], None]) -> None:
        self._alerts = alerts
        self._external_url = external_url
        self._on_event = on_event

    def of(
        self, entry: RuleWithState, after: RuleState, transitions: Sequence[Transition], reading: Reading
    ) -> Move | None:
        """None: there is nothing to remember."""
        if not transitions and not after.stands and not after.frozen:
            return None
        alert_id = entry.alert_id or (str(uuid.uuid4()) if after.stands else None)
        new = [
            new_event(entry.rule, transition, reading, alert_id, self._external_url)
            for transition in transitions
            if alert_id is not None
        ]
        return Move(entry, after, alert_id if after.stands else None, new)

    async def store(self, moves: Sequence[Move], now: datetime) -> tuple[int, set[str]]:
        """The number of changes that were stored, and of whom some were not, as a rule is not as it was read."""
        changes, late = 0, set[str]()
        for move, stored in zip(moves, await self._alerts.advance(moves, now) if moves else (), strict=True):
            if stored is None:
                late.add(move.entry.rule.tenant_id)
            for event in stored or ():
                _log.info(
                    "alert_state", tenant=event.tenant_id, rule=event.alert_name, old=event.from_state,
                    new=event.to_state, reason=event.reason, value=event.value,
                )  # fmt: skip
                self._on_event(event)
                changes += 1
        return changes, late
