"""The deploy gate: no change for a tenant whose error budget is spent, unless somebody answers for it. Pure.

Also what a deployment cost: the budget minutes burned within its hour (data-and-sla.md §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import ErrorBudget
from ecpmon.sla.windows import tally

ATTRIBUTED: Final = timedelta(hours=1)
MIN_REASON: Final = 10


class GateReason(StrEnum):
    """Why a deployment may go on or not. Shared by answers, logs, metrics and tests."""

    BUDGET_LEFT = "budget_left"
    NO_HISTORY = "no_history"  # nothing measured yet: there is no budget to protect
    FORCED = "forced"
    EXHAUSTED = "exhausted"
    FORCED_WITHOUT_REASON = "forced_without_reason"


@dataclass(frozen=True, slots=True)
class GateDecision:
    """`remaining` seconds of the budget of the window that the gate looks at."""

    allowed: bool
    reason: GateReason
    remaining: float


def decide(left: ErrorBudget, *, force: bool = False, why: str = "") -> GateDecision:
    """May a deployment begin? Forcing needs a reason of a few words: it is kept with the deployment."""
    if left.total <= 0:
        return GateDecision(True, GateReason.NO_HISTORY, left.remaining)
    if left.remaining > 0:
        return GateDecision(True, GateReason.BUDGET_LEFT, left.remaining)
    if not force:
        return GateDecision(False, GateReason.EXHAUSTED, left.remaining)
    if len(why.strip()) < MIN_REASON:
        return GateDecision(False, GateReason.FORCED_WITHOUT_REASON, left.remaining)
    return GateDecision(True, GateReason.FORCED, left.remaining)


def burned(
    spans: Sequence[Span], deployed_at: datetime, now: datetime, maintenance: Sequence[Interval] = ()
) -> float:
    """Seconds of the budget burned within the hour after a deployment, as far as it has passed.

    An outage that began before the deployment counts from the deployment on: it was not its cause, and a reader
    sees both times.
    """
    until = min(deployed_at + ATTRIBUTED, now)
    return tally(spans, deployed_at, until, maintenance).down if until > deployed_at else 0.0
