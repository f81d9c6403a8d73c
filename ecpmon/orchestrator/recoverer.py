"""Carries recoveries out: claims what is due, asks the pure core, restarts, stores. A job calls `run_once`."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.errors import EcpError, TenantNotFound
from ecpmon.isolation import Isolation
from ecpmon.model.availability import SpanState
from ecpmon.model.recovery import Recovery, RecoveryReason
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployers.restart import NoDeployer, NotDeployed
from ecpmon.orchestrator.recovery import (
    Decision,
    Facts,
    RecoveryPolicy,
    Restarted,
    RestartFailure,
    after_restart,
    decide,
)
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.orchestrator import RecoveryStep, RecoveryStore, Restarter
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.maintenance import LONGEST, covered

_log = structlog.get_logger(__name__)

TENANT_DOWN: Final = "ECPTenantDown"
_AT_ONCE: Final = 20
# Longer than a deployer may take, so that nobody else takes a restart for abandoned.
_LEASE: Final = timedelta(minutes=2)
_LOOKBACK: Final = timedelta(hours=1)
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
        restarter: Restarter,
        describe: Describe,
        on_event: Callable[[AlertEvent], None],
        quarantine: Quarantine,
        policy: RecoveryPolicy | None = None,
    ) -> None:
        self._isolation = Isolation(quarantine, "recovery")
        self._recoveries = recoveries
        self._tenants = tenants
        self._availability = availability
        self._maintenance = maintenance
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

    async def forget(self, before: datetime) -> None:
        """Drop what was last touched before `before` and is over."""
        await self._recoveries.forget(before)

    async def run_once(self, now: datetime) -> int:
        """Go on with every recovery that is due; their number. One tenant's trouble stops no other."""
        claimed: dict[str, list[Recovery]] = defaultdict(list)
        for recovery in await self._recoveries.claim(now, _AT_ONCE, _LEASE):
            claimed[recovery.tenant_id].append(recovery)

        async def work(names: list[str]) -> dict[str, None]:
            for recovery in (r for name in names for r in claimed[name]):
                try:
                    await self._go_on(recovery, now)
                except TenantNotFound:
                    continue  # deleted meanwhile
            return dict.fromkeys(names)

        await self._isolation.one_by_one(claimed, work, now)
        return sum(map(len, claimed.values()))

    async def _go_on(self, recovery: Recovery, now: datetime) -> None:
        tenant = await self._tenants.get(recovery.tenant_id)
        facts = await self._facts(recovery, tenant, now)
        decision = decide(recovery, facts, now, self._policy)
        if not decision.restart:
            await self._store(tenant, recovery, decision, now)
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

    async def _facts(self, recovery: Recovery, tenant: Tenant, now: datetime) -> Facts:
        planned = await self._maintenance.of_tenant(tenant)
        off = await asyncio.to_thread(covered, planned, now - LONGEST, now + LONGEST) if planned else []
        during = [i for i in off if i.start <= now < i.end]
        return Facts(
            state=await self._state(tenant, now),
            resolved=await self._recoveries.alert_resolved(recovery, tenant),
            restarts=await self._recoveries.restarts_since(recovery, tenant, now - self._policy.window),
            maintenance_until=during[0].end if during else None,
        )

    async def _state(self, tenant: Tenant, now: datetime) -> SpanState | None:
        spans = await self._availability.timeline(tenant, now - _LOOKBACK, now + _INSTANT)
        return spans[-1].state if spans and spans[-1].end > now else None

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
