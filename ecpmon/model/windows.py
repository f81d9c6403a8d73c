"""Values of window arithmetic: results per window, incidents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ecpmon.model.maintenance import Interval

ROLLING_WINDOWS: Final[dict[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}


class Verdict(StrEnum):
    """What a contract may claim: the bounds decide, not the point estimate."""

    MET = "met"
    BREACHED = "breached"
    UNDETERMINED = "undetermined"


class SlaStatus(StrEnum):
    MEETING = "meeting"
    AT_RISK = "at_risk"
    VIOLATED = "violated"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Tally:
    """Seconds of each state in a window; `eligible` starts at the tenant's first observation.

    `maintenance` is not part of `eligible`, unless the contract counts it as up; `outside` of the service hours never
    is, and what is planned there is not maintenance. `early`, `late`: seconds of doubt (`windows.unseen`), at least; 0
    where they are found another way.
    """

    eligible: float
    down: float
    gap: float
    maintenance: float = 0.0
    outside: float = 0.0
    early: float = field(default=0.0, compare=False)
    late: float = field(default=0.0, compare=False)

    # Time comes in microseconds. What floats leave over of equal numbers is no time, and less than none has no
    # availability: the database refuses it, and everybody's with it.
    @property
    def measured(self) -> float:
        return max(round(self.eligible - self.gap, 6), 0.0)

    @property
    def up(self) -> float:
        return max(round(self.eligible - self.gap - self.down, 6), 0.0)

    def counting_maintenance_as_up(self) -> Tally:
        return replace(self, eligible=self.eligible + self.maintenance) if self.maintenance else self


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """Seconds; `remaining` is signed and never clamped, `remaining_fraction` is None without eligible time."""

    total: float
    consumed: float

    @property
    def remaining(self) -> float:
        # Who is exactly at the target has spent the budget, not more: floats must not say otherwise.
        return round(self.total - self.consumed, 9)

    @property
    def remaining_fraction(self) -> float | None:
        return self.remaining / self.total if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Incident:
    """An outage, whole: down spans parted by less up time than the flap limit are one, whatever was planned meanwhile.

    `start` and `end` are its own, also where they lie outside of what was asked about; `ongoing`: nobody knows of an
    end. `counted` is what lies inside and outside of maintenance, from the first to the last instant, and
    `down_seconds` the down time charged for it. `recovery_seconds` is the down time of all of it outside of
    maintenance, whatever share of the tenant was down.
    """

    start: datetime
    end: datetime
    down_seconds: float
    ongoing: bool
    recovery_seconds: float
    counted: Interval


@dataclass(frozen=True, slots=True)
class Outages:
    """The incidents that a window has a part of, counted: `over` of them have ended, after `seconds` of down time.

    That is all down time of these, what lies before the window as well: `Incident.recovery_seconds`.
    """

    count: int
    over: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cause:
    """What the evidence says was wrong when an incident began: services that were down, too many errors."""

    services: tuple[str, ...] = ()
    errors: bool = False

    def shown(self) -> str | None:
        """A phrase for people; None when nothing is known."""
        parts = [f"down: {', '.join(self.services)}"] if self.services else []
        return "; ".join(parts + (["too many errors"] if self.errors else [])) or None


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """One tenant in one window `[start, end)`, as far as totals tell. Fractions, seconds, unrounded.

    `low` and `high`: the bounds of `availability`, never narrower than the order of what happened makes them.
    `to_come`: how much of a calendar period that is not over will yet be eligible, as far as is planned. `target`,
    `budget` and `status` are those of the whole period, `tally`, `availability` and `burn_rate` of what has passed.
    """

    window: str
    start: datetime
    end: datetime
    target: float
    tally: Tally
    availability: float | None
    # By the accounting rule that the contract did not pick; the same where there was no maintenance.
    availability_other_accounting: float | None
    coverage: float | None
    low: float | None
    high: float | None
    status: SlaStatus
    budget: ErrorBudget
    burn_rate: float | None
    projected_exhaustion: datetime | None
    to_come: float = 0.0


@dataclass(frozen=True, slots=True)
class WindowResult(WindowFigures):
    """Everything known about the window: the order of what happened gives exact bounds, and incidents as well.

    `verdict` is that of the whole window, if all that is to come of it is up.
    """

    verdict: Verdict = field(kw_only=True)
    outages: Outages = field(kw_only=True)

    @property
    def failure_count(self) -> int:
        return self.outages.count

    @property
    def recovery_time_avg(self) -> float | None:
        """Mean seconds to recover over the incidents that have ended; None without one.

        The down time of the whole incident, outside of maintenance and whatever share of the tenant was down.
        """
        return self.outages.seconds / self.outages.over if self.outages.over else None

    @property
    def time_between_failures_avg(self) -> float | None:
        """Mean seconds of up time per failure (MTBF); None without a failure."""
        return self.tally.up / self.failure_count if self.failure_count else None
