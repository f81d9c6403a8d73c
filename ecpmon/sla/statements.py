"""The monthly statement: what happened, what was taken out and by whom, the verdict, the credit. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from ecpmon.errors import ValidationFailed
from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Accounting, Category, Interval, Maintenance, Withdrawn
from ecpmon.model.statements import ComingDay, Contract, CreditTier, Day, Exclusion, Statement
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Incident, WindowResult
from ecpmon.sla import hours, incidents, windows
from ecpmon.sla.contracts import Judged, Label
from ecpmon.sla.exclusions import agreed_by
from ecpmon.sla.maintenance import covered, exclude, merged, occurrences, uncounted, zone
from ecpmon.sla.parts import Part, Terms, rest_of
from ecpmon.sla.periods import Period, month_of
from ecpmon.sla.spans import clip
from ecpmon.sla.terms import outside_between

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_PERIOD: Final = re.compile(r"([0-9]{4})(?:-Q([1-4]))?")
# Targets have at most eight digits, so the fraction of a percentage is found again.
_DIGITS: Final = 12
_SLICE: Final = 500


def label_of(month: str) -> Label:
    """`2026-10` as year and month. Raises ValidationFailed."""
    match = _MONTH.fullmatch(month)
    if match is None or not 2000 <= int(match[1]) <= 2200:
        raise ValidationFailed(
            "month: must be a month such as 2026-10",
            fields=[{"field": "month", "message": "such as 2026-10"}],
        )
    return int(match[1]), int(match[2])


def month_period(month: str, time_zone: str) -> Period:
    """`2026-10` in a time zone. Raises ValidationFailed."""
    return month_of(*label_of(month), zone(time_zone))


def period_of(month: str, contract: Contract) -> Period:
    """The month of the contract. Raises ValidationFailed."""
    whole = month_period(month, contract.time_zone)
    return whole if contract.begins is None else Period(contract.begins, whole.end)


def is_month(name: str) -> bool:
    """Whether a statement of that name is a month's, and not a quarter's or a year's."""
    return _MONTH.fullmatch(name) is not None


def months_of(name: str) -> list[str]:
    """The months of `2026-Q3` and of `2026`; of a month it itself. Raises ValidationFailed."""
    match = _PERIOD.fullmatch(name)
    if is_month(name):
        return [name]
    if match is None or not 2000 <= int(match[1]) <= 2200:
        raise ValidationFailed(
            "period: must be a month, a quarter or a year, such as 2026-10, 2026-Q3 or 2026",
            fields=[{"field": "period", "message": "such as 2026-10, 2026-Q3 or 2026"}],
        )
    first = 3 * int(match[2]) - 2 if match[2] else 1
    return [f"{match[1]}-{n:02}" for n in range(first, first + (3 if match[2] else 12))]


def periods_with(month: str) -> list[str]:
    """The quarter and the year that a month is of."""
    year, number = month.split("-")
    return [f"{year}-Q{(int(number) + 2) // 3}", year]


def promised(month: str, contract: Contract, deleted_at: datetime | None) -> Period:
    """The month, as far as there was the tenant. Raises ValidationFailed, also for one after its end."""
    period = period_of(month, contract)
    if deleted_at is None or period.end <= deleted_at:
        return period
    if deleted_at <= period.start:
        raise ValidationFailed(
            "month: the tenant was deleted before it began",
            fields=[{"field": "month", "message": "begins after the tenant was deleted"}],
        )
    return Period(period.start, deleted_at)


def contract_of(month: Judged, credit_terms: str, tiers: Sequence[CreditTier]) -> Contract:
    """What the version that judges a month says."""
    version, begins = month.version, month.period.start
    local = begins.astimezone(zone(version.time_zone))
    # Zones are half an hour apart, too.
    moved = (local.day, local.hour, local.minute) != (1, 0, 0) and begins == version.valid_from
    return Contract(
        str(version.version),
        version.sla_target.fraction,
        version.maintenance_accounting,
        version.time_zone,
        tuple(tiers),
        version.valid_from,
        credit_terms,
        version.hours,
        begins if moved else None,
    )


