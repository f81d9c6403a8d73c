"""Window arithmetic of counted objectives: the same questions as `sla.windows`, asked of good and total. Pure.

Windows are whole minutes, because counts are kept by the minute; they end at the last whole minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecpmon.model.maintenance import Accounting
from ecpmon.model.objectives import Counts, RatioResult, StoredObjective
from ecpmon.model.windows import ErrorBudget, SlaStatus
from ecpmon.sla.budgets import allowed, exhausted_at, status
from ecpmon.sla.counters import MINUTE, NOTHING, minute_of
from ecpmon.sla.maintenance import touching
from ecpmon.sla.periods import period
from ecpmon.sla.windows import Terms, verdict


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` of whole minutes, and the maintenance in it, disjoint and in order, as whole minutes too."""

    window: str
    start: datetime
    end: datetime
    maintenance: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def ranges(self) -> list[tuple[datetime, datetime]]:
        return [(self.start, self.end), *self.maintenance]

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts of a stretch: all of it, and what fell into maintenance."""

    whole: Counts
    maintenance: Counts = NOTHING


def _ceil(ts: datetime) -> datetime:
    floor = minute_of(ts)
    return floor if floor == ts else floor + MINUTE


def stretch(name: str, now: datetime, terms: Terms) -> Stretch:
    """The window `name` as far as the last whole minute. Raises KeyError for an unknown name.

    A minute belongs to maintenance when it begins inside it.
    """
    end = minute_of(now)
    start = min(_ceil(period(name, end, terms.zone).start), end)
    near = touching(terms.maintenance, start - MINUTE, end)
    inside = [(max(_ceil(i.start), start), min(_ceil(i.end), end)) for i in near]
    return Stretch(name, start, end, tuple((a, b) for a, b in inside if a < b))


def ratio(counts: Counts) -> float | None:
    """Good over total, unclamped; None without requests."""
    return counts.good / counts.total if counts.total > 0 else None


def budget(counts: Counts, target: float) -> ErrorBudget:
    """`(1 − target) × total` and what was bad. In events; what is yet to come is not guessed."""
    return ErrorBudget(allowed(target) * counts.total, counts.bad)


def burn_rate(counts: Counts, target: float) -> float | None:
    """Bad fraction over the allowed fraction; 1.0 uses the budget up exactly in time."""
    return (counts.bad / counts.total) / allowed(target) if counts.total > 0 else None


def bounds(counts: Counts, eligible: float) -> tuple[float | None, float | None]:
    """The ratio if everything in the unobserved time had been bad, and if it had been good.

    How much that was nobody knows: it is taken to be as dense as in the observed time, for the bounds only. Exact
    for latency, where the total is the observed time itself.
    """
    if counts.total <= 0 or counts.observed <= 0:
        return None, None
    observed = counts.observed / 1e6
    unseen = counts.total * max(eligible - observed, 0.0) / observed
    everything = counts.total + unseen
    return max(counts.good / everything, 0.0), min((counts.good + unseen) / everything, 1.0)


def projected_exhaustion(left: ErrorBudget, counts: Counts, now: datetime) -> datetime | None:
    """When the budget is gone if things go bad as often as in this window; None when it does not shrink."""
    seconds = counts.observed / 1e6
    return exhausted_at(left, counts.bad / seconds if seconds > 0 else 0.0, now)


def _eligible(span: Stretch, first_at: datetime | None, with_maintenance: bool) -> float:
    """Seconds of the stretch since the first observation, maintenance included or not."""
    if first_at is None or first_at >= span.end:
        return 0.0
    first = max(first_at, span.start)
    seconds = (span.end - first).total_seconds()
    if with_maintenance:
        return seconds
    out = [(max(a, first), b) for a, b in span.maintenance if b > first]
    return seconds - sum((b - a).total_seconds() for a, b in out)


def evaluate(
    span: Stretch,
    measured: Measured,
    first_at: datetime | None,
    target: float,
    previous: SlaStatus | None = None,
    accounting: Accounting = Accounting.EXCLUDE,
) -> RatioResult:
    """One window of one objective. `first_at`: before it nothing is eligible; `target` a fraction in (0, 1)."""
    excluded = measured.whole - measured.maintenance
    # What went wrong during maintenance counts as good.
    as_up = Counts(
        measured.whole.good + measured.maintenance.bad, measured.whole.total, measured.whole.observed
    )
    counting = accounting is Accounting.COUNT_AS_UP
    chosen, other = (as_up, excluded) if counting else (excluded, as_up)
    eligible = _eligible(span, first_at, counting)
    low, high = bounds(chosen, eligible)
    left = budget(chosen, target)
    return RatioResult(
        window=span.window,
        start=span.start,
        end=span.end,
        target=target,
        counts=chosen,
        eligible=eligible,
        ratio=ratio(chosen),
        ratio_other_accounting=ratio(other),
        low=low,
        high=high,
        coverage=min(chosen.observed / 1e6 / eligible, 1.0) if eligible > 0 else None,
        verdict=verdict(low, high, target),
        status=status(left.remaining_fraction, chosen.total, previous),
        budget=left,
        burn_rate=burn_rate(chosen, target),
        projected_exhaustion=projected_exhaustion(left, chosen, span.end),
    )


# (key of the objective, an instant at a whole minute) -> everything counted before it, from some origin
Before = Mapping[tuple[int, datetime], Counts]


def measure(key: int, span: Stretch, before: Before) -> Measured:
    """Counts of a stretch as differences of running sums."""

    def between(start: datetime, end: datetime) -> Counts:
        return before[key, end] - before[key, start]

    planned = NOTHING
    for start, end in span.maintenance:
        planned += between(start, end)
    return Measured(between(span.start, span.end), planned)


def edges(key: int, spans: Iterable[Stretch]) -> set[tuple[int, datetime]]:
    """What `measure` will look up."""
    return {(key, at) for span in spans for both in span.ranges for at in both}


def standing(
    stored: StoredObjective,
    spans: Sequence[Stretch],
    before: Before,
    accounting: Accounting,
    previous: Mapping[tuple[int, str], SlaStatus],
) -> list[RatioResult]:
    """Every stretch of one objective. `previous`: (key, window) -> status so far, for the hysteresis."""
    return [
        evaluate(
            span,
            measure(stored.key, span, before),
            stored.first_at,
            stored.objective.target,
            previous.get((stored.key, span.window)),
            accounting,
        )
        for span in spans
    ]
