"""Values of status pages: what a tenant's customers are shown, and the links that lead there. No internal names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Language

# `partly`: some of the services are down. `unknown`: what was measured last does not hold any more, or nothing was.
Standing = Literal["up", "partly", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class StatusLink:
    """A link that was given out: never the link itself. `withdrawn_at` None: it is good until `expires_at`."""

    number: int
    label: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What an operator chose: whether anybody may look, and the links, newest first."""

    public: bool
    links: tuple[StatusLink, ...]
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Availability of some time, with its bounds: fractions, None where nothing was eligible. Seconds."""

    availability: float | None
    low: float | None
    high: float | None
    down: float = 0.0
    gap: float = 0.0
    maintenance: float = 0.0
    # Neither promised nor measured: no bar, rather than a bad one.
    eligible: float = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    """`apart`: it is measured by itself; else it is what the tenant as a whole is."""

    name: str
    standing: Standing
    apart: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """Times alone: what was wrong names parts of the inside."""

    start: datetime
    # None: it goes on.
    end: datetime | None
    down_seconds: float


@dataclass(frozen=True, slots=True)
class Announced:
    """Planned maintenance that is on or ahead. `title` is what customers are told; the reason is not."""

    interval: Interval
    title: str


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A statement to be taken away: the newest revision of a month, a quarter or a year."""

    name: str
    revision: int
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What is stored for a page. `links`: by number until when each is good, without those that were withdrawn."""

    public: bool
    links: dict[int, datetime]
    periods: tuple[ClosedPeriod, ...]
    # Of each service that is measured by itself whether it said that it is up; None: it is silent.
    services: dict[str, bool | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a page shows, as of one instant. Days are those of `time_zone`, the last of them today."""

    tenant_id: str
    name: str
    language: Language
    time_zone: str
    as_of: datetime
    target: float
    standing: Standing
    services: tuple[Service, ...]
    days: tuple[tuple[date, Measured], ...]
    whole: Measured
    outages: tuple[Outage, ...]
    # More than are shown.
    more_outages: int
    announced: tuple[Announced, ...]
    periods: tuple[ClosedPeriod, ...]
