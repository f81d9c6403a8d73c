"""Carries recoveries out: claims what is due, asks the pure core, restarts, stores. A job calls `run_once`."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.errors import EcpError, MonitoringUnavailable, TenantNotFound
from ecpmon.isolation import Isolation
from ecpmon.model.recovery import AlertList, AlertStanding, Recovery, RecoveryReason
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployers.restart import NoDeployer, NotDeployed
from ecpmon.orchestrator.recovery import (
    Decision,
    Evidence,
    Facts,
    RecoveryPolicy,
    Restarted,
    RestartFailure,
    after_restart,
    decide,
    evidence_of,
)
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.orchestrator import AlertSource, Circumstances, RecoveryStep, RecoveryStore, Restarter
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import LONGEST, covered

_log = structlog.get_logger(__name__)

TENANT_DOWN: Final = "ECPTenantDown"
_AT_ONCE: Final = 20
# Longer than a deployer may take, so that nobody else takes a restart for abandoned.
_LEASE: Final = timedelta(minutes=2)
# The timeline is read since the last look, and for so long at least and at most.
_LOOKBACK: Final = timedelta(hours=1)
_LONGEST_LOOKBACK: Final = timedelta(days=1)
# An observation of this very instant counts: spans are half-open.
_INSTANT: Final = timedelta(microseconds=1)

# Makes the stored step of a decision: its message and whom it is sent to.
Describe = Callable[[Tenant, Recovery, Decision, datetime], Awaitable[RecoveryStep]]


class Recoverer:
    """`ports.RecoveryDesk`. Everything it remembers is in the rows, so any process can go on with them."""

    def __init__(
        self,
        *,
        recoveries: RecoveryStore,
        tenants: TenantStore,
        availability: AvailabilityStore,
        maintenance: MaintenanceStore,
        intervals: Intervals,
        restarter: Restarter,
        describe: Describe,
        on_event: Callable[[AlertEvent], None],
        quarantine: Quarantine,
        policy: RecoveryPolicy | None = None,
        alertmanager: AlertSource | None = None,
        on_question: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`alertmanager` None: nobody is asked. `on_question` is told whether it answered."""
        self._isolation = Isolation(quarantine, "recovery")
        self._recoveries = recoveries
        self._tenants = tenants
        self._availability = availability
        self._maintenance = maintenance
        self._intervals = intervals
        self._alertmanager = alertmanager
        self._on_question = on_question
        self._restarter = restarter
        self._describe = describe
        self._on_event = on_event
        self._policy = policy or RecoveryPolicy()

    async def alerted(self, alerts: Sequence[ExternalAlert], now: datetime) -> int:
        down = [
            a
            for a in alerts
            if (a.alert_name, a.status) == (TENANT_DOWN, "firing") and a.tenant_id is not None
        ]
        begun = await self._recoveries.begin(down, now) if down else []
        # One line per tenant and state, however many alerts there are.
        for (tenant_id, state), number in Counter(begun).items():
            _log.info("recovery_begun", tenant=tenant_id, state=state.value, alerts=number)
        return len(begun)

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]:
        return await self._recoveries.of_tenant(tenant, limit)

    async def between(
        self, tenant: Tenant, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Recovery, int]]:
        return await self._recoveries.between(tenant, start, end, limit)

    async def forget(self, before: datetime) -> None:
        """Drop what was last touched before `before` and is over."""
        await self._recoveries.forget(before)

    async def run_once(self, now: datetime) -> int:
        """Go on with every recovery that is due; their number. One tenant's trouble stops no other."""
        claimed: dict[str, list[Recovery]] = defaultdict(list)
        for recovery in await self._recoveries.claim(now, _AT_ONCE, _LEASE):
            claimed[recovery.tenant_id].append(recovery)
        listed = await self._listed(claimed)

        async def work(names: list[str]) -> dict[str, None]:
            for recovery in (r for name in names for r in claimed[name]):
                try:
                    await self._go_on(recovery, listed, now)
                except TenantNotFound:
                    continue  # deleted meanwhile
            return dict.fromkeys(names)

        await self._isolation.one_by_one(claimed, work, now)
        return sum(map(len, claimed.values()))

    async def _listed(self, tenants: Collection[str]) -> AlertList | None:
        """One question for all tenants that have something due; None: nobody asked, or nobody answered."""
        if self._alertmanager is None or not tenants:
            return None
        try:
            found = await self._alertmanager.alerts(TENANT_DOWN, tenants)
        except MonitoringUnavailable as error:
            _log.warning("alertmanager_not_asked", error=error.message)
            self._on_question(False)
            return None
        self._on_question(True)
        return found

    async def _go_on(self, recovery: Recovery, listed: AlertList | None, now: datetime) -> None:
        tenant = await self._tenants.get(recovery.tenant_id)
        around = await self._recoveries.circumstances(recovery, tenant, now - self._policy.window, now)
        facts = await self._facts(recovery, tenant, around, listed, now)
        decision = decide(recovery, facts, now, self._policy)
        if decision.again:
            await self._store(tenant, recovery, decision, now)
            recovery = replace(recovery, state=decision.state, reason=decision.reason, detail=decision.detail)
            decision = decide(recovery, facts, now, self._policy)
        if not decision.restart:
            await self._store(tenant, recovery, decision, now)
            if decision.anew and around.firing:
                await self._recoveries.begin([_told_again(recovery, *around.firing)], now)
            return
        marked = await self._recoveries.mark_restart(recovery, now)
        if marked is None:
            return  # somebody else took it
        outcome = await self._restart(tenant, marked.restart_at or now)
        decision = after_restart(marked, outcome, now, self._policy)
        restarted = outcome.deployments if isinstance(outcome, Restarted) else None
        await self._store(tenant, marked, decision, now, restarted)

    async def _restart(self, tenant: Tenant, stamp: datetime) -> Restarted | RestartFailure:
        try:
            return Restarted(await self._restarter.restart(tenant, stamp))
        except NotDeployed as error:
            return RestartFailure(RecoveryReason.NOT_DEPLOYED, error.message, retryable=False)
        except NoDeployer as error:
            return RestartFailure(RecoveryReason.NO_DEPLOYER, error.message, retryable=False)
        except EcpError as error:
            _log.warning("restart_failed", tenant=tenant.tenant_id, error=error.message)
            return RestartFailure(RecoveryReason.RESTART_FAILED, error.message, error.retryable)

    async def _facts(
        self,
        recovery: Recovery,
        tenant: Tenant,
        around: Circumstances,
        listed: AlertList | None,
        now: datetime,
    ) -> Facts:
        alert = AlertStanding.UNKNOWN
        if listed is not None and around.fingerprints:
            alert = listed.of(tenant.tenant_id, around.fingerprints)
        source = tenant.evidence_source
        return Facts(
            evidence=await self._evidence(recovery, tenant, around.observed_at, now),
            holds=self._intervals.shown(source, tenant),
            interval=self._intervals.of(source, tenant),
            resolved=around.resolved,
            alert=alert,
            restarts=around.restarts,
            maintenance_until=await self._maintenance_until(tenant, now),
            beside=around.beside,
            beside_due=around.beside_due,
        )

    async def _evidence(
        self, recovery: Recovery, tenant: Tenant, observed_at: datetime | None, now: datetime
    ) -> Evidence:
        looked_at = recovery.updated_at
        start = max(min(looked_at, now - _LOOKBACK), now - _LONGEST_LOOKBACK)
        spans = await self._availability.timeline(tenant, start, now + _INSTANT, present=True)
        return evidence_of(spans, looked_at, now, self._policy.settle, observed_at)

    async def _maintenance_until(self, tenant: Tenant, now: datetime) -> datetime | None:
        planned = await self._maintenance.of_tenant(tenant)
        off = await asyncio.to_thread(covered, planned, now - LONGEST, now + LONGEST) if planned else []
        return next((i.end for i in off if i.start <= now < i.end), None)

    async def _store(
        self,
        tenant: Tenant,
        recovery: Recovery,
        decision: Decision,
        now: datetime,
        restarted: int | None = None,
    ) -> None:
        step = await self._describe(tenant, recovery, decision, now)
        event = await self._recoveries.advance(recovery, replace(step, restarted=restarted), now)
        if event is not None:
            _log.info(
                "recovery_state", tenant=tenant.tenant_id, old=event.from_state, new=event.to_state,
                reason=event.reason, restarted=restarted,
            )  # fmt: skip
            self._on_event(event)


def _told_again(recovery: Recovery, fingerprint: str, starts_at: datetime) -> ExternalAlert:
    """An alert that never resolved, as Alertmanager would repeat it."""
    name, severity = recovery.alert_name, recovery.severity
    return ExternalAlert(recovery.tenant_id, fingerprint, starts_at, None, "firing", name, severity, {}, {})
