"""What a tenant's contract says, as the window maths takes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import Final

from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import ContractVersion, Tenant
from ecpmon.sla.contracts import Judged, judged
from ecpmon.sla.maintenance import covered, zone
from ecpmon.sla.parts import Part, Terms
from ecpmon.sla.periods import CALENDAR_WINDOWS, LONGEST_WINDOW, period

# Within the longest window before and after: ten times what a tenant may plan by default, twice.
MOST: Final = 20_000
_REMEMBERED: Final = 200_000
_DAY: Final = timedelta(days=1)


class Coverage:
    """When maintenance is on around a day, per tenant; remembered as long as nobody plans anything else.

    Only the latest answer of a tenant is, and at most `most` intervals altogether. For any number of threads.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._held = 0
        self._lock = Lock()
        self._known: OrderedDict[
            tuple[str, int], tuple[date, tuple[Maintenance, ...], tuple[Interval, ...]]
        ] = OrderedDict()

    def around(self, tenant: Tenant, planned: Iterable[Maintenance], now: datetime) -> tuple[Interval, ...]:
        """From before the longest window to the end of any period, of whole days."""
        own, day, key = tuple(planned), now.astimezone(UTC).date(), (tenant.tenant_id, tenant.key)
        if not own:
            return ()
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[:2] == (day, own):
                self._known.move_to_end(key)
                return known[2]
        midnight = datetime.combine(day, time(), UTC)
        found = tuple(covered(own, midnight - LONGEST_WINDOW, midnight + LONGEST_WINDOW + _DAY, MOST))
        self._remember(key, (day, own, found))
        return found

    def _remember(
        self, key: tuple[str, int], entry: tuple[date, tuple[Maintenance, ...], tuple[Interval, ...]]
    ) -> None:
        with self._lock:
            former = self._known.pop(key, None)
            self._held += len(entry[2]) - (len(former[2]) if former else 0)
            self._known[key] = entry
            while self._held > self._most:
                _, (_, _, oldest) = self._known.popitem(last=False)
                self._held -= len(oldest)


_coverage: Final = Coverage()


def terms_of(
    tenant: Tenant,
    planned: Iterable[Maintenance],
    now: datetime,
    *,
    present: bool = True,
) -> Terms:
    """What the newest version says, and the windows that others judge; maintenance over the longest window and to the
    end of any period.

    Raises LimitReached when maintenance is on so often that nobody could work it out in time.
    `present` False: `now` is some instant of the past, whose answer is not worth remembering.
    """
    if present:
        maintenance = _coverage.around(tenant, planned, now)
    else:
        maintenance = tuple(covered(planned, now - LONGEST_WINDOW, now + LONGEST_WINDOW, MOST))
    newest = Terms(
        maintenance=maintenance,
        accounting=tenant.maintenance_accounting,
        zone=zone(tenant.time_zone),
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
            found[name] = tuple(_part(each, newest.maintenance) for each in parts)
    return found


def _part(judged: Judged, maintenance: Sequence[Interval]) -> Part:
    version = judged.version
    terms = Terms(maintenance, version.maintenance_accounting, zone(version.time_zone))
    return Part(judged.period.start, judged.period.end, version.sla_target.fraction, terms)
