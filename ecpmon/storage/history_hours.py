"""An hour of a tenant that history comes of: what it holds afterwards, packed and rolled up. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.history import Alike
from ecpmon.model.samples import in_range
from ecpmon.storage.packs import Part, alike_in, parts_of_alike
from ecpmon.storage.rolled import BUCKET, Answering, Bucket, buckets_of, note_unanswered, together
from ecpmon.storage.rollup_rows import RollupRow, bucket_of, rows_of
from ecpmon.storage.series import Row


@dataclass(slots=True)
class RolledRows:
    """`fresh`: of buckets of which nothing was there; `replacing`: in place of what was."""

    fresh: list[RollupRow] = field(default_factory=list)
    replacing: list[RollupRow] = field(default_factory=list)

    def add(self, rows: Iterable[RollupRow], before: object) -> None:
        (self.replacing if before else self.fresh).extend(rows)


@dataclass(slots=True)
class Hour:
    """`_alike`: by instants, in microseconds after the hour, and by series, what comes; then with what was there."""

    tenant: int
    begins: datetime
    # Parts that are there, and the first number that is free for another.
    parts: dict[int, Collection[int]] = field(default_factory=dict)
    place: int = 0
    # What was rolled up, by bucket, and of the hour.
    rolled: dict[int, Bucket] = field(default_factory=dict)
    rolled_whole: Bucket = field(default_factory=dict)
    _alike: dict[tuple[int, ...], dict[int, Sequence[float]]] = field(default_factory=dict)
    # The same of what can be added up, where that is not all.
    _sound: dict[tuple[int, ...], dict[int, Sequence[float]]] | None = None

    def add(self, part: Alike, row: Row) -> None:
        """What comes. `part` lies within the hour."""
        begins = part.hour
        columns = self._alike.setdefault(tuple([(ms - begins) * 1000 for ms in part.at]), {})
        for number, values in zip(row.numbers, part.columns, strict=True):
            if number is not None:
                columns[number] = values

    def note_part(self, part: int, series: Collection[int]) -> None:
        self.parts[part] = series
        self.place = max(self.place, part + 1)

    def note_rolled(self, stored: Mapping[str, Any]) -> None:
        bucket = (stored["bucket"] - self.begins) // timedelta(microseconds=BUCKET)
        self.rolled.setdefault(bucket, {}).update(bucket_of(stored))

    def note_rolled_whole(self, stored: Mapping[str, Any]) -> None:
        self.rolled_whole.update(bucket_of(stored))

    def again(self, answering: Iterable[Answering]) -> list[int]:
        """Parts of which something comes again, or what it follows from whether response times were answered."""
        series = {number for columns in self._alike.values() for number in columns}
        for each in answering:
            if not series.isdisjoint(each.numbers):
                series.update(each.numbers)
        return [part for part, own in self.parts.items() if not series.isdisjoint(own)]

    def overlay(self, taken: Iterable[Mapping[str, Any]]) -> None:
        """Lay what comes over what was `taken` out."""
        columns = {row["series"]: dict(zip(row["at"], row["values"], strict=True)) for row in taken}
        for instants, own in self._alike.items():
            for number, values in own.items():
                columns.setdefault(number, {}).update(zip(instants, values, strict=True))
        self._alike = alike_in(columns)
        self._sound = alike_in(
            {n: {at: value for at, value in own.items() if in_range(value)} for n, own in columns.items()}
        )

    def packed(self) -> Iterator[Part]:
        return parts_of_alike(self._alike)

    def roll(self, answering: Iterable[Answering], fives: RolledRows, whole: RolledRows) -> None:
        """Add the rows of its buckets to `fives`, and of itself to `whole`."""
        alike = self._alike if self._sound is None else self._sound
        found = buckets_of(alike)
        for each in answering:
            note_unanswered(found, alike, each)
        after = dict(self.rolled)
        for bucket, own in found.items():
            before = self.rolled.get(bucket)
            after[bucket] = {**(before or {}), **own}
            begins = self.begins + bucket * timedelta(microseconds=BUCKET)
            fives.add(rows_of(self.tenant, begins, after[bucket]), before)
        total = {**self.rolled_whole, **together(after[bucket] for bucket in sorted(after))}
        whole.add(rows_of(self.tenant, self.begins, total), self.rolled_whole)
