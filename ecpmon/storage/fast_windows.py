"""Every window of every tenant from running sums: two look-ups per window, whatever its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final, Protocol

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.sums import Entry, Mark, OpenEnd, micros
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.sla import Outline, WindowTotals
from ecpmon.sla.cuts import edges_within
from ecpmon.sla.entries import unmarked, with_head
from ecpmon.sla.ledger import edges_of, reached
from ecpmon.slices import in_slices
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load
from ecpmon.storage.records import unpacked


class PgFastWindows:
    """`ports.WindowSums`: what `sla.windows.tally` says about the spans of `PgAvailabilityStore`, without reading them.

    Eligible time is counted from the first observation on, so it is exact as long as span retention is longer
    than the longest window. Tenants without an observation are left out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("fast_windows")

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        groups = _grouped(asked)
        tenants = [t for members in groups.values() for t in members]
        windows = [i for intervals in groups for i in intervals]
        rows = await self._database.fetch(
            self._sql["tallies"],
            tenants,
            [g for g, members in enumerate(groups.values()) for _ in members],
            [min(i.start, now) for i in windows],
            [min(i.end, now) for i in windows],
            [g for g, intervals in enumerate(groups) for _ in intervals],
            now,
        )
        found: dict[str, dict[Interval, Tally]] = defaultdict(dict)
        async for place, window, eligible, down, gap, early, late in in_slices(rows):
            # Time is stored in microseconds: what floats add to that is not meant.
            seconds = Tally(round(eligible, 6), round(down, 6), round(gap, 6), early=early, late=late)
            found[tenants[place - 1]][windows[window - 1]] = seconds
        return dict(found)

    async def totals(
        self, tenant_keys: Sequence[int], starts: Sequence[datetime], now: datetime
    ) -> dict[int, WindowTotals]:
        rows = await self._database.fetch(self._sql["totals"], list(tenant_keys), list(starts), now)
        return {number: WindowTotals(_STATES[state], *rest) for number, state, *rest in rows}

    async def heads(self, now: datetime) -> dict[int, tuple[str, float, float]]:
        rows, at = await self._database.fetch(self._sql["heads"], now), now.timestamp()
        return {n: (state, since, share) if expires > at else (SpanState.GAP.value, expires, 1.0)
                for n, state, since, share, expires in rows}  # fmt: skip

    async def outlines(self, now: datetime) -> dict[int, Outline]:
        rows = await self._database.fetch(self._sql["outlines"], now)
        return {number: Outline(*rest) for number, *rest in rows}

    async def marks(
        self,
        tenant: Tenant,
        instants: Sequence[datetime],
        now: datetime,
        earlier: Sequence[Interval] = (),
        *,
        coarse: Collection[date] = (),
        present: bool = False,
    ) -> Mapping[datetime, Mark]:
        if coarse:
            instants = sorted({*instants, *edges_within(instants, coarse)})
        until = min(now, tenant.deleted_at or now)
        # Of a deleted tenant all is past.
        shown = now if present and tenant.deleted_at is None else None
        if len(instants) > MANY:
            if earlier:
                first = await self._database.fetch(
                    self._sql["marks"], tenant.key, [instants[0]], until, shown
                )
                instants = [*further(first, until, earlier), *instants]
            return await packed_marks(self._database, tenant.key, instants, until, shown)
        rows = await self._database.fetch(self._sql["marks"], tenant.key, list(instants), until, shown)
        if more := further(rows, until, earlier):
            return await self.marks(tenant, [*more, *instants], now, present=present)
        return marks_of(rows, instants, until)

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        rows = await self._database.fetch(self._sql["states"], list(tenant_ids), now)
        return {r["tenant_id"]: SpanState(r["state"]) for r in rows}


_STATES: Final = {state.value: state for state in SpanState}
# With more instants than this marks come as bytes, to be taken apart where that holds nobody.
MANY: Final = 200
# Instants of one question, so that others have their turn between the parts of a long one.
_AT_ONCE: Final = 2_000
_PACKED: Final = "SELECT string_agg(record_send(m), ''::bytea) FROM ({}) AS m"


