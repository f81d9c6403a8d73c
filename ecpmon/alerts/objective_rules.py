"""The rules that every objective has, kept in step with the objectives.

A tenant's own objective has them from its definition on, one that every tenant has once there is something counted for
it. `alerts: false` in an objective takes them away. An alert that stands ends with its objective, and one whose
objective counts something else now begins anew; both are told.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from ecpmon.alerts.defaults import BUDGETS
from ecpmon.alerts.desk import RuleDesk
from ecpmon.errors import NotFound, TenantNotFound
from ecpmon.isolation import Isolation
from ecpmon.model.alerts import Action, AlertRule, RuleKind, Severity, TransitionReason
from ecpmon.model.objectives import StoredObjective
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertStore
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.sla import ObjectiveStore
from ecpmon.ports.tenants import TenantStore

JOB: Final = "objective_rules"
# Tenants whose new rules are one transaction.
_TOGETHER: Final = 50
_LOW, _EXHAUSTED = BUDGETS
# What each objective has: end of the name, kind, condition, severity, policy.
_SHAPES: tuple[tuple[str, RuleKind, str, Severity, str | None], ...] = (
    ("burn_rate_page", RuleKind.BURN_RATE, "burn rate: 2 % in 1h/5m or 5 % in 6h/30m", Severity.PAGE, "page"),
    ("burn_rate_ticket", RuleKind.BURN_RATE, "burn rate: 10 % in 1d/2h or 10 % in 3d/6h", Severity.TICKET, "ticket"),
    ("budget_low", RuleKind.BUDGET, _LOW, Severity.TICKET, None),
    ("budget_exhausted", RuleKind.BUDGET, _EXHAUSTED, Severity.PAGE, None),
    ("no_data", RuleKind.NO_DATA, "nothing counted for 5 minutes", Severity.TICKET, None),
)  # fmt: skip


def name_of(objective: str, ending: str) -> str:
    """Of a rule: `slo_checkout_burn_rate_page`."""
    return f"slo_{objective}_{ending}"


def rules_of(stored: StoredObjective, actions: Sequence[Action] = ()) -> list[AlertRule]:
    """The rules of one objective: two burn-rate policies, the budget at 20 % and at 0, no data."""
    name = stored.objective.name
    return [
        AlertRule(
            str(uuid.uuid4()), stored.tenant_id, name_of(name, ending), kind, condition, 0, severity, tuple(actions),
            policy, name, stored.key,
        )
        for ending, kind, condition, severity, policy in _SHAPES
    ]  # fmt: skip


def has_rules(stored: StoredObjective) -> bool:
    """Whether rules are made for it."""
    return stored.objective.alerts and (not stored.inherited or stored.first_at is not None)


class ObjectiveRules:
    """For the job and for whoever changes objectives; `actions`: whom a new rule tells."""

    def __init__(
        self,
        alerts: AlertStore,
        objectives: ObjectiveStore,
        tenants: TenantStore,
        desk: RuleDesk,
        quarantine: Quarantine,
        actions: Sequence[Action] = (),
    ) -> None:
        self._alerts = alerts
        self._objectives = objectives
        self._tenants = tenants
        self._desk = desk
        self._quarantine = quarantine
        self._isolation = Isolation(quarantine, JOB)
        self._actions = actions

    async def settle_all(self, now: datetime) -> None:
        """Of every live tenant whose rules are not those of its objectives."""

        async def work(names: list[str]) -> dict[str, None]:
            for first in range(0, len(names), _TOGETHER):
                missing: list[AlertRule] = []
                for name in names[first : first + _TOGETHER]:
                    with suppress(TenantNotFound):
                        missing += await self._settled(await self._tenants.get(name), now)
                await self._make(missing, now)
            return dict.fromkeys(names)

        wanting = await self._alerts.tenants_with_other_objectives(len(_SHAPES))
        # Who is in quarantine may be well, and lack nothing.
        held = {name for name, _ in await self._quarantine.held(JOB)}
        await self._isolation.together([*wanting, *sorted(held - {*wanting})], work, now)

    async def settle(self, tenant: Tenant, now: datetime) -> None:
        """Of one tenant."""
        await self._make(await self._settled(tenant, now), now)

    async def _settled(self, tenant: Tenant, now: datetime) -> list[AlertRule]:
        """What is no longer right is ended or begins anew; the rules that are missing."""
        live = {s.objective.name: s for s in await self._objectives.of_tenant(tenant) if s.objective.alerts}
        held: set[str] = set()
        for entry in await self._alerts.rules(tenant):
            rule = entry.rule
            if rule.objective is None:
                continue
            stored = live.get(rule.objective)
            if stored is None:
                with suppress(NotFound):  # somebody else was faster
                    await self._desk.delete(tenant, rule.rule_id, now, TransitionReason.OBJECTIVE_REMOVED)
                continue
            held.add(rule.alert_name)
            if rule.objective_key != stored.key:
                with suppress(NotFound):
                    await self._desk.replace(tenant, replace(rule, objective_key=stored.key), now)
        fresh = (rule for o in filter(has_rules, live.values()) for rule in rules_of(o, self._actions))
        return [rule for rule in fresh if rule.alert_name not in held]

    async def _make(self, rules: Sequence[AlertRule], now: datetime) -> None:
        if rules:
            await self._alerts.create_missing(rules, now)
