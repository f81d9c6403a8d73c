"""The deploy gate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.model.windows import ErrorBudget
from ecpmon.sla.gate import GateReason, decide

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("total", "consumed", "force", "why", "allowed", "reason"),
    [
        (100, 0, False, "", True, GateReason.BUDGET_LEFT),
        (100, 99.9, False, "", True, GateReason.BUDGET_LEFT),
        (100, 100, False, "", False, GateReason.EXHAUSTED),
        (100, 250, False, "a reason without force", False, GateReason.EXHAUSTED),
        (100, 250, True, "  short ", False, GateReason.FORCED_WITHOUT_REASON),
        (100, 250, True, "rolls back the faulty release", True, GateReason.FORCED),
    ],
)
def test_a_spent_budget_stops_deployments_unless_somebody_answers_for_it(
    total: float, consumed: float, force: bool, why: str, allowed: bool, reason: GateReason
) -> None:
    decision = decide(ErrorBudget(total, consumed), deployed=True, measured=3600, force=force, why=why)
    assert (decision.allowed, decision.reason) == (allowed, reason)
    assert decision.remaining == pytest.approx(total - consumed)


def test_before_the_first_deployment_there_is_nothing_to_protect() -> None:
    decision = decide(ErrorBudget(100, 250), deployed=False, measured=86_400)
    assert (decision.allowed, decision.reason) == (True, GateReason.FIRST_DEPLOYMENT)


@pytest.mark.parametrize(
    ("measured", "reason"),
    [(0, GateReason.NO_HISTORY), (3599.9, GateReason.NO_HISTORY), (3600, GateReason.EXHAUSTED)],
)
def test_a_budget_counts_once_an_hour_was_measured(measured: float, reason: GateReason) -> None:
    decision = decide(ErrorBudget(100, 250), deployed=True, measured=measured)
    assert (decision.allowed, decision.reason) == (reason is GateReason.NO_HISTORY, reason)