def contract_from(contract: Mapping[str, Any]) -> Contract:
    """The contract that a statement was made under, from that part of its `document`."""
    tiers = [
        CreditTier(round(t["below"] / 100, _DIGITS), round(t["credit_percent"] / 100, _DIGITS))
        for t in contract["credit_tiers"]
    ]
    valid_from, begins = contract.get("valid_from"), contract.get("begins")
    return Contract(
        contract["version"],
        round(contract["target"] / 100, _DIGITS),
        Accounting(contract["maintenance_accounting"]),
        contract["time_zone"],
        tuple(tiers),
        valid_from and datetime.fromisoformat(valid_from),
        contract.get("credit_terms"),
        contract.get("hours"),
        begins and datetime.fromisoformat(begins),
    )


def limit_of(tier: CreditTier, contract: Contract) -> float:
    return contract.target if tier.below is None else tier.below


def credit(availability: float | None, contract: Contract) -> float | None:
    """0 when the target is kept, else the highest credit of the tiers that the unrounded availability is below.

    None without data. So a better service never pays more, whatever the order of the tiers.
    """
    if availability is None:
        return None
    if availability >= contract.target:
        return 0.0
    return max((t.credit for t in contract.tiers if availability < limit_of(t, contract)), default=0.0)


def statement(
    tenant: Tenant,
    month: str,
    contract: Contract,
    spans: Sequence[Span],
    planned: Sequence[Maintenance],
    now: datetime,
    withdrawn: Sequence[Withdrawn] = (),
    coarse: Collection[date] = (),
) -> Statement:
    """The statement of `month` as of `now`. `spans` is the timeline of the month up to the earlier of both, and what
    came before and next: a change seen then may have been one of the month, and incidents are told whole. `coarse`: its
    days that are kept by the minute.

    Raises ValidationFailed for a month that has not begun.
    """
    period = promised(month, contract, tenant.deleted_at)
    if period.start >= now:
        raise ValidationFailed(
            "month: has not begun", fields=[{"field": "month", "message": "has not begun"}]
        )
    end, first = min(period.end, now), date.fromisoformat(f"{month}-01")
    inside = clip(spans, period.start, end)
    known = max(end, spans[-1].end) if spans else end
    touching = incidents.incidents(spans, period.start, end, (), known)
    edges = [period.start, period.end, *(at for i in touching for at in (i.start, i.end))]
    terms = _terms(tenant, contract, planned, period, Interval(min(edges), max(edges)))
    off = terms.maintenance
    result = windows.evaluate(
        month, spans, period.start, end, contract.target, None, terms, period.end, known, coarse
    )
    found = tuple(incidents.incidents(spans, period.start, end, off, known))
    return Statement(
        tenant_id=tenant.tenant_id,
        name=tenant.name or tenant.tenant_id,
        month=month,
        final=period.end <= now,
        contract=contract,
        result=result,
        days=_days(inside, period.start, first, end, terms),
        to_come=_to_come(period, first, end, contract.target, terms),
        incidents=found,
        gaps=tuple(s for s in exclude(inside, off) if s.unknown_share),
        exclusions=_exclusions(planned, period),
        by_category=_by_category(exclude(inside, terms.outside), period, planned),
        uncounted=_uncounted(planned, period),
        withdrawn=tuple(w for w in withdrawn if occurrences(w.planned, period.start, period.end)),
        credit=_credit(result, result.availability, result.tally.measured, contract),
        credit_bounds=(
            _credit(result, result.high, result.tally.eligible, contract),
            _credit(result, result.low, result.tally.eligible, contract),
        ),
        deleted_at=tenant.deleted_at if period.end == tenant.deleted_at else None,
        digest=digest(
            tenant.tenant_id,
            month,
            contract,
            inside,
            _exclusions(planned, period),
            crossing(found, period),
            _uncounted(planned, period),
        ),
    )


