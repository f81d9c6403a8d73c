"""What one request brings, gathered: columns by tenant and instant, and what was left out of it, by why."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Final

from ecpmon.agents.closely import Series
from ecpmon.agents.evidence import Choice, end_of, may_end
from ecpmon.agents.histograms import Histogram
from ecpmon.agents.memory import NOBODY, Memory, Whose
from ecpmon.agents.series import NAME_LABEL, REFUSED, LeftOut, named, with_label
from ecpmon.agents.taking import Groups
from ecpmon.collectors.natives import classic
from ecpmon.model.objectives import BOUND, BUCKETS, COUNT
from ecpmon.model.samples import MOST_ROWS, Block, Columns, Entry, Frame, SeriesKey, Shape, Source, in_range
from ecpmon.model.tenants import Tenant
from ecpmon.names import EVIDENCE_METRICS

# What a frame holds at most; evidence comes first, so that it stays together.
MOST_OF_FRAME: Final = 250
MAX_NAMED: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# The number of a series that has none: it is nobody's, or has no name that can be stored.
_NONE: Final = -1
# Milliseconds since 1970, and values in the order of a shape.
_Row = tuple[int, Sequence[float]]


def milliseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // _MILLISECOND


@dataclass
class Arriving:
    """`oldest`, `latest`: milliseconds since 1970 that are taken."""

    memory: Memory
    whose: Whose
    tenant_label: str
    oldest: int
    latest: int
    groups: Groups = field(default_factory=dict)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    # Names of some that were refused.
    names: list[str] = field(default_factory=list)
    # Histograms that were sent, and those that were refused.
    histograms: int = 0
    histograms_refused: int = 0
    # Series by tenant and instant that ended then, as far as an evidence profile may want to know.
    ended: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    # Tenant, instant and number of the series that say since when others count.
    _begun: set[tuple[str, int, int]] = field(default_factory=set)
    # Samples in `groups` that were made of others.
    _made: int = 0
    # Samples that were taken and say nothing, such as a NaN.
    _silent: int = 0

    def add(self, series: Series) -> None:
        """Whatever a series holds. Raises Malformed."""
        self.left_out[LeftOut.EXEMPLAR] += series.exemplars
        self.histograms += len(series.histograms)
        tenant, number = self.memory.known(self.whose).get(series.block) or self._new(series)
        if number == _NONE:
            why = LeftOut.BAD_NAME if tenant else LeftOut.NO_TENANT
            self.left_out[why] += len(series.samples) + len(series.histograms)
            self.histograms_refused += len(series.histograms) if tenant else 0
            self._silent += 0 if tenant else len(series.samples)
            return
        for sample in series.samples:
            if sample.stale:
                self._end(tenant, number, sample.ms)
            else:
                put = self._put(tenant, number, sample.ms, sample.value)
                if put and sample.began:
                    self._begin(tenant, number, sample.ms, sample.began)
        for histogram in series.histograms:
            self._add_histogram(tenant, self.memory.keys[number], histogram)

    def _new(self, series: Series) -> tuple[str, int]:
        labels = series.labels
        what = named(labels, self.tenant_label)
        tenant = self.whose.tenant(what.tenant)
        number = _NONE
        if tenant and what.key is not None:
            number = self.memory.number_of(what.key)
        elif tenant and len(self.names) < MAX_NAMED:
            self.names.append(dict(labels).get(NAME_LABEL, "")[:100])
        if number != _NONE or tenant == NOBODY:
            self.memory.remember(self.whose, series.block, tenant, number)
        return tenant, number

    def _put(self, tenant: str, number: int, ms: int, value: float) -> bool:
        """Whether it stands in `groups` now."""
        if not in_range(value):
            # Such values are usual: a quantile of nothing, a division by nothing. They say nothing.
            self.left_out[LeftOut.OUT_OF_RANGE if math.isfinite(value) else LeftOut.NOT_A_NUMBER] += 1
            self._silent += 1
            return False
        if not self.oldest <= ms <= self.latest:
            self.left_out[LeftOut.TOO_OLD if ms < self.oldest else LeftOut.IN_THE_FUTURE] += 1
            return False
        numbers, values = self.groups.setdefault((tenant, ms), ([], []))
        numbers.append(number)
        values.append(value)
        return True

    def _end(self, tenant: str, number: int, ms: int) -> None:
        """A staleness marker: what is evidence ends by it, of other series it says nothing."""
        key = self.memory.keys[number]
        ended = end_of(key)
        if ended is not None and tenant:
            self._put(tenant, self.memory.number_of(ended), ms, 1.0)
            return
        self.left_out[LeftOut.STALE] += 1
        self._silent += 1
        if may_end(key) and tenant and self.oldest <= ms <= self.latest:
            self.ended.setdefault((tenant, ms), []).append(number)

    def _begin(self, tenant: str, counter: int, ms: int, began: int) -> None:
        """Say since when a counter has counted, as `x_created` beside it, in seconds; once for a whole histogram.

        Who does not know it says that it began with this reading, or a millisecond before: that is not believed.
        """
        number = self.memory.began_by(counter) if 0 < began < ms - 1 else None
        if number is not None and (tenant, ms, number) not in self._begun:
            self._begun.add((tenant, ms, number))
            self._made += self._put(tenant, number, ms, began / 1000)

    def _add_histogram(self, tenant: str, key: SeriesKey, histogram: Histogram) -> None:
        """Its count, and what is within bounds that it has, as series of their own."""
        if histogram.stale:
            self.left_out[LeftOut.STALE] += 1
            return
        native = histogram.native()
        made = [] if native is None else _series_of(key, classic([(0.0, native)], histogram.custom)[0])
        if not made:
            self.left_out[LeftOut.HISTOGRAM] += 1
            self.histograms_refused += 1
            return
        put = [
            self._put(tenant, self.memory.number_of(own), histogram.ms, value) for own, value in made if own
        ]
        self._made += sum(put)
        self.histograms_refused += not any(put)
        if any(put) and histogram.began:
            self._begin(tenant, self.memory.number_of(key), histogram.ms, histogram.began)

    @property
    def size(self) -> int:
        """Samples that are to be stored."""
        return sum(len(values) for _, values in self.groups.values())

    @property
    def samples(self) -> int:
        """Samples that were taken, those that say nothing as well."""
        return self.size - self._made + self._silent

    @property
    def refused(self) -> int:
        """Of what is left out, what somebody should do something about."""
        return sum(self.left_out[why] for why in REFUSED)

    @property
    def tenants(self) -> set[str]:
        """Names of those that something is for."""
        return {tenant for tenant, _ in (*self.groups, *self.ended)} - {NOBODY}

    def keep(self, tenants: Mapping[str, Tenant]) -> None:
        """Leave out what is for others."""
        for key in [key for key in self.groups if key[0] not in tenants]:
            _, values = self.groups.pop(key)
            self.left_out[LeftOut.UNKNOWN_TENANT if key[0] else LeftOut.NO_TENANT] += len(values)
            self._silent += len(values)
        self.ended = {key: numbers for key, numbers in self.ended.items() if key[0] in tenants}

    def judge(self, choices: Mapping[str, Sequence[Choice]]) -> None:
        """Add what is evidence by the profiles of tenants (`agents.evidence`)."""
        if not choices:
            return
        keys = self.memory.keys
        for (tenant, ms), (numbers, values) in self.groups.items():
            for choice in choices.get(tenant, ()):
                if choice.begin <= ms < choice.end:
                    said = [*choice.said([keys[number] for number in numbers], values)]
                    numbers += [self.memory.number_of(key) for key, _ in said]
                    values += [value for _, value in said]
                    self._made += len(said)
        for (tenant, ms), ended in self.ended.items():
            for choice in choices.get(tenant, ()):
                if choice.begin <= ms < choice.end:
                    self._end_all(tenant, ms, [choice.ended(keys[number]) for number in ended])

    def _end_all(self, tenant: str, ms: int, ends: Iterable[Sequence[SeriesKey]]) -> None:
        for told in ends:
            for key in told:
                self._made += self._put(tenant, self.memory.number_of(key), ms, 1.0)
            self.left_out[LeftOut.STALE] -= bool(told)

    def entries(self, tenants: Mapping[str, Tenant]) -> Iterator[Entry]:
        """Frames, and blocks where several instants have the same series."""
        rows: dict[tuple[str, Shape], list[_Row]] = defaultdict(list)
        columns = self.memory.columns
        for (name, ms), (numbers, values) in self.groups.items():
            if len(numbers) <= MOST_OF_FRAME:
                shape, told = columns(numbers, values)
                rows[name, shape].append((ms, told))
                continue
            for part, own in self._parts(numbers, values):
                shape, told = columns(part, own)
                rows[name, shape].append((ms, told))
        instants = _Instants()
        for (name, shape), own_rows in rows.items():
            yield from _entries(tenants[name], shape, own_rows, instants)

    def _parts(
        self, numbers: list[int], values: list[float]
    ) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        keys = self.memory.keys
        order = sorted(
            range(len(numbers)), key=lambda at: keys[numbers[at]].metric_name not in EVIDENCE_METRICS
        )
        for first in range(0, len(order), MOST_OF_FRAME):
            part = order[first : first + MOST_OF_FRAME]
            yield [numbers[at] for at in part], [values[at] for at in part]


def _series_of(
    key: SeriesKey, found: Mapping[str | None, Sequence[tuple[float, float]]]
) -> list[tuple[SeriesKey, float]]:
    """What a histogram becomes: nothing when the names are too long."""
    made = []
    for le, told in found.items():
        own = with_label(key, COUNT) if le is None else with_label(key, BUCKETS, (BOUND, le))
        if own is None:
            return []
        made += [(own, value) for _, value in told]
    return made


class _Instants(dict[int, datetime]):
    """Milliseconds as times, each made once."""

    def __missing__(self, ms: int) -> datetime:
        made = self[ms] = _EPOCH + timedelta(milliseconds=ms)
        return made


def _entries(
    tenant: Tenant, shape: Shape, rows: list[_Row], instants: Mapping[int, datetime]
) -> Iterator[Entry]:
    if len(rows) == 1:
        [(ms, values)] = rows
        yield Frame(tenant.tenant_id, Source.PUSH, instants[ms], Columns(shape, values), tenant.key)
        return
    rows.sort(key=itemgetter(0))
    for first in range(0, len(rows), MOST_ROWS):
        part = rows[first : first + MOST_ROWS]
        block = Block(tenant.tenant_id, Source.PUSH, shape, tenant.key)
        # All of it lies within the bounds: `take` and `_put` have looked.
        block.instants, block.rows = [instants[ms] for ms, _ in part], [values for _, values in part]
        yield block
