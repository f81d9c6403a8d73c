"""Values of silences: times at which nobody is told what some alerts do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ecpmon.model.alerts import Severity


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which alerts of a tenant: all that is said must hold, and what is not said is any.

    `rule_id`: of this rule; `alerts`: its name is like one of these, in which `*` is any text; `severities`: one of
    these.
    """

    rule_id: str | None = None
    alerts: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """For some alerts of one tenant. With `rrule` it recurs: `start` is the first time, and it keeps the wall-clock
    time of `time_zone`; `duration` is real time. From `ends_at` on it silences nothing; None: nobody has ended it.
    """

    silence_id: str
    matcher: Matcher
    start: datetime
    duration: timedelta
    reason: str
    created_by: str
    created_at: datetime
    time_zone: str = "UTC"
    rrule: str | None = None
    ends_at: datetime | None = None
    ended_by: str | None = None
