"""The error budget of a window: what may go bad, what is left of it, how fast it goes. Pure.

Shared by objectives of time (`sla.windows`) and of counted requests (`sla.ratios`); nothing is rounded here.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from ecpmon.model.windows import ErrorBudget, SlaStatus, Tally

# Hysteresis of the live status (data-and-sla.md §3; slo-practice: exhausted leaves at 2 %).
AT_RISK_ENTERS: Final = 0.20
AT_RISK_LEAVES: Final = 0.25
VIOLATED_LEAVES: Final = 0.02
# Of a window of which less was measured nothing good is said.
LEAST_COVERAGE: Final = 0.5
# An exhaustion further away than this is not foretold.
_LONGEST: Final = timedelta(days=3650).total_seconds()


@lru_cache(maxsize=4096)
def allowed(target: float) -> float:
    """`1 − target`, without what floats add to it: the target of a contract has at most eight digits."""
    exact = 1 - target
    rounded = round(exact, 12)
    return rounded if math.isclose(rounded, exact, rel_tol=1e-6) else exact


def budget(seconds: Tally, target: float) -> ErrorBudget:
    """`(1 − target) × eligible`, and the down time charged to it."""
    return ErrorBudget(allowed(target) * seconds.eligible, seconds.down)


def status(
    remaining: float | None, measured: float, previous: SlaStatus | None, coverage: float | None = None
) -> SlaStatus:
    """Live status with hysteresis. `remaining` is the fraction of the budget left.

    Silence is not perfection: of whom less than half is known (`coverage`) nobody says that the target is met. What
    was measured as down stays so, however little that was.
    """
    if measured <= 0 or remaining is None:
        return SlaStatus.NO_DATA
    violated_until = VIOLATED_LEAVES if previous is SlaStatus.VIOLATED else 0.0
    if remaining < violated_until or remaining < 0:
        return SlaStatus.VIOLATED
    risky_below = AT_RISK_LEAVES if previous in (SlaStatus.AT_RISK, SlaStatus.VIOLATED) else AT_RISK_ENTERS
    if remaining < risky_below or remaining <= AT_RISK_ENTERS:
        return SlaStatus.AT_RISK
    unknown = coverage is not None and coverage < LEAST_COVERAGE
    return SlaStatus.NO_DATA if unknown else SlaStatus.MEETING


def burn_rate(seconds: Tally, target: float) -> float | None:
    """Bad fraction of the measured time over the allowed fraction; 1.0 uses the budget up exactly in time."""
    measured = seconds.measured
    return (seconds.down / measured) / allowed(target) if measured > 0 else None


def exhausted_at(left: ErrorBudget, bad_per_second: float, now: datetime) -> datetime | None:
    """When the budget is gone if things go bad as fast as that; `now` when it is gone already.

    None when it does not shrink, or not within ten years. `bad_per_second` in the unit of the budget.
    """
    if left.total <= 0:
        return None
    if left.remaining <= 0:
        return now
    if bad_per_second <= 0:
        return None
    seconds = left.remaining / bad_per_second
    return now + timedelta(seconds=seconds) if seconds < _LONGEST else None
