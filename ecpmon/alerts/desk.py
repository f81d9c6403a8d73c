"""Deleting and replacing rules: an alert that stands ends with its rule, and everybody who heard of it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ecpmon.alerts.machine import withdraw
from ecpmon.alerts.message import new_event
from ecpmon.errors import Conflict
from ecpmon.model.alerts import AlertRule, TransitionReason
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, AlertStore, NewEvent, RuleWithState

# The engine may move the state between our read and our write; more often than this it never does.
_TRIES: Final = 5


class RuleDesk:
    """What people do with rules that have a state. The change and its messages are one transaction."""

    def __init__(self, alerts: AlertStore, external_url: str, on_event: Callable[[AlertEvent], None]) -> None:
        """`on_event` is called after the commit, once per stored event."""
        self._alerts = alerts
        self._external_url = external_url
        self._on_event = on_event

    async def delete(
        self,
        tenant: Tenant,
        rule_id: str,
        now: datetime,
        reason: TransitionReason = TransitionReason.RULE_DELETED,
    ) -> None:
        """Raises NotFound, Conflict."""
        for _ in range(_TRIES):
            entry = await self._alerts.get(tenant, rule_id)
            ends = self._ends(entry, reason, now)
            if self._told(await self._alerts.delete(tenant, entry, ends, now)):
                return
        raise _too_busy()

    async def replace(self, tenant: Tenant, rule: AlertRule, now: datetime) -> RuleWithState:
        """The rule of the same id becomes `rule` and starts anew; one that is the same already goes on as it is.

        What was sent about the old one stays on record. Raises NotFound, Conflict (also for a name that is taken).
        """
        for _ in range(_TRIES):
            entry = await self._alerts.get(tenant, rule.rule_id)
            if rule == entry.rule:
                return entry
            state, _ = withdraw(entry.state, now, TransitionReason.RULE_REPLACED)
            ends = self._ends(entry, TransitionReason.RULE_REPLACED, now)
            if self._told(await self._alerts.replace(tenant, entry, rule, state, ends, now)):
                return RuleWithState(rule, state, None, entry.created_at)
        raise _too_busy()

    def _ends(self, entry: RuleWithState, reason: TransitionReason, now: datetime) -> list[NewEvent]:
        _, transitions = withdraw(entry.state, now, reason)
        alert_id = entry.alert_id or ""  # an alert that is pending or firing has one
        return [new_event(entry.rule, change, None, alert_id, self._external_url) for change in transitions]

    def _told(self, stored: Sequence[AlertEvent] | None) -> bool:
        for event in stored or ():
            self._on_event(event)
        return stored is not None


def _too_busy() -> Conflict:
    return Conflict("the alert changes its state all the time; try again")
