"""What a status page shows, made of a contract, marks and spans. Pure; in a process that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from ecpmon.compute.parcels import Sealed
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Category, Interval, Maintenance
from ecpmon.model.status_pages import Announced, Measured, Outage, PageFacts, Reading, Service, Standing
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import WindowResult
from ecpmon.ports.sla import PackedSpans
from ecpmon.sla.incidents import incidents
from ecpmon.sla.ledger import Ledger, Question, evaluate, question
from ecpmon.sla.maintenance import LONGEST, occurrences, zone
from ecpmon.sla.parts import Terms
from ecpmon.sla.terms import off_between, terms_of

DAYS: Final = 90
# Spans that are not up that are read for the outages, and outages that are shown.
MOST_CHANGES: Final = 5_000
MOST_OUTAGES: Final = 100
# How far ahead is announced, and of all windows together.
AHEAD: Final = timedelta(days=90)
MOST_ANNOUNCED: Final = 20
# What else is left out is between the parties.
_ANNOUNCED: Final = (Category.MAINTENANCE, Category.DEPLOYMENT)


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """The instants whose marks are needed, and what goes on from them."""

    instants: Sequence[datetime]
    earlier: Sequence[Interval]
    since: datetime
    rest: Sealed[tuple[Terms, Question, list[tuple[date, datetime]]]]


def asked(tenant: Tenant, planned: Sequence[Maintenance], now: datetime) -> PageQuestion:
    """For the last `DAYS` days of the tenant's zone, today among them. Raises LimitReached."""
    days = _days(tenant, now)
    terms = terms_of(tenant, planned, now)
    found = question(now, terms, (), [begin for _, begin in days])
    return PageQuestion(found.instants, found.earlier, days[0][1], Sealed((terms, found, days)))


def _days(tenant: Tenant, now: datetime) -> list[tuple[date, datetime]]:
    """Each with the instant at which it begins."""
    local = zone(tenant.time_zone)
    today = now.astimezone(local).date()
    days = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    return [(day, datetime.combine(day, time(), local).astimezone(UTC)) for day in days]


def made(
    tenant: Tenant,
    planned: Sequence[Maintenance],
    rest: Sealed[tuple[Terms, Question, list[tuple[date, datetime]]]],
    marks: Mapping[datetime, Mark],
    by_minute: Sequence[date],
    spans: PackedSpans,
    whole: Interval,
    facts: PageFacts,
    now: datetime,
) -> Reading:
    """`spans`: those that are not up within `whole`, which reaches back to where the first outage began."""
    terms, found, days = rest.open()
    known, target = found.known(marks, by_minute), tenant.sla_target.fraction
    edges = [*(begin for _, begin in days), now]
    measured = [_measured(known, a, b, target, terms) for a, b in pairwise(edges)]
    outages = _outages(tenant, planned, spans, edges[0], whole, now)
    standing, services = _standings(tenant, known.state(now), facts.services)
    return Reading(
        tenant_id=tenant.tenant_id,
        name=tenant.name or tenant.tenant_id,
        language=tenant.language,
        time_zone=tenant.time_zone,
        as_of=now,
        target=target,
        standing=standing,
        services=services,
        days=tuple((day, of) for (day, _), of in zip(days, measured, strict=True)),
        whole=_measured(known, edges[0], now, target, terms),
        outages=tuple(outages[:MOST_OUTAGES]),
        more_outages=max(0, len(outages) - MOST_OUTAGES),
        announced=tuple(announced(planned, now)),
        periods=facts.periods,
    )


def _measured(known: Ledger, start: datetime, end: datetime, target: float, terms: Terms) -> Measured:
    if start >= end:  # a day that begins just now
        return Measured(None, None, None)
    found: WindowResult = evaluate(known, "day", start, end, target, None, terms)
    tally = found.tally
    return Measured(
        found.availability, found.low, found.high, tally.down, tally.gap, tally.maintenance, tally.eligible
    )


def _outages(
    tenant: Tenant,
    planned: Sequence[Maintenance],
    packed: PackedSpans,
    start: datetime,
    whole: Interval,
    now: datetime,
) -> list[Outage]:
    """Newest first."""
    spans = packed.troubles(whole.start, MOST_CHANGES + 1)
    if len(spans) > MOST_CHANGES:  # what is older is told by the days
        spans = spans[1:]
        start = max(start, spans[0].start)
    off = off_between(tenant, planned, whole.start, now).maintenance
    found = incidents(spans, start, now, off, now)
    return [Outage(i.start, None if i.ongoing else i.end, i.down_seconds) for i in reversed(found)]


def _standings(
    tenant: Tenant, state: SpanState | None, said: Mapping[str, bool | None]
) -> tuple[Standing, tuple[Service, ...]]:
    """Of the tenant and of the services of its contract; what else is measured is the inside."""
    own = {name: said[name] for name in tenant.service_requirements if name in said}
    overall: Standing = "unknown"
    if state is SpanState.DOWN:
        overall = "partly" if True in own.values() else "down"
    elif state is SpanState.UP:
        overall = "partly" if False in own.values() else "up"
    shown = [
        Service(name, _said(own[name]) if name in own else overall, name in own)
        for name in sorted(tenant.service_requirements)
    ]
    return overall, tuple(shown)


def _said(up: bool | None) -> Standing:
    if up is None:
        return "unknown"
    return "up" if up else "down"


def announced(planned: Sequence[Maintenance], now: datetime) -> list[Announced]:
    """What is on, or ahead and agreed, by time."""
    found = [
        Announced(interval, each.title)
        for each in planned
        if each.category in _ANNOUNCED
        for interval in occurrences(each, now - LONGEST, now + AHEAD)
        if interval.end > now
    ]
    return sorted(found, key=lambda a: a.interval.start)[:MOST_ANNOUNCED]