def _credit(result: WindowResult, share: float | None, seconds: float, contract: Contract) -> float | None:
    """For a share of up time of so many seconds; while the month is not over, if all that is to come is up."""
    return credit(windows.at_best(share, seconds, result.to_come), contract)


def coming(month: str, contract: Contract, planned: Sequence[Maintenance]) -> tuple[ComingDay, ...]:
    """The days of a month that has not begun. Raises ValidationFailed."""
    period = period_of(month, contract)
    terms = _terms(None, contract, planned, period, Interval(period.start, period.end))
    first = date.fromisoformat(f"{month}-01")
    return _to_come(period, first, period.start, contract.target, terms)


def _terms(
    tenant: Tenant | None,
    contract: Contract,
    planned: Sequence[Maintenance],
    period: Period,
    around: Interval,
) -> Terms:
    """As the contract has them over its own month, and as those then in force have them `around` it, where outages
    cross its edges: so an outage lasts as long in both months. `tenant` None: nothing is around it."""
    local, never = zone(contract.time_zone), list[Interval]()
    if contract.hours is not None:
        never = hours.outside(hours.stored(contract.hours), local, period.start, period.end)
    for start, end in ((around.start, period.start), (period.end, around.end)):
        if tenant is not None and start < end:
            never += outside_between(tenant, start, end)
    never = merged(never)
    off = merged([*covered(planned, around.start, around.end), *never])
    return Terms(tuple(off), contract.accounting, local, outside=tuple(never))


def _days(
    spans: Sequence[Span], begins: datetime, first: date, end: datetime, terms: Terms
) -> tuple[Day, ...]:
    days: list[Day] = []
    for day, start, until in _each_day(first, Period(begins, end), terms.zone):
        seconds = windows.tally(spans, start, until, terms.maintenance, terms.outside)
        found = windows.figures("day", seconds, start, until, 0.5, None, terms, None)
        days.append(Day(day, found.tally, found.availability))
    return tuple(days)


def _to_come(
    period: Period, first: date, now: datetime, target: float, terms: Terms
) -> tuple[ComingDay, ...]:
    """The days of the period from `now` on."""
    return tuple(
        ComingDay(day, rest_of(Part(start, until, target, terms), now))
        for day, start, until in _each_day(first, period, terms.zone)
        if until > now
    )


