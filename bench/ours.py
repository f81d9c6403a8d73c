"""ecpmon under test: loading its timelines, asking for windows both ways, correcting the past."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from bench.observations import SLOT, History, tenant_name
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.windows import Tally
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.windows import tally
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.queries import load
from ecpmon.storage.tenants import PgTenantStore

_CHUNK = 200  # tenants per statement
_NEW_TENANTS = """
INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target, sli_source)
SELECT name, 'small', '{}', '{}', '{"availability": "99.5%"}', 'push' FROM unnest($1::text[]) AS name
RETURNING id, tenant_id
"""
_UP = SeriesKey("sla", "up")
_TWO_HOURS = timedelta(hours=2)


async def median_ms(action: Callable[[], Awaitable[object]], repeats: int = 9) -> float:
    """Median milliseconds after one call that does not count."""
    await action()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def add_tenants(database: Database, names: Sequence[str]) -> dict[str, int]:
    rows = await database.fetch(_NEW_TENANTS, list(names))
    return {r["tenant_id"]: r["id"] for r in rows}


async def load_history(database: Database, history: History) -> float:
    """Store the history's spans through the statements (and triggers) of ingestion; seconds it took."""
    began = time.perf_counter()
    for first in range(0, history.tenants, _CHUNK):
        numbers = range(first, min(first + _CHUNK, history.tenants))
        keys = await add_tenants(database, [tenant_name(n) for n in numbers])
        await _store(database, history, {keys[tenant_name(n)]: n for n in numbers})
    for table in ("availability_spans", "availability_sums", "availability_heads", "tenants"):
        await database.execute(f"VACUUM ANALYZE {table}")
    return time.perf_counter() - began


async def _store(database: Database, history: History, numbers: dict[int, int]) -> None:
    spans: list[tuple[int, Span]] = []
    heads = []
    for key, number in numbers.items():
        closed, head = history.spans(number)
        spans += [(key, span) for span in closed]
        heads.append(
            (
                key,
                history.start,
                head.state.value,
                head.since,
                head.last,
                head.holds,
                head.share,
                head.doubt,
                head.age,
                head.unknown,
            )
        )
    await insert_spans(database, spans)
    await database.execute(load("ingest")["update_heads"], *map(list, zip(*heads, strict=True)))


async def insert_spans(database: Database, spans: Sequence[tuple[int, Span]]) -> None:
    await database.execute(load("ingest")["insert_spans"], *_columns(spans))


def _columns(spans: Sequence[tuple[int, Span]]) -> tuple[list[object], ...]:
    return (
        [key for key, _ in spans],
        [s.start for _, s in spans],
        [s.end for _, s in spans],
        [s.state.value for _, s in spans],
        ["not_pushed" if s.state is SpanState.GAP else None for _, s in spans],
        [s.share for _, s in spans],
        [s.doubt for _, s in spans],
        [s.doubt_after for _, s in spans],
        [s.unknown for _, s in spans],
    )


async def fast(
    database: Database, history: History, windows: dict[str, timedelta]
) -> dict[str, dict[str, Tally]]:
    """Every window of every tenant by the way of the jobs and the operators' summary."""
    asked = {name: Interval(history.now - length, history.now) for name, length in windows.items()}
    names = [tenant_name(n) for n in range(history.tenants)]
    found = await PgFastWindows(database).tallies(dict.fromkeys(names, asked.values()), history.now)
    return {t: {name: tallies[i] for name, i in asked.items()} for t, tallies in found.items()}


async def from_spans(
    database: Database, history: History, windows: dict[str, timedelta]
) -> dict[str, dict[str, Tally]]:
    """The same by reading every span of the longest window, for comparison."""
    store, now = PgAvailabilityStore(database), history.now
    found = {}
    for tenant in await PgTenantStore(database).live():
        spans = await store.timeline(tenant, now - max(windows.values()), now)
        found[tenant.tenant_id] = {name: tally(spans, now - length, now) for name, length in windows.items()}
    return found


async def correct_sums(database: Database, later: int, now: datetime) -> float:
    """Milliseconds (transaction and commit included) to replace the spans of two hours that `later` incidents
    follow, with all running sums after them."""
    key = (await add_tenants(database, [f"corrected-{later}"]))[f"corrected-{later}"]
    start = now - (later + 1) * timedelta(hours=4)
    # One block before, so that removing the old spans moves the later sums as well: the dearer case.
    await insert_spans(database, [(key, s) for n in range(-1, later + 1) for s in _block(start, n, 10)])
    await database.execute("VACUUM ANALYZE availability_sums")
    sql, minutes = load("ingest"), 10

    async def correct() -> None:
        nonlocal minutes
        minutes = 15 if minutes == 10 else 10
        fresh = [(key, s) for s in _block(start, 0, minutes)]
        async with database.transaction() as connection:
            old = await connection.fetch(sql["nearby_spans"], key, start, start + _TWO_HOURS)
            starts = [r["start"] for r in old]
            await connection.execute(sql["delete_spans"], key, starts, starts[0], old[-1]["end"])
            await connection.execute(sql["insert_spans"], *_columns(fresh))

    return await median_ms(correct, 15)


def _block(start: datetime, number: int, minutes: int) -> list[Span]:
    """Two of every four hours: up, `minutes` down, up."""
    at = start + number * timedelta(hours=4)
    down = at + timedelta(hours=1)
    up = down + timedelta(minutes=minutes)
    return [
        Span(at, down, SpanState.UP),
        Span(down, up, SpanState.DOWN),
        Span(up, at + _TWO_HOURS, SpanState.UP),
    ]


async def correct_frames(database: Database, now: datetime) -> float:
    """Milliseconds of a whole ingestion: 120 corrected observations of three days ago, in a week of raw data."""
    await add_tenants(database, ["late"])
    store = IngestStore(database, DEFAULT_RULES, 100)
    start = now - timedelta(days=7)
    for day in range(7):
        slots = range(day * 1440, (day + 1) * 1440)
        await store.commit([Batch(tuple(_frame(start + s * SLOT, s % 200 < 10) for s in slots))])
    down = False

    async def correct() -> None:
        nonlocal down
        down = not down
        first = 4 * 1440
        frames = tuple(_frame(start + s * SLOT, down and s % 120 < 20) for s in range(first, first + 120))
        await store.commit([Batch(frames)])

    return await median_ms(correct, 15)


def _frame(ts: datetime, down: bool) -> Frame:
    return Frame("late", Source.PUSH, ts, (Sample(_UP, 0.0 if down else 1.0),))
