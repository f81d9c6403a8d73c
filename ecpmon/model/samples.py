"""Samples and frames: what a source said about a tenant at an instant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any, Final, TypeGuard, overload

from ecpmon.memory import Interned


class Source(StrEnum):
    """Where samples come from; also the values of `data_source` and of a tenant's `sli_source`."""

    PROMETHEUS = "prometheus"
    SIMULATOR = "simulator"
    PUSH = "push"

    # An enumeration's own takes ten times as long, and every sample's series is looked up by it.
    __hash__ = str.__hash__


COMPONENT_LABEL: Final = "service"
# No unit needs more, and 10^208 of them can still be added up. `input_bounds` holds the same.
LARGEST: Final = 1e100
# By how much a sender's clock may be ahead of ours. `input_bounds` holds the same.
FUTURE: Final = timedelta(minutes=5)
# Instants that frames may have, whatever any clock says; so the database has it (0017_input_bounds.sql).
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number; booleans are none, nor are whole numbers beyond double precision."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def all_in_range(values: Sequence[float]) -> bool:
    """Whether all of them are stored."""
    # NaN hides from `min` and `max`, but not in a sum.
    return not values or (
        min(values) >= -LARGEST and max(values) <= LARGEST and (total := sum(values)) == total
    )


def in_range(value: float) -> bool:
    """Whether a value is stored: NaN and infinities are not."""
    return -LARGEST <= value <= LARGEST


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Identity of a series within one tenant and source. `labels` are sorted pairs."""

    metric_type: str
    metric_name: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def component(self) -> str | None:
        """The component a series is about: "" is the tenant as a whole, None anything finer."""
        if not self.labels:
            return ""
        [(name, value), *more] = self.labels
        return value if name == COMPONENT_LABEL and not more else None


# What an index of the database can hold with room to spare.
_MOST_NAME: Final = 100
MOST_LABEL_BYTES: Final = 1_000


def is_storable(key: SeriesKey) -> bool:
    """Whether the database can hold the series: names and labels are bounded, and text in UTF-8 without NUL."""
    names, labels = (key.metric_type, key.metric_name), [text for pair in key.labels for text in pair]
    if not labels and all(0 < len(name) <= _MOST_NAME and name.isprintable() for name in names):
        return True  # what most are: nothing printable is half a character or NUL
    try:
        lasting = sum(len(text.encode()) for text in labels)
        _ = [name.encode() for name in names]
    except UnicodeEncodeError:
        return False
    fits = all(0 < len(name) <= _MOST_NAME for name in names) and lasting <= MOST_LABEL_BYTES
    return fits and not any("\x00" in text for text in (*names, *labels))


@dataclass(frozen=True, slots=True)
class Sample:
    key: SeriesKey
    value: float


class Shape:
    """The series that a frame has values of, none of them twice. One object per set of names: compared by identity.

    `whole`: places of the series without labels, by metric name.
    """

    __slots__ = ("keys", "whole")

    def __init__(self, keys: tuple[SeriesKey, ...]) -> None:
        self.keys = keys
        self.whole = {key.metric_name: place for place, key in enumerate(keys) if not key.labels}


class Shapes:
    """Shapes by the keys they are made of, so that each is made once."""

    def __init__(self) -> None:
        self._made: Interned[SeriesKey, Shape] = Interned()

    def of(self, keys: tuple[SeriesKey, ...]) -> Shape:
        return self._made.get(keys) or self._made.put(keys, Shape(keys))


class Columns(Sequence[Sample]):
    """Samples as two columns: the keys, which many frames share, and the values. Values are floats."""

    __slots__ = ("shape", "values")

    def __init__(self, shape: Shape, values: Sequence[float]) -> None:
        self.shape = shape
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, at: int | slice) -> Sample | tuple[Sample, ...]:
        return tuple(self)[at]

    def __iter__(self) -> Iterator[Sample]:
        return map(Sample, self.shape.keys, self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True, slots=True)
class Frame:
    """What one source said about one tenant at one instant. `ts` is an aware UTC time.

    `tenant` is the tenant's number: while a frame is under way, its name may become another's. None: whoever bears it.
    `size` and what follows it is as `Block` has it, so that most need not tell the two apart.
    """

    tenant_id: str
    source: Source
    ts: datetime
    samples: Sequence[Sample]
    tenant: int | None = None

    @property
    def size(self) -> int:
        """How many samples."""
        own = self.samples
        return len(own.values if type(own) is Columns else own)

    @property
    def instants(self) -> Sequence[datetime]:
        return (self.ts,)

    def frames(self) -> Iterable[Frame]:
        return (self,)

    @property
    def newest(self) -> Frame:
        return self


# Rows that a block has at most, so that whoever works through one does not hold the event loop.
MOST_ROWS: Final = 500
_NUMBERS: Final = {int, float}


class Block:
    """Frames of one tenant, source and shape, one after the other, as columns: no object for each of them.

    `rows`: the values at each of the `instants`, in the order of the shape's keys. Both are lists that only who makes
    the block adds to. Invariant, kept by `extend`: all of it lies within the bounds of times and of values, so that
    nobody after it has to look again.
    """

    __slots__ = ("instants", "rows", "shape", "source", "tenant", "tenant_id")

    def __init__(self, tenant_id: str, source: Source, shape: Shape, tenant: int | None = None) -> None:
        self.tenant_id = tenant_id
        self.source = source
        self.shape = shape
        self.tenant = tenant
        self.instants: list[datetime] = []
        self.rows: list[Sequence[float]] = []

    def __len__(self) -> int:
        return len(self.instants)

    @property
    def size(self) -> int:
        """How many samples."""
        return len(self.instants) * len(self.shape.keys)

    def extend(self, instants: Sequence[datetime], rows: Sequence[Sequence[float]]) -> bool:
        """Add what was sent at these instants; nothing and False when there is no instant, or a value is not stored.

        `rows` hold what JSON may hold, each as many values as the shape has keys.
        """
        values = [*chain.from_iterable(rows)]
        if not values or not (_NUMBERS.issuperset(map(type, values)) and all_in_range(values)):
            return False
        if not (min(instants) >= EARLIEST and max(instants) < LATEST):
            return False
        self.instants += instants
        self.rows += rows
        return True

    def part(self, begin: int, end: int) -> Block:
        """Its frames from `begin` to before `end`."""
        part = Block(self.tenant_id, self.source, self.shape, self.tenant)
        part.instants, part.rows = self.instants[begin:end], self.rows[begin:end]
        return part

    def frame(self, at: int) -> Frame:
        """One of its frames."""
        samples = Columns(self.shape, [*map(float, self.rows[at])])
        return Frame(self.tenant_id, self.source, self.instants[at], samples, self.tenant)

    def frames(self) -> Iterator[Frame]:
        return map(self.frame, range(len(self.instants)))

    @property
    def newest(self) -> Frame:
        """The one with the latest instant; of two, what came last."""
        return self.frame(max(range(len(self.instants)), key=lambda at: (self.instants[at], at)))


# What a batch is made of.
Entry = Frame | Block


def newest_by(entry: Entry, now: datetime) -> tuple[Frame | None, Sequence[Frame]]:
    """The newest of its frames whose time has come, and those whose time has not, in their order."""
    newest = entry.newest
    if newest.ts <= now:
        return newest, ()
    come: Frame | None = None
    coming = []
    for frame in entry.frames():
        if frame.ts > now:
            coming.append(frame)
        elif come is None or come.ts <= frame.ts:
            come = frame
    return come, coming


def values_of(frame: Frame) -> Sequence[float]:
    own = frame.samples
    return own.values if type(own) is Columns else [sample.value for sample in own]


def whole_values(frame: Frame, names: Iterable[str]) -> dict[str, float]:
    """The frame's values of these metrics, as far as it has them of the tenant as a whole."""
    own = frame.samples
    if type(own) is Columns:
        whole, values = own.shape.whole, own.values
        return {name: values[whole[name]] for name in names if name in whole}
    found = {sample.key.metric_name: sample.value for sample in own if not sample.key.labels}
    return {name: found[name] for name in names if name in found}


def columns_of(frame: Frame, shapes: Shapes) -> Columns:
    """The frame's samples as columns, with one of the `shapes`."""
    own = frame.samples
    if type(own) is Columns:
        return own
    return Columns(shapes.of(tuple(s.key for s in own)), [s.value for s in own])