def _each_day(first: date, period: Period, zone: ZoneInfo) -> Iterator[tuple[date, datetime, datetime]]:
    """Calendar days of a contract's zone, from when to when; those at a DST change have 23 or 25 hours.

    The first is longer or shorter where the month does not begin at its midnight.
    """
    # A midnight that a change of the clock skipped is still where the day begins. The first day may have begun, by
    # the time zone of the month before, when its own midnight has not come.
    local, begun = datetime.combine(first, time(), zone), period.start >= period.end
    while (midnight := local.astimezone(UTC)) < period.end or not begun:
        following = (local.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        start = max(midnight, period.start) if begun else period.start
        until = min(following.astimezone(UTC), period.end)
        if start < until:
            begun = True
            yield local.date(), start, until
        local = following


def _exclusions(planned: Sequence[Maintenance], period: Period) -> tuple[Exclusion, ...]:
    return _ordered(
        _exclusion(p, interval) for p in planned for interval in occurrences(p, period.start, period.end)
    )


def _uncounted(planned: Sequence[Maintenance], period: Period) -> tuple[Exclusion, ...]:
    return _ordered(
        _exclusion(p, u.interval, u.lacks) for p in planned for u in uncounted(p, period.start, period.end)
    )


def _exclusion(planned: Maintenance, interval: Interval, lacks: str | None = None) -> Exclusion:
    who = agreed_by(planned)
    return Exclusion(
        interval, planned.reason, who, planned.created_at, planned.category, planned.approved_at, lacks
    )


def _ordered(found: Iterable[Exclusion]) -> tuple[Exclusion, ...]:
    return tuple(sorted(found, key=lambda e: (e.interval.start, e.interval.end, e.reason)))


def _by_category(
    spans: Sequence[Span], period: Period, planned: Sequence[Maintenance]
) -> dict[Category, float]:
    """Seconds of `spans` that each category that is there takes out: together as many as all of them."""
    found: dict[Category, float] = {}
    there, before, own = {p.category for p in planned}, 0.0, list[Maintenance]()
    for category in Category:
        if category in there:
            own += (p for p in planned if p.category is category)
            off = covered(own, period.start, period.end)
            taken = windows.tally(spans, period.start, period.end, off).maintenance
            found[category], before = round(taken - before, 6), taken
    return found


def digest(
    tenant_id: str,
    month: str,
    contract: Contract,
    spans: Sequence[Span],
    exclusions: Sequence[Exclusion],
    outside: Sequence[Incident] = (),
    uncounted: Sequence[Exclusion] = (),
) -> str:
    """SHA-256 over everything that the statement was computed from, as JSON with sorted keys.

    `outside`: incidents of which a part lies outside of the month; `uncounted`: what does not count yet. Without any
    the digest is that of earlier releases.
    """
    crossings = [
        [i.start.isoformat(), None, None]
        if i.ongoing
        else [i.start.isoformat(), i.end.isoformat(), repr(i.recovery_seconds)]
        for i in outside
    ]
    before = {
        **({"crossing": crossings} if crossings else {}),
        "contract": [
            contract.version,
            repr(contract.target),
            contract.accounting,
            contract.time_zone,
            [[repr(limit_of(t, contract)), repr(t.credit)] for t in contract.tiers],
            *since_versions(contract),
        ],
        "exclusions": [_digested(e) for e in exclusions],
        "month": month,
        # Only where there are any: what was closed before there were such has to stay as it is.
        **({"uncounted": [[*_digested(e), e.lacks] for e in uncounted]} if uncounted else {}),
    }
    found = hashlib.sha256(_json(before)[:-1].encode() + b',"spans":[')
    # In slices: the encoder holds the interpreter as long as it is at work.
    for first in range(0, len(spans), _SLICE):
        part = [
            [s.start.isoformat(), s.end.isoformat(), s.state, s.reason, s.down_share, *_in_part(s)]
            for s in spans[first : first + _SLICE]
        ]
        found.update((("," if first else "") + _json(part)[1:-1]).encode())
    found.update(f'],"tenant":{_json(tenant_id)}}}'.encode())
    return found.hexdigest()


def _in_part(span: Span) -> list[float]:
    """What only spans say that are unknown in part."""
    return [] if span.unknown_share in (0.0, 1.0) else [span.unknown_share]


def crossing(found: Sequence[Incident], period: Period) -> list[Incident]:
    """The incidents that begin before the period or end after it: what lies outside says how long they took."""
    return [i for i in found if i.start < period.start or i.end > period.end or i.ongoing]


def since_versions(contract: Contract) -> list[dict[str, Any]]:
    """What only statements made under versions of a contract say of it."""
    if contract.valid_from is None:
        return []
    said: dict[str, Any] = {
        "valid_from": instant(contract.valid_from),
        "credit_terms": contract.credit_terms,
        "hours": contract.hours,
    }
    return [said if contract.begins is None else {**said, "begins": instant(contract.begins)}]


def _digested(e: Exclusion) -> list[str | None]:
    """Maintenance as it always was; what is new of others beside it."""
    found = [e.interval.start.isoformat(), e.interval.end.isoformat(), e.reason, e.approved_by]
    return found if e.category is Category.MAINTENANCE else [*found, e.category.value]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def instant(at: datetime) -> str:
    """RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
