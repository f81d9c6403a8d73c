"""Acknowledging alerts: somebody has seen one and looks after it, until it is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ecpmon.errors import Conflict
from ecpmon.model.alerts import RuleStatus, TransitionReason
from ecpmon.model.tenants import Tenant
from ecpmon.ports.acknowledging import Acknowledgement, AcknowledgementStore
from ecpmon.ports.alerts import AlertEvent, AlertStore, NewEvent, RuleWithState

# As for `RuleDesk`.
_TRIES: Final = 5


class AcknowledgementDesk:
    """`on_event` is called after the commit, once per stored event. Nobody is sent a message."""

    def __init__(
        self, alerts: AlertStore, store: AcknowledgementStore, on_event: Callable[[AlertEvent], None]
    ) -> None:
        self._alerts = alerts
        self._store = store
        self._on_event = on_event

    async def acknowledge(self, tenant: Tenant, rule_id: str, said: Acknowledgement) -> Acknowledgement:
        """What is on record of the alert that the rule is in: what somebody said before stays.

        Raises NotFound, Conflict (it does not fire).
        """
        for _ in range(_TRIES):
            entry = await self._entry_that_fires(tenant, rule_id)
            before = (await self._store.of_standing_alerts(tenant)).get(entry.alert_id or "")
            if before is not None:
                return before
            text = f"{entry.rule.alert_name} is acknowledged for {tenant.tenant_id} by {said.said_by}"
            event = _said_of(entry, TransitionReason.ACKNOWLEDGED, text, said.at)
            if self._told(await self._store.keep_seen(tenant, entry, said, event)):
                return said
        raise _too_busy()

    async def take_back(self, tenant: Tenant, rule_id: str, by: str, now: datetime) -> None:
        """Nothing happens when nobody has acknowledged it. Raises as `acknowledge`."""
        for _ in range(_TRIES):
            entry = await self._entry_that_fires(tenant, rule_id)
            if entry.alert_id not in await self._store.of_standing_alerts(tenant):
                return
            text = f"{entry.rule.alert_name} is not acknowledged any more for {tenant.tenant_id}, says {by}"
            event = _said_of(entry, TransitionReason.UNACKNOWLEDGED, text, now)
            if self._told(await self._store.forget_seen(tenant, entry, event, now)):
                return
        raise _too_busy()

    async def _entry_that_fires(self, tenant: Tenant, rule_id: str) -> RuleWithState:
        entry = await self._alerts.get(tenant, rule_id)
        if entry.alert_id is None or not (entry.state.status is RuleStatus.FIRING or entry.state.flapping):
            raise Conflict(
                "the rule does not fire, so there is nothing to acknowledge",
                details={"alert_name": entry.rule.alert_name},
            )
        return entry

    def _told(self, event: AlertEvent | None) -> bool:
        if event is not None:
            self._on_event(event)
        return event is not None


def _said_of(entry: RuleWithState, reason: TransitionReason, text: str, now: datetime) -> NewEvent:
    status = entry.state.status.value
    return NewEvent(
        alert_id=entry.alert_id or "",
        from_state=status,
        to_state=status,
        at=now,
        value=entry.state.value,
        threshold=None,
        metric=None,
        reason=reason.value,
        message=text,
        flapping=entry.state.flapping,
    )


def _too_busy() -> Conflict:
    return Conflict("the alert changes its state all the time; try again")
