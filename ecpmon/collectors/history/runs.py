"""Runs: samples of one series one after the other, and how they become frames. Pure."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.samples import EARLIEST, LARGEST, MOST_ROWS, Block, SeriesKey, Shapes, Source, all_in_range
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
    """Runs as blocks: series that were told at the same instants become one shape. Call `blocks` now and then.

    `latest`: what is of a later time is left out, as it can be no history.
    """

    def __init__(
        self, naming: Naming, source: Source, latest: datetime, known: Callable[[str], bool] = bool
    ) -> None:
        """`known`: whether there is such a tenant."""
        self._naming = naming
        self._source = source
        self._known = known
        self._latest = (latest - _EPOCH) // _MILLISECOND
        self._earliest = (EARLIEST - _EPOCH) // _MILLISECOND
        self._shapes = Shapes()
        self._columns: dict[tuple[str, SeriesKey], dict[int, float]] = {}
        self.left = Left()
        self.size = 0

    def add(self, run: Run) -> None:
        named = self._naming.of(run.labels)
        if named is None or not self._known(named[0]):
            self.left.nobodys += len(run.at)
            return
        column = self._columns.setdefault(named, {})
        before = len(column)
        if (
            run.at
            and self._earliest <= min(run.at)
            and max(run.at) <= self._latest
            and all_in_range(run.values)
        ):
            column.update(zip(run.at, run.values, strict=True))
            self.size += len(column) - before
            return
        for at, value in zip(run.at, run.values, strict=True):
            if not -LARGEST <= value <= LARGEST:
                self.left.no_number += 1
            elif not self._earliest <= at <= self._latest:
                self.left.out_of_time += 1
            else:
                column[at] = value
        self.size += len(column) - before

    def blocks(self) -> list[Block]:
        """What has been gathered, by tenant and in the order of time; then nothing is."""
        alike: dict[tuple[str, bytes], list[SeriesKey]] = defaultdict(list)
        for (tenant, key), column in self._columns.items():
            if column:
                alike[tenant, array("q", sorted(column)).tobytes()].append(key)
        found = [block for group, keys in alike.items() for block in self._blocks(*group, keys)]
        self._columns, self.size = {}, 0
        return sorted(found, key=lambda block: (block.tenant_id, block.instants[0]))

    def _blocks(self, tenant: str, packed: bytes, keys: Sequence[SeriesKey]) -> Iterator[Block]:
        instants = array("q")
        instants.frombytes(packed)
        ordered = sorted(keys, key=lambda key: (key.metric_name, key.labels, key.metric_type))
        shape = self._shapes.of(tuple(ordered))
        columns = [list(map(self._columns[tenant, key].__getitem__, instants)) for key in ordered]
        rows = list(zip(*columns, strict=True))
        times = [_EPOCH + at * _MILLISECOND for at in instants]
        for begin in range(0, len(rows), MOST_ROWS):
            block = Block(tenant, self._source, shape)
            block.extend(times[begin : begin + MOST_ROWS], rows[begin : begin + MOST_ROWS])
            yield block


def interval_of(runs: Iterable[Run]) -> timedelta | None:
    """How far samples are apart, mostly; None: no series has two."""
    apart = sorted(b - a for run in runs for a, b in zip(run.at, run.at[1:], strict=False) if b > a)
    return apart[len(apart) // 2] * _MILLISECOND if apart else None
