"""Minutes of counts against recomputation from what was sent: late, duplicate, corrected, with resets."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.objectives import Counts, Hole, Objective, StoredObjective
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.counters import COUNTING, MINUTE, Found, latency_minutes, request_minutes
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.growth import Reading
from ecpmon.sla.tracks import Track
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0, MakeTenant

HOLDS = timedelta(seconds=150)
END = T0 + timedelta(days=60)
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
OBJECTIVES = [
    Objective.model_validate(
        {
            "name": "requests",
            "kind": "requests",
            "target": 0.99,
            "total": {"metric": "requests_total"},
            "bad": {"metric": "requests_total", "labels": {"code": "503"}},
        }
    ),
    Objective.model_validate({"name": "latency", "kind": "latency", "target": 0.9, "threshold_ms": 200}),
]
OK = SeriesKey("custom", "requests_total", (("code", "200"), ("pod", "a")))
BAD = SeriesKey("custom", "requests_total", (("code", "503"), ("pod", "a")))
OTHER = SeriesKey("custom", "requests_total", (("code", "200"), ("pod", "b")))
LATENCY = SeriesKey("response", "response_time")
KEYS = (OK, BAD, OTHER, LATENCY)


@dataclass
class Sent:
    """What was sent, so that everything can be counted again from the beginning."""

    values: dict[SeriesKey, dict[datetime, float]] = field(default_factory=lambda: defaultdict(dict))

    def readings(self, key: SeriesKey) -> list[Reading]:
        return [Reading(ts, v, HOLDS) for ts, v in sorted(self.values[key].items())]

    def expected(self, name: str, start: datetime, end: datetime) -> Found:
        if name == "latency":
            found = Found(latency_minutes(self.readings(LATENCY), 200, start, end))
        else:
            keys = [k for k in (OK, BAD, OTHER) if self.values[k]]
            pods = {k: frozenset(pair for pair in k.labels if pair[0] == "pod") for k in keys}
            tracks = [Track(self.readings(k), part=k is BAD, labels=pods[k]) for k in keys]
            found = request_minutes(tracks, True, start, end)
        return Found({minute: c for minute, c in found.minutes.items() if c != Counts()}, found.holes)


class Counting:
    def __init__(self, database: Database, ingest: IngestStore, tenant: Tenant) -> None:
        self.database, self.ingest, self.tenant = database, ingest, tenant
        self.store = PgObjectiveStore(database, OBJECTIVES)
        self.keeper = SlotKeeper(database, INTERVALS)
        self.sent = Sent()

    async def send(self, values: Sequence[tuple[SeriesKey, datetime, float]]) -> None:
        frames = []
        for key, ts, value in values:
            self.sent.values[key][ts] = value
            frames.append(Frame(self.tenant.tenant_id, Source.PUSH, ts, (Sample(key, value),)))
        await self.ingest.commit([Batch(frames=tuple(frames))])

    async def send_at_once(self, values: Sequence[tuple[SeriesKey, datetime, float]]) -> None:
        """All of one instant."""
        for key, ts, value in values:
            self.sent.values[key][ts] = value
        samples = tuple(Sample(key, value) for key, _, value in values)
        frame = Frame(self.tenant.tenant_id, Source.PUSH, values[0][1], samples)
        await self.ingest.commit([Batch(frames=(frame,))])

    async def settle(self, oldest: datetime = T0 - timedelta(days=1)) -> None:
        while await self.keeper.refresh(oldest, END):
            pass

    async def stored(self) -> dict[str, StoredObjective]:
        return {s.objective.name: s for s in await self.store.of_tenant(self.tenant)}

    async def minutes(self, name: str, start: datetime, end: datetime) -> dict[datetime, Counts]:
        """By way of the running sums, so that they are tested as well."""
        key = (await self.stored())[name].key
        instants = [start + i * MINUTE for i in range((end - start) // MINUTE + 1)]
        sums = await self.store.sums({(key, at) for at in instants})
        found = {a: sums[key, b] - sums[key, a] for a, b in pairwise(instants)}
        return {minute: c for minute, c in found.items() if c != Counts()}

    async def holes(self, name: str) -> tuple[Hole, ...]:
        rows = await self.database.fetch(
            "SELECT h.* FROM objective_holes h JOIN objectives o ON o.id = h.objective"
            " WHERE o.tenant = $1 AND o.name = $2 AND o.retired_at IS NULL ORDER BY starts, ends, told",
            self.tenant.key,
            name,
        )
        return tuple(
            Hole(r["starts"], r["ends"], r["good"], r["total"], r["bridged"], r["told"]) for r in rows
        )

    async def check(self, start: datetime, end: datetime) -> None:
        """`start` and `end` are beyond everything that was sent."""
        for objective in OBJECTIVES:
            expected = self.sent.expected(objective.name, start, end)
            assert await self.minutes(objective.name, start, end) == expected.minutes, objective.name
            assert await self.holes(objective.name) == expected.holes, objective.name


@pytest.fixture
async def counting(database: Database, ingest: IngestStore, make_tenant: MakeTenant) -> Counting:
    tenant = await make_tenant(source=Source.PUSH, holds=HOLDS)
    found = Counting(database, ingest, tenant)
    await found.store.install_defaults(T0, [tenant])
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_incremental_counting_equals_counting_everything_again(counting: Counting, seed: int) -> None:
    draw = random.Random(seed)
    start, lasting = T0, timedelta(hours=5)
    history: list[tuple[SeriesKey, datetime, float]] = []
    for key in KEYS:
        value, at = 0.0, start + timedelta(seconds=draw.uniform(0, 900))
        while at < start + lasting:
            if key is LATENCY:
                value = draw.uniform(50, 350)
            elif draw.random() < 0.03:
                value = draw.randrange(20)  # a restart
            else:
                value += draw.randrange(50)
            history.append((key, at, value))
            # Mostly regular, sometimes silent for long.
            step = draw.uniform(1500, 9000) if draw.random() < 0.02 else draw.choice([20, 60, 61.5])
            at += timedelta(seconds=step)
    pending = sorted(history, key=lambda h: h[1].timestamp() + draw.choice([0, 0, 0, 400, 5000]))
    upkeep = Upkeep(counting.database)
    while pending:
        count = draw.randrange(1, 60)
        batch, pending = pending[:count], pending[count:]
        await counting.send(batch)
        if draw.random() < 0.3:  # the same again, or a correction
            again = draw.sample(batch, min(3, len(batch)))
            await counting.send([(k, ts, v + draw.choice([0, 7])) for k, ts, v in again])
        if draw.random() < 0.3:
            await upkeep.roll_up(draw.choice([start, start + lasting]))
        if draw.random() < 0.5:
            await counting.settle()
    await counting.settle()
    await counting.check(start - timedelta(hours=1), start + lasting + timedelta(hours=1))
    firsts = {name: s.first_at for name, s in (await counting.stored()).items()}
    assert firsts["latency"] == min(counting.sent.values[LATENCY])
    assert firsts["requests"] == min(ts for k in (OK, BAD, OTHER) for ts in counting.sent.values[k])


async def test_late_data_rewrites_exactly_what_it_touches(counting: Counting) -> None:
    every = timedelta(seconds=30)
    await counting.send([(OK, T0 + i * every, 10.0 * i) for i in range(480)])
    await counting.settle()
    before = await counting.database.fetch(
        "SELECT h.xmin::text, h.hour FROM objective_hours h JOIN objectives o ON o.id = h.objective "
        "WHERE o.tenant = $1 ORDER BY hour",
        counting.tenant.key,
    )
    assert len(before) == 5  # four hours, and what the last reading holds on for
    # Corrects nothing in total: only the split between two minutes of the second hour.
    at = T0 + timedelta(hours=1, minutes=10, seconds=45)
    await counting.send([(OK, at, 10.0 * 141 + 9)])
    await counting.settle()
    after = await counting.database.fetch(
        "SELECT h.xmin::text, h.hour FROM objective_hours h JOIN objectives o ON o.id = h.objective "
        "WHERE o.tenant = $1 ORDER BY hour",
        counting.tenant.key,
    )
    written = [a["hour"] for a, b in zip(after, before, strict=True) if a["xmin"] != b["xmin"]]
    assert written == [T0 + timedelta(hours=1)]
    await counting.check(T0, T0 + timedelta(hours=5))


async def test_an_increase_over_a_long_silence_belongs_to_the_minute_that_saw_it(counting: Counting) -> None:
    end = T0 + timedelta(hours=9)
    await counting.send([(OK, T0, 100.0), (OK, T0 + timedelta(seconds=60), 110.0), (OK, end, 500.0)])
    await Upkeep(counting.database).roll_up(end, everything=True)
    await counting.settle()
    found = await counting.minutes("requests", T0, end + timedelta(hours=1))
    assert {m: c.total for m, c in found.items() if c.total} == {T0 + MINUTE: 10, end: 390}
    assert [(h.start, h.total) for h in await counting.holes("requests")] == [
        (T0 + timedelta(seconds=60), 390),
        (T0 + timedelta(seconds=60) + HOLDS, 0),  # the gap itself, which the counter measured
    ]
    # A late reading in the silence moves a part of it, hours apart.
    await counting.send([(OK, T0 + timedelta(hours=4), 210.0)])
    await counting.settle()
    found = await counting.minutes("requests", T0, end + timedelta(hours=1))
    assert {m: c.total for m, c in found.items() if c.total} == {
        T0 + MINUTE: 10,
        T0 + timedelta(hours=4): 100,
        end: 290,
    }
    await counting.check(T0, end + timedelta(hours=1))


async def test_what_is_older_than_the_raw_samples_stays_as_it_was(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(seconds=30 * i), 10.0 * i) for i in range(20)])
    await counting.settle()
    before = await counting.minutes("requests", T0, T0 + timedelta(hours=1))
    await counting.send([(OK, T0 + timedelta(seconds=45), 1e6)])
    await counting.settle(oldest=T0 + timedelta(hours=1))
    assert await counting.minutes("requests", T0, T0 + timedelta(hours=1)) == before
    assert await counting.keeper.backlog() == 0


async def test_another_indicator_is_counted_from_the_raw_samples(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(seconds=30 * i), 10.0 * i) for i in range(20)])
    await counting.send([(OTHER, T0 + timedelta(seconds=30 * i), 1.0 * i) for i in range(20)])
    await counting.settle()
    old = (await counting.stored())["requests"]
    narrowed = Objective.model_validate(
        {
            "name": "requests",
            "kind": "requests",
            "target": 0.5,
            "total": {"metric": "requests_total", "labels": {"pod": "b"}},
            "good": {"metric": "requests_total", "labels": {"pod": "b", "code": "200"}},
        }
    )
    assert await counting.store.put(counting.tenant, [narrowed], T0) == [False]
    await counting.settle()
    new = (await counting.stored())["requests"]
    assert new.key != old.key
    assert not new.inherited
    found = await counting.minutes("requests", T0, T0 + timedelta(hours=1))
    assert sum(c.total for c in found.values()) == 19 == sum(c.good for c in found.values())
    # The old counts are still there, and the default comes back with a delete.
    await counting.store.delete(counting.tenant, "requests", T0)
    await counting.settle()
    assert (
        sum(c.total for c in (await counting.minutes("requests", T0, T0 + timedelta(hours=1))).values())
        == 209
    )


async def test_only_the_evidence_source_counts_and_a_change_of_source_counts_nothing_twice(
    counting: Counting, database: Database
) -> None:
    from ecpmon.storage.tenants import PgTenantStore

    change = T0 + timedelta(minutes=10)
    await PgTenantStore(database).add_regime(counting.tenant, change, Source.SIMULATOR, HOLDS, timedelta())
    frames = []
    for i in range(41):
        ts = T0 + timedelta(seconds=30 * i)
        for source in (Source.PUSH, Source.SIMULATOR):
            frames.append(Frame(counting.tenant.tenant_id, source, ts, (Sample(OK, 10.0 * i),)))
    await counting.ingest.commit([Batch(frames=tuple(frames))])
    await counting.settle()
    found = await counting.minutes("requests", T0, T0 + timedelta(hours=1))
    # 40 increases of 10; the one across the change is nobody's.
    assert sum(c.total for c in found.values()) == 390


async def test_the_view_shows_minutes(counting: Counting, database: Database) -> None:
    await counting.send([(OK, T0 + timedelta(seconds=60 * i), 10.0 * i) for i in range(4)])
    await counting.settle()
    rows = await database.fetch(
        "SELECT * FROM objective_minutes WHERE tenant_id = $1 AND objective = 'requests' ORDER BY minute",
        counting.tenant.tenant_id,
    )
    assert [(r["minute"], r["good"], r["total"]) for r in rows][:4] == [
        (T0, 0, 0),
        *((T0 + i * MINUTE, 10, 10) for i in (1, 2, 3)),
    ]
    assert [float(r["observed_seconds"]) for r in rows] == [60, 60, 60, 60, 60, 30]


async def test_retention_leaves_the_sums_of_what_it_keeps(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(minutes=i), 10.0 * i) for i in range(300)])
    await counting.settle()
    start, end = T0 + timedelta(hours=3, minutes=7), T0 + timedelta(hours=5)
    before = await counting.minutes("requests", start, end)
    key = (await counting.stored())["requests"].key
    await counting.store.retain(T0 + timedelta(hours=2))
    assert await counting.minutes("requests", start, end) == before
    # A window that begins before what is kept holds what is kept.
    sums = await counting.store.sums({(key, T0), (key, end)})
    assert (sums[key, end] - sums[key, T0]).total == 10 * (299 - 119)


async def test_a_long_past_is_counted_in_shares(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(minutes=10 * i), 10.0 * i) for i in range(150)])
    await Upkeep(counting.database).roll_up(T0 + timedelta(days=9), everything=True)
    # One mark for everything, as a new objective makes it.
    await counting.database.execute("DELETE FROM objective_marks WHERE tenant = $1", counting.tenant.key)
    await counting.database.execute("SELECT objective_marks_since($1, '-infinity')", counting.tenant.key)
    await counting.keeper.refresh(T0 - timedelta(days=1), END)
    assert await counting.keeper.backlog() >= 1
    await counting.settle()
    await counting.check(T0, T0 + timedelta(hours=26))


async def test_readings_that_arrive_while_it_counts_are_not_lost(counting: Counting) -> None:
    """Writers and two counting jobs at once, all on the same bucket."""

    async def write(key: SeriesKey, offset: float) -> None:
        for i in range(40):
            await counting.send([(key, T0 + timedelta(seconds=7 * i + offset), float(11 * i))])

    async def count(done: asyncio.Event) -> None:
        while not done.is_set():
            await counting.keeper.refresh(T0 - timedelta(days=1), END)

    done = asyncio.Event()
    counters = [asyncio.create_task(count(done)) for _ in range(2)]
    await asyncio.gather(write(OK, 0), write(BAD, 1), write(OTHER, 2), write(LATENCY, 3))
    done.set()
    await asyncio.gather(*counters)
    await counting.settle()
    await counting.check(T0 - timedelta(hours=1), T0 + timedelta(hours=1))


async def test_a_tenant_that_sends_nonsense_does_not_stop_the_counting(
    counting: Counting, make_tenant: MakeTenant
) -> None:
    other = Counting(counting.database, counting.ingest, await make_tenant(source=Source.PUSH, holds=HOLDS))
    await other.store.install_defaults(T0, [other.tenant])
    huge = [0.0, 9e15] * 1200
    for hour in range(3):
        start = T0 + timedelta(hours=hour)
        await other.send([(OK, start + timedelta(seconds=i), v) for i, v in enumerate(huge)])
        await other.send([(OK, start + timedelta(seconds=2500), 1e300), (BAD, start, -5.0)])
    await counting.send([(OK, T0, 1.0), (OK, T0 + MINUTE, 4.0)])
    await counting.settle()
    await counting.check(T0, T0 + timedelta(hours=1))
    found = await other.minutes("requests", T0, T0 + timedelta(hours=4))
    assert max(c.total for c in found.values()) > 10**17


async def test_a_retired_objective_goes_with_its_last_counts(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(minutes=i), 10.0 * i) for i in range(90)])
    await counting.settle()
    old = (await counting.stored())["requests"].key
    changed = OBJECTIVES[0].model_copy(update={"bad": None, "good": OBJECTIVES[0].bad})
    await counting.store.put(counting.tenant, [changed], T0)

    async def kept() -> bool:
        return bool(await counting.database.fetchval("SELECT true FROM objectives WHERE id = $1", old))

    await counting.store.retain(T0 + timedelta(hours=1))
    assert await kept()
    await counting.store.retain(T0 + timedelta(hours=9))
    assert not await kept()
    assert "requests" in await counting.stored()


@pytest.mark.parametrize("seed", range(6))
async def test_series_that_come_and_go_in_one_scrape_are_counted_as_from_the_beginning(
    counting: Counting, seed: int
) -> None:
    """All series of an instant in one frame, births over gaps, strays, restarts, late scrapes."""
    draw = random.Random(f"births {seed}")
    scrapes = _scrapes(draw)
    scrapes.sort(key=lambda s: s[0][1].timestamp() + draw.choice([0, 0, 0, 900, 9000]))
    upkeep = Upkeep(counting.database)
    while scrapes:
        count = draw.randrange(1, 30)
        for scrape in scrapes[:count]:
            await counting.send_at_once(scrape)
        scrapes = scrapes[count:]
        if draw.random() < 0.3:
            await upkeep.roll_up(T0 + timedelta(hours=draw.randrange(9)))
        if draw.random() < 0.7:
            await counting.settle()
    await counting.settle()
    await counting.check(T0 - timedelta(hours=1), T0 + timedelta(hours=9))


def _scrapes(draw: random.Random) -> list[list[tuple[SeriesKey, datetime, float]]]:
    """Six hours; of an instant everything that there is at it."""
    values, at = {OK: 1000.0}, T0
    scrapes: list[list[tuple[SeriesKey, datetime, float]]] = []
    while at < T0 + timedelta(hours=6):
        for key in (OK, BAD, OTHER):
            chance = draw.random()
            if chance < 0.02:
                values[key] = float(draw.randrange(9))  # born, or restarted
            elif chance < 0.03:
                values.pop(key, None)
            elif key in values and chance < 0.9:
                values[key] += draw.randrange(20)
        stray = draw.choice([0, 1, 3]) if draw.random() < 0.05 else 0
        scrapes.append([(k, at, v - stray) for k, v in values.items() if v >= 3])
        at += timedelta(seconds=draw.choice([60] * 20 + [400, 4000]))
    return [s for s in scrapes if s]


async def test_what_was_counted_in_an_older_way_is_counted_anew(counting: Counting) -> None:
    await counting.send([(OK, T0 + timedelta(seconds=60 * i), 10.0 * i) for i in range(4)])
    await counting.settle()
    await counting.check(T0 - timedelta(hours=1), T0 + timedelta(hours=1))
    # As an older release has left it.
    await counting.database.execute(
        "UPDATE objectives SET counting = $2 WHERE tenant = $1", counting.tenant.key, COUNTING - 1
    )
    await counting.database.execute(
        "UPDATE objective_hours h SET minutes = 1, total_step = 9, bad_step = 2, observed_step = 60000000,"
        " total_off = NULL, bad_off = NULL, observed_off = NULL FROM objectives o"
        " WHERE o.id = h.objective AND o.tenant = $1",
        counting.tenant.key,
    )
    await counting.settle()
    assert (await counting.minutes("requests", T0, T0 + timedelta(hours=1)))[T0].total == 9
    await counting.keeper.renew()
    await counting.settle()
    await counting.check(T0 - timedelta(hours=1), T0 + timedelta(hours=1))
    await counting.keeper.renew()
    assert await counting.keeper.backlog() == 0


async def test_a_series_whose_past_is_gone_is_not_born(counting: Counting) -> None:
    """It was read, long ago: the raw samples are dropped, the rollups know it."""
    later = T0 + timedelta(days=3)
    await counting.send([(OTHER, T0 + timedelta(seconds=60 * i), 500.0 + i) for i in range(9)])
    await counting.send([(OK, later + timedelta(seconds=60 * i), 100.0 + i) for i in range(9)])
    await Upkeep(counting.database).roll_up(later + timedelta(days=1), everything=True)
    await counting.settle()
    await counting.database.execute(
        "DELETE FROM frames WHERE tenant = $1 AND ts < $2", counting.tenant.key, later
    )
    await counting.send([(OTHER, later + timedelta(seconds=60 * i), 900.0 + i) for i in range(5, 9)])
    await counting.settle(oldest=later)
    found = await counting.minutes("requests", later, later + timedelta(hours=1))
    assert {(m - later) // MINUTE: c.total for m, c in found.items() if c.total} == {
        # The other one, born in the days between, and counted when that was known to be so.
        0: 100,
        **dict.fromkeys(range(1, 6), 1),
        **dict.fromkeys(range(6, 9), 2),
    }


async def test_a_counter_that_tells_when_it_began_is_believed(counting: Counting) -> None:
    created = SeriesKey("custom", "requests_created", OK.labels)
    begun = T0 - timedelta(hours=1)
    for i, (value, began) in enumerate(
        [(100.0, begun), (3.0, begun), (120.0, begun), (150.0, T0 + timedelta(seconds=130))]
    ):
        ts = T0 + timedelta(seconds=60 * i)
        await counting.send_at_once([(OK, ts, value), (created, ts, began.timestamp())])
    await counting.settle()
    found = await counting.minutes("requests", T0, T0 + timedelta(hours=1))
    assert {(m - T0) // MINUTE: c.total for m, c in found.items() if c.total} == {2: 20, 3: 150}
    assert not any(c.resets for c in found.values())


async def test_holes_that_an_instant_cuts_are_found(counting: Counting) -> None:
    end = T0 + timedelta(minutes=30)
    await counting.send([(OK, T0, 100.0), (OK, end, 400.0), (OK, end + MINUTE, 500.0)])
    await counting.settle()
    stored = (await counting.stored())["requests"]
    assert stored.holes_until == end
    assert await counting.store.holes({(stored.key, T0), (stored.key, end + MINUTE)}) == {}
    # What was told at an instant happened before it.
    both = {stored.key: [Hole(T0, end, 300, 300), Hole(T0 + HOLDS, end, 0, 0, (1800 - 150) * 1_000_000)]}
    assert await counting.store.holes({(stored.key, end)}) == both
    found = await counting.store.holes({(stored.key, T0 + timedelta(minutes=9)), (stored.key, T0 + MINUTE)})
    assert found == both
    await counting.store.retain(T0 + timedelta(hours=1))
    assert await counting.store.holes({(stored.key, T0 + timedelta(minutes=9))}) == {}


async def defined(counting: Counting, **fields: object) -> StoredObjective:
    """An objective that replaces the default of its name, with what it counts so far."""
    given = Objective.model_validate({"name": "requests", "target": 0.9, **fields})
    await counting.store.put(counting.tenant, [given], T0)
    await counting.settle()
    return (await counting.stored())["requests"]


async def test_requests_within_a_threshold_are_those_of_a_histograms_bucket(counting: Counting) -> None:
    def series(name: str, **labels: str) -> SeriesKey:
        return SeriesKey("custom", name, tuple(sorted(labels.items())))

    for i in range(11):
        ts = T0 + timedelta(seconds=60 * i)
        await counting.send_at_once(
            [(series("h_bucket", le=le, handler=h), ts, i * n)
             for h in ("/v1/chat", "/health") for le, n in (("0.1", 1.0), ("0.25", 3.0), ("+Inf", 5.0))]
            + [(series("h_count", handler=h), ts, i * 5.0) for h in ("/v1/chat", "/health")]
        )  # fmt: skip
    histogram = {"metric": "h", "labels": {"handler": {"re": "/v1/.*"}}}
    stored = await defined(counting, kind="latency", threshold_ms=250, unit="s", histogram=histogram)
    assert stored.part_known
    found = sum((await counting.minutes("requests", T0, T0 + timedelta(hours=1))).values(), Counts())
    assert (found.good, found.total) == (30, 50)
    # No bucket ends at the threshold: what is within it nobody knows.
    stored = await defined(counting, kind="latency", threshold_ms=200, unit="s", histogram=histogram)
    assert not stored.part_known


async def test_a_bad_selector_that_finds_nothing_says_nothing(counting: Counting) -> None:
    """Unless somebody counts under the name, and the first error is yet to come."""
    await counting.send([(OK, T0 + timedelta(seconds=60 * i), 10.0 * i) for i in range(9)])
    total = {"metric": "requests_total"}
    unborn = await defined(
        counting, kind="requests", total=total, bad={**total, "labels": {"code": {"re": "5.."}}}
    )
    assert unborn.part_known
    misspelt = await defined(
        counting, kind="requests", total=total, bad={**total, "labels": {"status": "503"}}
    )
    assert not misspelt.part_known
    unknown = await defined(counting, kind="requests", total=total, bad={"metric": "failures_total"})
    assert not unknown.part_known
    assert (await counting.minutes("requests", T0, T0 + timedelta(hours=1)))[T0 + MINUTE].total == 10
    # It is known as soon as somebody counts.
    failures = SeriesKey("custom", "failures_total")
    await counting.send([(failures, T0 + timedelta(minutes=9), 2.0), (OK, T0 + timedelta(minutes=9), 90.0)])
    await counting.settle()
    assert (await counting.stored())["requests"].part_known
    assert (await counting.minutes("requests", T0, T0 + timedelta(hours=1)))[T0 + 9 * MINUTE].bad == 2
