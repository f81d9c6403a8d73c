"""The deploy gate: no change for a tenant whose error budget is spent, unless somebody answers for it. Pure.

A budget protects what runs. Before the first completed deployment there is nothing to protect (a tenant that is
down because it was never deployed must be deployed), and within the first measured hour a single failed probe is
the budget of a month. So only time since that deployment counts, and only once an hour of it was measured.

Also what a deployment cost: the budget minutes burned within its hour (data-and-sla.md §6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from ecpmon.model.windows import ErrorBudget

# What a deployment cost is told of the hour after it. An outage that began before counts from then on: it was not its
# cause, and a reader sees both times.
ATTRIBUTED: Final = timedelta(hours=1)
# Least measured time from which a budget says anything.
MEASURED_FROM: Final = timedelta(hours=1)
MIN_REASON: Final = 10


class GateReason(StrEnum):
    """Why a deployment may go on or not. Shared by answers, logs, metrics and tests."""

    BUDGET_LEFT = "budget_left"
    FIRST_DEPLOYMENT = "first_deployment"  # nothing of ours has run yet: there is nothing to protect
    NO_HISTORY = "no_history"  # less than an hour measured since the first deployment
    FORCED = "forced"
    EXHAUSTED = "exhausted"
    FORCED_WITHOUT_REASON = "forced_without_reason"


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`remaining` seconds of the budget of the window that the gate looks at."""

    allowed: bool
    reason: GateReason
    remaining: float


def decide(
    left: ErrorBudget, *, deployed: bool, measured: float, force: bool = False, why: str = ""
) -> GateDecision:
    """May a deployment begin? Forcing needs a reason of a few words: it is kept with the deployment.

    `left` and `measured` (seconds) are of the gate's window since the first completed deployment; `deployed`
    says whether there was one.
    """
    if not deployed:
        return GateDecision(True, GateReason.FIRST_DEPLOYMENT, left.remaining)
    if measured < MEASURED_FROM.total_seconds():
        return GateDecision(True, GateReason.NO_HISTORY, left.remaining)
    if left.remaining > 0:
        return GateDecision(True, GateReason.BUDGET_LEFT, left.remaining)
    if not force:
        return GateDecision(False, GateReason.EXHAUSTED, left.remaining)
    if len(why.strip()) < MIN_REASON:
        return GateDecision(False, GateReason.FORCED_WITHOUT_REASON, left.remaining)
    return GateDecision(True, GateReason.FORCED, left.remaining)
