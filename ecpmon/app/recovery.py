"""Wiring of automatic recovery: the rows, who restarts where, and whom the notices go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ecpmon.alerts.message import Draft
from ecpmon.alerts.recovery_notices import actions_of, recovery_drafts, summary
from ecpmon.model.alerts import Action
from ecpmon.model.recovery import Recovery
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployers.restart import RestarterByPlace
from ecpmon.orchestrator.recoverer import Recoverer
from ecpmon.orchestrator.recovery import Decision, RecoveryPolicy, notifies
from ecpmon.ports.alerts import AlertEvent, AlertStore
from ecpmon.ports.orchestrator import AlertSource, RecoveryStep, RecoveryStore, Restarter
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.evidence import Intervals


class Notices:
    """Makes the stored step of a decision; whom it is told to is read when it is made."""

    def __init__(self, alerts: AlertStore, default: Sequence[Action], external_url: str) -> None:
        self._alerts = alerts
        self._default = default
        self._external_url = external_url

    async def describe(
        self, tenant: Tenant, recovery: Recovery, decision: Decision, now: datetime
    ) -> RecoveryStep:
        state, reason, detail = decision.state, decision.reason, decision.detail
        drafts: tuple[Draft, ...] = ()
        if notifies(recovery, decision):
            rules = [entry.rule for entry in await self._alerts.rules(tenant)]
            actions = actions_of(rules, self._default)
            drafts = recovery_drafts(recovery, state, reason, detail, actions, now, self._external_url)
        return RecoveryStep(
            state=state,
            reason=reason,
            detail=detail,
            due_at=decision.due_at,
            message=summary(recovery, state, reason, detail),
            notifications=tuple((d.idempotency_key, d.action) for d in drafts),
            body=drafts[0].payload if drafts else None,
            joined_to=decision.joined_to,
            goes_on=decision.again,
            ended_at=decision.ended_at,
        )


def make_recoverer(
    recoveries: RecoveryStore,
    *,
    tenants: TenantStore,
    availability: AvailabilityStore,
    maintenance: MaintenanceStore,
    intervals: Intervals,
    alerts: AlertStore,
    restarters: Mapping[str, Restarter],
    policy: RecoveryPolicy,
    default_actions: Sequence[Action],
    external_url: str,
    on_event: Callable[[AlertEvent], None],
    quarantine: Quarantine,
    alertmanager: AlertSource | None,
    on_question: Callable[[bool], None],
) -> Recoverer:
    """`restarters` maps a tenant's `deployed_to` to who restarts there; elsewhere recovery escalates at once.

    `alertmanager` is asked about incidents that are due; `on_question` is told whether it answered.
    """
    return Recoverer(
        recoveries=recoveries,
        tenants=tenants,
        availability=availability,
        maintenance=maintenance,
        intervals=intervals,
        restarter=RestarterByPlace(restarters),
        describe=Notices(alerts, default_actions, external_url).describe,
        on_event=on_event,
        quarantine=quarantine,
        policy=policy,
        alertmanager=alertmanager,
        on_question=on_question,
    )
