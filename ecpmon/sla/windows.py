"""Window arithmetic: availability with bounds, verdict, status, error budget, burn rate, incidents.

Everything is computed from spans, so a 30-day window costs what its incidents cost. Fractions and seconds,
never rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.windows import (
    ROLLING_WINDOWS,
    ErrorBudget,
    Incident,
    SlaStatus,
    Tally,
    Verdict,
    WindowResult,
)
from ecpmon.sla.spans import clip

# Hysteresis of the live status (data-and-sla.md §3; slo-practice: exhausted leaves at 2 %).
AT_RISK_ENTERS: Final = 0.20
AT_RISK_LEAVES: Final = 0.25
VIOLATED_LEAVES: Final = 0.02
FLAP_LIMIT: Final = timedelta(seconds=60)


def tally(spans: Sequence[Span], start: datetime, end: datetime) -> Tally:
    """Seconds per state inside `[start, end)`; what no span covers (before the first observation) is not eligible."""
    inside = clip(spans, start, end)
    by_state = dict.fromkeys(SpanState, 0.0)
    for span in inside:
        by_state[span.state] += span.seconds
    return Tally(sum(by_state.values()), by_state[SpanState.DOWN], by_state[SpanState.GAP])


def availability(seconds: Tally) -> float | None:
    """`(eligible − down − gap) / (eligible − gap)`; None when nothing was measured."""
    return seconds.up / seconds.measured if seconds.measured > 0 else None


def bounds(seconds: Tally) -> tuple[float | None, float | None]:
    """Availability if every gap was down, and if every gap was up."""
    if seconds.eligible <= 0:
        return None, None
    return seconds.up / seconds.eligible, (seconds.up + seconds.gap) / seconds.eligible


def verdict(low: float | None, high: float | None, target: float) -> Verdict:
    """`met` and `breached` only when no assumption about the gaps could change it."""
    if low is None or high is None:
        return Verdict.UNDETERMINED
    if low >= target:
        return Verdict.MET
    return Verdict.BREACHED if high < target else Verdict.UNDETERMINED


def budget(seconds: Tally, target: float) -> ErrorBudget:
    """`(1 − target) × eligible`, and the down time charged to it."""
    return ErrorBudget((1 - target) * seconds.eligible, seconds.down)


def status(remaining: float | None, measured: float, previous: SlaStatus | None) -> SlaStatus:
    """Live status with hysteresis. `remaining` is the fraction of the budget left."""
    if measured <= 0 or remaining is None:
        return SlaStatus.NO_DATA
    violated_until = VIOLATED_LEAVES if previous is SlaStatus.VIOLATED else 0.0
    if remaining < violated_until or remaining < 0:
        return SlaStatus.VIOLATED
    risky_below = AT_RISK_LEAVES if previous in (SlaStatus.AT_RISK, SlaStatus.VIOLATED) else AT_RISK_ENTERS
    at_risk = remaining < risky_below or remaining <= AT_RISK_ENTERS
    return SlaStatus.AT_RISK if at_risk else SlaStatus.MEETING


def burn_rate(seconds: Tally, target: float) -> float | None:
    """Bad fraction of the measured time over the allowed fraction; 1.0 uses the budget up exactly in time."""
    return (seconds.down / seconds.measured) / (1 - target) if seconds.measured > 0 else None


def projected_exhaustion(
    left: ErrorBudget, burn: float | None, target: float, now: datetime
) -> datetime | None:
    """When the budget reaches zero at the present burn rate; None when it does not shrink, `now` when it is gone."""
    if left.total <= 0:
        return None
    if left.remaining <= 0:
        return now
    if not burn:
        return None
    seconds = left.remaining / (burn * (1 - target))
    return now + timedelta(seconds=seconds) if seconds < 10 * 365 * 86_400 else None


def incidents(
    spans: Sequence[Span], start: datetime, end: datetime, flap: timedelta = FLAP_LIMIT
) -> list[Incident]:
    """Down runs inside `[start, end)`, merged when less than `flap` of up time lies between them."""
    found: list[Incident] = []
    for span in clip(spans, start, end):
        if span.state is not SpanState.DOWN:
            continue
        last = found[-1] if found else None
        if last and span.start - last.end < flap and not _gap_between(spans, last.end, span.start):
            found[-1] = Incident(last.start, span.end, last.down_seconds + span.seconds, span.end >= end)
        else:
            found.append(Incident(span.start, span.end, span.seconds, span.end >= end))
    return found


def _gap_between(spans: Sequence[Span], start: datetime, end: datetime) -> bool:
    return any(s.state is SpanState.GAP for s in clip(spans, start, end))


def evaluate(
    window: str,
    spans: Sequence[Span],
    start: datetime,
    end: datetime,
    target: float,
    previous: SlaStatus | None = None,
) -> WindowResult:
    """One window of one tenant. `spans` is the timeline up to `end`; `target` a fraction in (0, 1)."""
    seconds = tally(spans, start, end)
    low, high = bounds(seconds)
    left = budget(seconds, target)
    burn = burn_rate(seconds, target)
    return WindowResult(
        window=window,
        start=start,
        end=end,
        target=target,
        tally=seconds,
        availability=availability(seconds),
        low=low,
        high=high,
        coverage=seconds.measured / seconds.eligible if seconds.eligible > 0 else None,
        verdict=verdict(low, high, target),
        status=status(left.remaining_fraction, seconds.measured, previous),
        budget=left,
        burn_rate=burn,
        projected_exhaustion=projected_exhaustion(left, burn, target, end),
        incidents=tuple(incidents(spans, start, end)),
    )


def rolling(
    spans: Sequence[Span],
    now: datetime,
    target: float,
    previous: Mapping[str, SlaStatus] | None = None,
    names: Sequence[str] = tuple(ROLLING_WINDOWS),
) -> list[WindowResult]:
    """The rolling windows that end at `now`, shortest first as in `ROLLING_WINDOWS`."""
    before = previous or {}
    return [
        evaluate(name, spans, now - ROLLING_WINDOWS[name], now, target, before.get(name)) for name in names
    ]
