"""What a tenant's contract says, as the window maths takes it.

What lies outside of the service hours is told, at every instant, by the version of the contract that is in force then,
whichever version judges the window: so none changes what counted before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from threading import Lock
from typing import Any, Final

from ecpmon.model.hours import ServiceHours
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import ContractVersion, Tenant
from ecpmon.sla import hours
from ecpmon.sla.contracts import Judged, judged
from ecpmon.sla.maintenance import MOST_AT_ONCE, covered, effort, merged, zone
from ecpmon.sla.parts import Part, Terms
from ecpmon.sla.periods import CALENDAR_WINDOWS, LONGEST_WINDOW, period

# Within the longest window before and after: ten times what a tenant may plan by default, twice.
MOST: Final = 20_000
_REMEMBERED: Final = 200_000
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Off:
    """What is taken out of some time: `maintenance` is all of it, `outside` the part outside of the service hours.

    Both disjoint and in order.
    """

    maintenance: tuple[Interval, ...] = ()
    outside: tuple[Interval, ...] = ()


NOTHING_OFF: Final = Off()


def off_between(
    tenant: Tenant, planned: Iterable[Maintenance], start: datetime, end: datetime, most: int = MOST_AT_ONCE
) -> Off:
    """What is taken out of `[start, end)`. Raises LimitReached when maintenance is on more than `most` times."""
    found, outside = covered(planned, start, end, most), outside_between(tenant, start, end)
    return Off(tuple(merged([*found, *outside]) if outside else found), outside)


def outside_between(tenant: Tenant, start: datetime, end: datetime) -> tuple[Interval, ...]:
    """What of `[start, end)` lies outside of the tenant's service hours."""
    if not has_hours(tenant):
        return ()
    versions = tenant.contract_versions
    # The first is as if it had always been in force: what was measured before the tenant was made counts by it.
    edges = [start, *(min(max(v.valid_from, start), end) for v in versions[1:]), end]
    found: list[Interval] = []
    for version, (since, until) in zip(versions, pairwise(edges), strict=True):
        own = _hours_of(tenant, version)
        if own is not None and since < until:
            found += hours.outside(own, zone(version.time_zone), since, until)
    return tuple(merged(found))


def has_hours(tenant: Tenant) -> bool:
    """Whether a version of its contract does not count all of the time."""
    return any(version.hours is not None for version in tenant.contract_versions)


def effort_of(tenant: Tenant, planned: Iterable[Maintenance]) -> int:
    """About how many intervals within a quarter have to be worked out, told without working them out."""
    weekly = (v.hours["weekly"] for v in tenant.contract_versions if v.hours is not None)
    return effort(planned) + sum(len(parts) for week in weekly for parts in week.values())


class _Read:
    """Service hours as they were read from what is stored of them. For any number of threads."""

    def __init__(self, most: int = 5_000) -> None:
        self._most = most
        self._lock = Lock()
        self._known: OrderedDict[tuple[int, int], tuple[Mapping[str, Any], ServiceHours]] = OrderedDict()

    def of(self, tenant: Tenant, version: ContractVersion) -> ServiceHours | None:
        document, key = version.hours, (tenant.key, version.version)
        if document is None:
            return None
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == document:
            return known[1]
        found = hours.stored(document)
        with self._lock:
            self._known[key] = document, found
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found


_hours_of: Final = _Read().of


class Coverage:
    """What is taken out around a day, per tenant; remembered as long as nobody changes the contract or plans anything.

    Only the latest answer of a tenant is, and at most `most` intervals altogether. For any number of threads.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._held = 0
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, int], _Entry] = OrderedDict()

    def around(self, tenant: Tenant, planned: Iterable[Maintenance], now: datetime) -> Off:
        """From before the longest window to the end of any period, of whole days."""
        own, day, key = tuple(planned), now.astimezone(UTC).date(), (tenant.tenant_id, tenant.key)
        versions = tenant.contract_versions if has_hours(tenant) else ()
        if not own and not versions:
            return NOTHING_OFF
        with self._lock:
            known = self._known.get(key)
            if known is not None and known.follows_from == (day, own, versions):
                self._known.move_to_end(key)
                return known.off
        midnight = datetime.combine(day, time(), UTC)
        off = off_between(tenant, own, midnight - LONGEST_WINDOW, midnight + LONGEST_WINDOW + _DAY, MOST)
        self._remember(key, _Entry((day, own, versions), off))
        return off

    def _remember(self, key: tuple[str, int], entry: _Entry) -> None:
        with self._lock:
            former = self._known.pop(key, None)
            self._held += entry.size - (former.size if former else 0)
            self._known[key] = entry
            while self._held > self._most:
                _, oldest = self._known.popitem(last=False)
                self._held -= oldest.size


@dataclass(frozen=True, slots=True)
class _Entry:
    follows_from: tuple[date, tuple[Maintenance, ...], Sequence[ContractVersion]]
    off: Off

    @property
    def size(self) -> int:
        return len(self.off.maintenance) + len(self.off.outside)


_coverage: Final = Coverage()


def terms_of(
    tenant: Tenant,
    planned: Iterable[Maintenance],
    now: datetime,
    *,
    present: bool = True,
) -> Terms:
    """What the newest version says, and the windows that others judge; what is taken out over the longest window and to
    the end of any period.

    Raises LimitReached when maintenance is on so often that nobody could work it out in time.
    `present` False: `now` is some instant of the past, whose answer is not worth remembering.
    """
    if present:
        off = _coverage.around(tenant, planned, now)
    else:
        off = off_between(tenant, planned, now - LONGEST_WINDOW, now + LONGEST_WINDOW, MOST)
    newest = Terms(
        maintenance=off.maintenance,
        accounting=tenant.maintenance_accounting,
        zone=zone(tenant.time_zone),
        outside=off.outside,
    )
    if len(tenant.versions) < 2:
        return newest
    return replace(newest, calendar=_calendar(tenant.versions, newest, now))


def _calendar(
    versions: Sequence[ContractVersion], newest: Terms, now: datetime
) -> dict[str, tuple[Part, ...]]:
    """The windows that are not judged by the newest version alone."""
    found = {}
    for name in CALENDAR_WINDOWS:
        parts = judged(name, now, versions)
        if parts != (Judged(period(name, now, newest.zone), versions[-1]),):
            found[name] = tuple(_part(each, newest) for each in parts)
    return found


def _part(judged: Judged, newest: Terms) -> Part:
    version = judged.version
    terms = replace(newest, accounting=version.maintenance_accounting, zone=zone(version.time_zone))
    return Part(judged.period.start, judged.period.end, version.sla_target.fraction, terms)