async def packed_marks(
    asked: Asked, tenant_key: int, instants: Sequence[datetime], until: datetime, present: datetime | None
) -> Mapping[datetime, Mark]:
    """As `marks_of`, of instants that there may be thousands of. `present`: `until`, or None if that is past."""
    sql, parts = _PACKED.format(load("fast_windows")["marks"]), list[bytes]()
    for first in range(0, len(instants), _AT_ONCE):
        part = list(instants[first : first + _AT_ONCE])
        packed: bytes | None = await asked.fetchval(sql, tenant_key, part, until, present)
        parts.append(packed or b"")
    return _PackedMarks(instants, parts, until)


def further(rows: Sequence[Any], until: datetime, earlier: Sequence[Interval]) -> list[datetime]:
    """The edges of `earlier` that an outage reaches back to which goes on at the first of `rows` (as of `marks_of`)."""
    if not earlier or not rows or rows[0][_HEAD] is None:
        return []
    first = with_head(_mark(rows[0]), _head(rows[0]), until)
    return sorted(edges_of(reached(first, earlier)))


class Asked(Protocol):
    """A database, or a connection in a transaction."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...


class _PackedMarks(Mapping[datetime, Mark]):
    """Bytes that become marks when somebody asks for the first: in a process that computes."""

    def __init__(self, instants: Sequence[datetime], parts: Sequence[bytes], until: datetime) -> None:
        self._instants = instants
        self._parts = parts
        self._until = until

    @cached_property
    def _marks(self) -> Mapping[datetime, Mark]:
        rows = [row for part in self._parts for row in unpacked(part)]
        return marks_of(rows, self._instants, self._until)

    def __getitem__(self, at: datetime) -> Mark:
        return self._marks[at]

    def __iter__(self) -> Iterator[datetime]:
        return iter(self._instants)

    def __len__(self) -> int:
        return len(self._instants)

    def __reduce__(self) -> tuple[Any, ...]:
        return _PackedMarks, (self._instants, self._parts, self._until)


def marks_of(rows: Sequence[Any], instants: Sequence[datetime], until: datetime) -> Mapping[datetime, Mark]:
    """Of rows that begin with the columns of `marks`, one per instant; none or without a state: never observed."""
    if not rows or rows[0][_HEAD] is None:
        return unmarked(instants, until)
    return _Marks(dict(zip(instants, rows, strict=True)), until)


class _Marks(Mapping[datetime, Mark]):
    """Rows that become marks when somebody asks for them: mostly in a thread."""

    def __init__(self, rows: dict[datetime, Any], until: datetime) -> None:
        self._rows = rows
        self._until = until
        self._made: dict[datetime, Mark] = {}

    def __getitem__(self, at: datetime) -> Mark:
        made = self._made.get(at)
        if made is None:
            row = self._rows[at]
            made = self._made[at] = with_head(_mark(row), _head(row), self._until)
        return made

    def __iter__(self) -> Iterator[datetime]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[Any, ...]:
        """A row of the driver does not pickle."""
        return _Marks, ({at: tuple(row) for at, row in self._rows.items()}, self._until)


_HEAD: Final = 1
_LAST: Final = 8
_NEXT: Final = 26
_END: Final = 44
_DOUBTS: Final = 46


def _head(row: Any) -> OpenEnd:
    state, *rest = row[_HEAD:_LAST]
    return OpenEnd(SpanState(state), *rest)


def _mark(row: Any) -> Mark:
    return Mark(row[0], _entry(row[_LAST:_NEXT]), _entry(row[_NEXT:_END]), *row[_END:_DOUBTS])


def _entry(cells: Sequence[Any]) -> Entry | None:
    """The columns of `availability_sums` as the query names them; all NULL where there is no such row."""
    (
        starts,
        ends,
        is_down,
        share,
        was,
        joins,
        outage_at,
        down,
        gap,
        hard,
        downs,
        outages,
        outage_hard,
        early,
        late,
        doubt,
        after,
        unknown,
    ) = cells
    if starts is None:
        return None
    return Entry(
        starts, ends, is_down, share, was, None if joins is None else micros(joins), outage_at, micros(down),
        micros(gap), micros(hard), downs, outages, None if outage_hard is None else micros(outage_hard), early, late,
        doubt, after, unknown,
    )  # fmt: skip


def _grouped(asked: Mapping[str, Collection[Interval]]) -> dict[frozenset[Interval], list[str]]:
    """Tenants that ask for the same: most share their time zone and have no maintenance."""
    groups: dict[frozenset[Interval], list[str]] = defaultdict(list)
    for tenant_id, intervals in asked.items():
        groups[frozenset(intervals)].append(tenant_id)
    return groups
