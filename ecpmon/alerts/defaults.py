"""The SLA rules that every tenant has."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from ecpmon.model.alerts import Action, AlertRule, RuleKind, Severity

# Conditions of the budget rules of objectives, and the percentage of the budget at which they fire.
BUDGETS: Final = {"budget_remaining <= 20": 20.0, "budget_remaining <= 0": 0.0}


def default_rules(tenant_id: str, actions: Sequence[Action] = ()) -> list[AlertRule]:
    """The SLA rules every tenant has: two burn-rate policies, the budget at 20 % and at 0, no data."""

    def rule(
        name: str,
        kind: RuleKind,
        condition: str,
        severity: Severity,
        policy: str | None = None,
        wait: int = 0,
    ) -> AlertRule:
        return AlertRule(
            str(uuid.uuid4()), tenant_id, name, kind, condition, wait, severity, tuple(actions), policy
        )

    page, ticket = Severity.PAGE, Severity.TICKET
    budget, burn = RuleKind.BUDGET, RuleKind.BURN_RATE
    return [
        rule("sla_burn_rate_page", burn, "burn rate: 2 % in 1h/5m or 5 % in 6h/30m", page, "page"),
        rule("sla_burn_rate_ticket", burn, "burn rate: 10 % in 1d/2h or 10 % in 3d/6h", ticket, "ticket"),
        rule("sla_budget_low", budget, "budget_remaining(30d) <= 20", ticket),
        rule("sla_budget_exhausted", budget, "budget_remaining(30d) <= 0", page),
        rule("sla_no_data", RuleKind.NO_DATA, "nothing measured for 5 minutes", ticket, wait=300),
    ]
