"""Window arithmetic: availability with bounds, verdict, incidents; with `sla.budgets`, status and error budget.

Everything is computed from spans, so a 30-day window costs what its incidents cost. Fractions and seconds,
never rounded here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from itertools import islice, pairwise
from operator import attrgetter

from ecpmon.model import sums
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import (
    ErrorBudget,
    SlaStatus,
    Tally,
    Verdict,
    WindowFigures,
    WindowResult,
)
from ecpmon.sla.budgets import allowed, burn_rate, exhausted_at, status
from ecpmon.sla.cuts import Measured, minutes_cut, widened
from ecpmon.sla.incidents import counted, incidents
from ecpmon.sla.maintenance import exclude, touching
from ecpmon.sla.parts import Part, Terms, added, maintenance_of, rest_of, shared_target
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.sla.spans import clip


def tally(
    spans: Sequence[Span],
    start: datetime,
    end: datetime,
    maintenance: Sequence[Interval] = (),
    outside: Sequence[Interval] = (),
) -> Tally:
    """Seconds per state inside `[start, end)`.

    What no span covers (before the first observation) is not eligible, nor is `maintenance`, of which `outside` is the
    part that lies outside of the service hours.
    """
    inside = clip(spans, start, end)
    eligible = down = gap = 0.0
    for span in exclude(inside, maintenance):
        seconds = span.seconds
        eligible += seconds
        if span.state is not SpanState.UP:
            down += seconds * span.down_share
            gap += seconds * span.unknown_share
    whole = sum(s.seconds for s in inside) if maintenance else eligible
    never = whole - sum(s.seconds for s in exclude(inside, outside)) if outside else 0.0
    # Time comes in microseconds: exactly at a target is exactly at it, however many spans were added up.
    return Tally(
        round(eligible, 6), round(down, 6), round(gap, 6), round(whole - eligible - never, 6), round(never, 6)
    )


def _fraction(part: float, whole: float) -> float:
    """`part / whole` of two times, in whole microseconds: 2591740.8 of 2592000 s is 0.9999, and floats say less."""
    return round(part * 1e6) / round(whole * 1e6)


def availability(seconds: Tally) -> float | None:
    """`(eligible − down − gap) / (eligible − gap)`; None when nothing was measured."""
    return _fraction(seconds.up, seconds.measured) if seconds.measured > 0 else None


def bounds(seconds: Tally, early: float = 0.0, late: float = 0.0) -> tuple[float | None, float | None]:
    """Availability if every gap was down, and if every gap was up.

    `early` and `late`: seconds of `unseen`.
    """
    if seconds.eligible <= 0:
        return None, None
    low = _fraction(seconds.up - early, seconds.eligible)
    high = _fraction(seconds.up + seconds.gap + late, seconds.eligible)
    return max(low, 0.0), min(high, 1.0)


def wide_bounds(seconds: Tally) -> tuple[float | None, float | None]:
    """`bounds` where only totals are known, and never narrower."""
    return bounds(seconds, seconds.early, seconds.late)


def unseen(
    spans: Sequence[Span],
    start: datetime,
    end: datetime,
    maintenance: Sequence[Interval] = (),
    coarse: Collection[date] = (),
) -> tuple[float, float]:
    """(early, late) for `bounds`: for how many seconds the tenant may have been down, and up, before that was seen.

    Between two shares of down it is their difference that counts. A state that a gap follows was held for a while
    after its last observation, so that the other state may have begun before the gap. What follows a gap begins with
    an observation, and the gap is in the bounds already. Only what lies within `[start, end)` counts, and not in
    maintenance; of changes after `end`, too, as far as `spans` know of them. What happened wholly between two
    observations nobody saw. `coarse`: days that are kept by the minute, of whose minutes a part is in doubt as
    `sla.cuts` says.
    """
    early, late = _unseen(spans, start, end, maintenance)
    if not coarse:
        return early, late
    planned = touching(maintenance, start, end)
    cut = minutes_cut((start, end, *(at for i in planned for at in (i.start, i.end))), coarse)
    more, further = widened(
        start, end, cut,
        lambda a, b: _measured(spans, a, b, ()),
        lambda a, b: _measured(spans, a, b, maintenance),
    )  # fmt: skip
    return max(early + more, 0.0), max(late + further, 0.0)


def _measured(
    spans: Sequence[Span], start: datetime, end: datetime, maintenance: Sequence[Interval]
) -> Measured:
    seconds = tally(spans, start, end, maintenance)
    doubts = _unseen(spans, start, end, maintenance)
    return Measured(seconds.eligible, seconds.down, seconds.gap, *doubts)


def _unseen(
    spans: Sequence[Span], start: datetime, end: datetime, maintenance: Sequence[Interval]
) -> tuple[float, float]:
    early = late = 0.0
    if spans:  # before the first observation nothing counts
        start = max(start, spans[0].start)
    first = bisect_right(spans, start, key=attrgetter("end"))
    longest = timedelta(seconds=max((span.doubt for span in islice(spans, first, None)), default=0.0))
    for before, after in pairwise(islice(spans, first, None)):
        if after.doubt and not before.is_blind and before.end == after.start:
            since = max(after.start - timedelta(seconds=after.doubt), start)
            seconds = _outside(since, min(after.start, end), maintenance)
            sooner, later = doubted(before, after)
            early += sooner * seconds
            late += later * seconds
        if after.start > end + longest:
            break
    return early, late


def _outside(start: datetime, end: datetime, maintenance: Sequence[Interval]) -> float:
    """The seconds of `[start, end)` that are no maintenance."""
    planned = touching(maintenance, start, end) if start < end else []
    return max((end - start).total_seconds() - sum((i.end - i.start).total_seconds() for i in planned), 0.0)


def doubted(before: Span, after: Span) -> tuple[float, float]:
    """Which share of the tenant may have gone down, and come up, sooner than `after` began.

    What is unknown beside what is down `before` is taken for up, as the running sums do: it makes the bounds wider.
    """
    was_unknown = before.share if before.state is SpanState.GAP else 0.0
    return sums.doubted(before.down_share, was_unknown, after.down_share, after.unknown_share)


def verdict(low: float | None, high: float | None, target: float) -> Verdict:
    """`met` and `breached` only when no assumption about the gaps could change it."""
    if low is None or high is None:
        return Verdict.UNDETERMINED
    if low >= target:
        return Verdict.MET
    return Verdict.BREACHED if high < target else Verdict.UNDETERMINED


def at_best(share: float | None, seconds: float, to_come: float) -> float | None:
    """What a share of up time of so many seconds comes to if all that is to come is up; None stays None."""
    return share if share is None or to_come <= 0 else _fraction(share * seconds + to_come, seconds + to_come)


def judged(w: WindowFigures, low: float | None, high: float | None) -> Verdict:
    """The verdict of a window with these bounds, of the whole of it if all that is to come is up.

    So an open period is breached when its whole budget is surely spent, and met as long as it surely is not.
    """
    eligible, rest = w.tally.eligible, w.to_come
    return verdict(at_best(low, eligible, rest), at_best(high, eligible, rest), w.target)


def evaluate(
    window: str,
    spans: Sequence[Span],
    start: datetime,
    end: datetime,
    target: float,
    previous: SlaStatus | None = None,
    terms: Terms | None = None,
    period_end: datetime | None = None,
    known: datetime | None = None,
    coarse: Collection[date] = (),
) -> WindowResult:
    """One window of one tenant, as far as `end`.

    `spans` is the timeline up to `end`, from where an outage that goes on at `start` began; `target` a fraction in
    (0, 1). With `period_end` after `end` (a calendar period that is not over) budget and verdict are those of the whole
    period, if no more of it goes down.
    Outages are as they were known at `known` (None: at `end`). `coarse`: as in `unseen`.
    """
    part = Part(start, period_end or end, target, terms or Terms())
    return evaluate_parts(window, spans, [part], end, previous, known, coarse)


def figures(
    window: str,
    excluded: Tally,
    start: datetime,
    end: datetime,
    target: float,
    previous: SlaStatus | None,
    terms: Terms,
    period_end: datetime | None,
) -> WindowFigures:
    """What `evaluate` says about a window of which only the totals outside of maintenance are known."""
    chosen, other = accounted(excluded, terms)
    rest = 0.0 if period_end is None else rest_of(Part(start, period_end, target, terms), end)
    left = budget_of(chosen, target, rest)
    return _shown(window, start, end, target, chosen, other, left, previous, period_end, rest)


def figures_of(
    window: str, parts: Sequence[Part], tallies: Sequence[Tally], now: datetime, previous: SlaStatus | None
) -> WindowFigures:
    """The same of a window in parts: their budgets are added up. `tallies`: of each as far as `now`."""
    start, end = parts[0].start, parts[-1].end
    period_end = end if end > now else None
    if len(parts) == 1:
        [only], [seconds] = parts, tallies
        return figures(window, seconds, start, now, only.target, previous, only.terms, period_end)
    chosen, other = zip(
        *(accounted(t, part.terms) for part, t in zip(parts, tallies, strict=True)), strict=True
    )
    whole, rests = added(chosen), [rest_of(part, now) for part in parts]
    eligible = [t.eligible + rest for t, rest in zip(chosen, rests, strict=True)]
    total = sum(allowed(part.target) * seconds for part, seconds in zip(parts, eligible, strict=True))
    left = ErrorBudget(total if whole.eligible > 0 else 0.0, whole.down)
    current = next((part.target for part in parts if part.start <= now < part.end), parts[-1].target)
    target = shared_target([part.target for part in parts], eligible, current)
    return _shown(window, start, now, target, whole, added(other), left, previous, period_end, sum(rests))


def accounted(excluded: Tally, terms: Terms) -> tuple[Tally, Tally]:
    """As the terms account for maintenance, and as they do not."""
    as_up = excluded.counting_maintenance_as_up()
    return (as_up, excluded) if terms.accounting is Accounting.COUNT_AS_UP else (excluded, as_up)


def _shown(
    window: str,
    start: datetime,
    end: datetime,
    target: float,
    chosen: Tally,
    other: Tally,
    left: ErrorBudget,
    previous: SlaStatus | None,
    period_end: datetime | None,
    rest: float,
) -> WindowFigures:
    burn = burn_rate(chosen, target)
    gone = exhausted_at(left, (burn or 0.0) * allowed(target), end)
    if gone is not None and period_end is not None and gone >= period_end:
        gone = None  # the next period has a budget of its own
    coverage = chosen.measured / chosen.eligible if chosen.eligible > 0 else None
    low, high = wide_bounds(chosen)
    share = availability(chosen)
    return WindowFigures(
        window=window,
        start=start,
        end=period_end or end,
        target=target,
        tally=chosen,
        availability=share,
        availability_other_accounting=share if other is chosen else availability(other),
        coverage=coverage,
        low=low,
        high=high,
        status=status(left.remaining_fraction, chosen.measured, previous, coverage),
        budget=left,
        burn_rate=burn,
        projected_exhaustion=gone,
        to_come=rest,
    )


def budget_of(seconds: Tally, target: float, rest: float) -> ErrorBudget:
    """`(1 − target) × (eligible + rest)`, and the down time charged to it; nothing until something was eligible."""
    total = allowed(target) * (seconds.eligible + rest) if seconds.eligible > 0 else 0.0
    return ErrorBudget(total, seconds.down)


def standing(
    spans: Sequence[Span],
    now: datetime,
    target: float,
    previous: Mapping[str, SlaStatus] | None = None,
    names: Sequence[str] = WINDOW_NAMES,
    terms: Terms | None = None,
) -> list[WindowResult]:
    """Every window called for, as of `now`: rolling ones end there, calendar ones are as far as they have got."""
    before, terms = previous or {}, terms or Terms()
    return [
        evaluate_parts(name, spans, terms.parts(name, now, target), now, before.get(name)) for name in names
    ]


def evaluate_parts(
    window: str,
    spans: Sequence[Span],
    parts: Sequence[Part],
    now: datetime,
    previous: SlaStatus | None = None,
    known: datetime | None = None,
    coarse: Collection[date] = (),
) -> WindowResult:
    """`evaluate` of a window in parts, as far as `now`."""
    start, end, off = parts[0].start, min(parts[-1].end, now), maintenance_of(parts)
    tallies = [tally(spans, p.start, p.until(now), p.terms.maintenance, p.terms.outside) for p in parts]
    base = figures_of(window, parts, tallies, now, previous)
    low, high = bounds(base.tally, *unseen(spans, start, end, off, coarse))
    return WindowResult(
        **{field.name: getattr(base, field.name) for field in fields(base)} | {"low": low, "high": high},
        verdict=judged(base, low, high),
        outages=counted(incidents(spans, start, end, off, known)),
    )
