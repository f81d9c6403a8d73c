"""What lists show of a window, from its totals alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecpmon.model.maintenance import Accounting
from ecpmon.model.windows import ErrorBudget, SlaStatus, Tally
from ecpmon.sla.budgets import allowed, status
from ecpmon.sla.parts import Part, Terms, rest_of
from ecpmon.sla.windows import availability, budget_of, wide_bounds


@dataclass(frozen=True, slots=True)
class Brief:
    """What lists show of a window: of `WindowFigures` the fields of these names."""

    availability: float | None
    coverage: float | None
    low: float | None
    high: float | None
    status: SlaStatus
    budget: ErrorBudget
    burn_rate: float | None


def brief(
    excluded: Tally,
    end: datetime,
    target: float,
    previous: SlaStatus | None,
    terms: Terms,
    period_end: datetime | None,
) -> Brief:
    """What `figures` says, as far as it is in a `Brief`."""
    as_up = terms.accounting is Accounting.COUNT_AS_UP and excluded.maintenance > 0
    chosen = excluded.counting_maintenance_as_up() if as_up else excluded
    rest = 0.0 if period_end is None else rest_of(Part(end, period_end, target, terms), end)
    left, measured = budget_of(chosen, target, rest), chosen.measured
    known = measured > 0
    coverage = measured / chosen.eligible if chosen.eligible > 0 else None
    low, high = wide_bounds(chosen)
    return Brief(
        availability=availability(chosen),
        coverage=coverage,
        low=low,
        high=high,
        status=status(left.remaining_fraction, measured, previous, coverage),
        budget=left,
        burn_rate=(chosen.down / measured) / allowed(target) if known else None,
    )
