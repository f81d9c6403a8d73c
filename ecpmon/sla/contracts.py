"""Which version of a contract judges which time. Pure.

A calendar month belongs to one version: the one in force when it begins. So no month is judged twice in different ways,
and none halfway. Rolling windows belong to no month, and are judged by the newest version.

`versions` are those of a tenant, by number, without those that were replaced: `Tenant.contract_versions`, at least one.
Where a version has another time zone than the one before it, its first month begins when that one's last has ended, so
that every instant lies in one month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Final

from ecpmon.model.tenants import ContractVersion, Tenant
from ecpmon.sla.maintenance import zone
from ecpmon.sla.periods import CALENDAR_WINDOWS, Period, month_of, period

# A month of a calendar: year, month.
Label = tuple[int, int]
_BEFORE_ALL: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """Time that one version judges: a whole month, several of them in a row, or a rolling window."""

    period: Period
    version: ContractVersion


def _first_months(versions: Sequence[ContractVersion]) -> list[Label]:
    """In which month each of them takes effect, by the calendar of the one before."""
    begun = [
        (local.year, local.month)
        for before, version in pairwise(versions)
        for local in [version.valid_from.astimezone(zone(before.time_zone))]
    ]
    return [_BEFORE_ALL, *begun]


def name_of(label: Label) -> str:
    """Such as `2026-10`."""
    return "{}-{:02}".format(*label)


def month(versions: Sequence[ContractVersion], label: Label) -> Judged:
    """A month of the contract, and the version that judges it."""
    firsts = _first_months(versions)
    index = max(i for i, first in enumerate(firsts) if first <= label)
    version = versions[index]
    whole = month_of(*label, zone(version.time_zone))
    moved = index > 0 and label == firsts[index] and version.time_zone != versions[index - 1].time_zone
    return Judged(Period(version.valid_from, whole.end) if moved else whole, version)


def label_at(versions: Sequence[ContractVersion], at: datetime) -> Label:
    """In which month of the contract `at` lies."""
    index = max((i for i, v in enumerate(versions) if v.valid_from <= at), default=0)
    local = at.astimezone(zone(versions[index].time_zone))
    return max((local.year, local.month), _first_months(versions)[index])


def judged(name: str, at: datetime, versions: Sequence[ContractVersion]) -> tuple[Judged, ...]:
    """The window called `name` as of `at`, in parts by version. Raises KeyError for an unknown name."""
    newest = versions[-1]
    if len(versions) == 1 or name not in CALENDAR_WINDOWS:
        return (Judged(period(name, at, zone(newest.time_zone)), newest),)
    year, number = label_at(versions, at)
    if name == "month":
        return (month(versions, (year, number)),)
    first = (number - 1) // 3 * 3 + 1
    return months(versions, [(year, first), (year, first + 1), (year, first + 2)])


def months(versions: Sequence[ContractVersion], labels: Sequence[Label]) -> tuple[Judged, ...]:
    """Months that follow one another, those of one version together."""
    parts = []
    for _, same in groupby([month(versions, label) for label in labels], key=lambda j: j.version.version):
        each = list(same)
        parts.append(Judged(Period(each[0].period.start, each[-1].period.end), each[0].version))
    return tuple(parts)


def versions_of(tenant: Tenant, name: str, at: datetime) -> tuple[ContractVersion, ...]:
    """Those that judge the window called `name` as of `at`; any other name is that of a rolling one."""
    if name not in CALENDAR_WINDOWS:
        return (tenant.promised,)
    return tuple(part.version for part in judged(name, at, tenant.contract_versions))


def month_start(versions: Sequence[ContractVersion], at: datetime) -> datetime:
    """When the month of the contract begins in which `at` lies."""
    (found,) = judged("month", at, versions)
    return found.period.start
