"""Runs: samples of one series one after the other, and how they become columns. Pure."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from ecpmon.model.history import Alike, Times
from ecpmon.model.samples import EARLIEST, LARGEST, SeriesKey, all_in_range
from ecpmon.names import CANONICAL_METRICS

NAME: Final = "__name__"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Run:
    """`labels` with `__name__`. `at`: milliseconds since 1970. Of one instant the later value counts."""

    labels: Mapping[str, str]
    at: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Naming:
    """Whose a series is, and what it is called here.

    `tenant`: everything is of this one; else the label `tenant_label` says whose. `dropped`: labels that say where it
    was scraped, not what it is. `renamed`: metrics, by what they are called there.
    """

    tenant: str | None = None
    tenant_label: str | None = None
    dropped: frozenset[str] = frozenset({"job", "instance"})
    renamed: Mapping[str, str] = field(default_factory=dict)

    def of(self, labels: Mapping[str, str]) -> tuple[str, SeriesKey] | None:
        """The tenant's name and the series; None: nobody's, or without a name."""
        name = labels.get(NAME)
        tenant = self.tenant if self.tenant is not None else labels.get(self.tenant_label or "")
        if not name or not tenant:
            return None
        name = self.renamed.get(name, name)
        kind, name = CANONICAL_METRICS.get(name, ("custom", name))
        left_out = {NAME, self.tenant_label, *self.dropped}
        rest = tuple(sorted((k, v) for k, v in labels.items() if k not in left_out and v != ""))
        return tenant, SeriesKey(kind, name, rest)


@dataclass(slots=True)
class Left:
    """What was left out, and why; in samples."""

    nobodys: int = 0
    no_number: int = 0
    out_of_time: int = 0

    @property
    def total(self) -> int:
        return self.nobodys + self.no_number + self.out_of_time


class Gathering:
    """Runs by columns: series that were told at the same instants come together. Call `taken` now and then.

    `latest`: what is of a later time is left out, as it can be no history.
    """

    def __init__(self, naming: Naming, latest: datetime, known: Callable[[str], bool] = bool) -> None:
        """`known`: whether there is such a tenant."""
        self._naming = naming
        self._known = known
        self._latest = (latest - _EPOCH) // _MILLISECOND
        self._earliest = (EARLIEST - _EPOCH) // _MILLISECOND
        self._times: dict[bytes, Times] = {}
        self._runs: dict[tuple[str, SeriesKey], list[tuple[Times, array[float]]]] = defaultdict(list)
        self.left = Left()
        self.size = 0

    def add(self, run: Run) -> None:
        named = self._naming.of(run.labels)
        if named is None or not self._known(named[0]):
            self.left.nobodys += len(run.at)
        elif (columns := self._whole(run) or self._in_part(run)) is not None:
            self._runs[named].append(columns)
            self.size += len(columns[1])

    def _whole(self, run: Run) -> tuple[Times, array[float]] | None:
        """None: not all of it can be stored as it comes."""
        try:
            times, values = self._times_of(run.at), array("d", run.values)
        except (ValueError, OverflowError):  # none at all, or times of another age of the world
            return None
        within = self._earliest <= times.first and times.last <= self._latest
        return (times, values) if times.rise and within and all_in_range(values) else None

    def _times_of(self, at: Sequence[int]) -> Times:
        raw = array("q", at).tobytes()
        found = self._times.get(raw)
        if found is None:
            found = self._times[raw] = Times(raw)
        return found

    def _in_part(self, run: Run) -> tuple[Times, array[float]] | None:
        """What can be stored, the later value of each instant; None: nothing."""
        found = {}
        for at, value in zip(run.at, run.values, strict=True):
            if not -LARGEST <= value <= LARGEST:
                self.left.no_number += 1
            elif not self._earliest <= at <= self._latest:
                self.left.out_of_time += 1
            else:
                found[at] = value
        return self._columns(found) if found else None

    def _columns(self, samples: Mapping[int, float]) -> tuple[Times, array[float]]:
        ordered = sorted(samples)
        return self._times_of(ordered), array("d", map(samples.__getitem__, ordered))

    def taken(self) -> list[Alike]:
        """What has been gathered, by tenant; then nothing is."""
        alike: dict[tuple[str, bytes], list[tuple[SeriesKey, array[float]]]] = defaultdict(list)
        for (tenant, key), runs in self._runs.items():
            times, values = runs[0] if len(runs) == 1 else self._joined(runs)
            alike[tenant, times.raw].append((key, values))
        found = []
        for (tenant, raw), series in alike.items():
            series.sort(key=lambda each: (each[0].metric_name, each[0].labels, each[0].metric_type))
            keys, columns = zip(*series, strict=True)
            found.append(Alike(tenant, keys, self._times[raw].at, columns))
        self._runs.clear()
        self._times, self.size = {}, 0
        return sorted(found, key=lambda each: (each.tenant_id, each.at[0]))

    def _joined(self, runs: Sequence[tuple[Times, array[float]]]) -> tuple[Times, array[float]]:
        if all(a.last < b.first for (a, _), (b, _) in pairwise(runs)):
            at, values = array("q"), array("d")
            for times, own in runs:
                at += times.at
                values += own
            return self._times_of(at), values
        samples: dict[int, float] = {}
        for times, own in runs:
            samples.update(zip(times.at, own, strict=True))
        return self._columns(samples)


def interval_of(runs: Iterable[Run]) -> timedelta | None:
    """How far samples are apart, mostly; None: no series has two."""
    apart = sorted(b - a for run in runs for a, b in zip(run.at, run.at[1:], strict=False) if b > a)
    return apart[len(apart) // 2] * _MILLISECOND if apart else None
