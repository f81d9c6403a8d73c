"""Packed or not, whoever asks is told the same, whatever happens in between."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecpmon.errors import EcpError
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage import packing
from ecpmon.storage.database import Database
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.packing import AGAIN, HOUR, Packing
from ecpmon.storage.queries import load
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
NAMES = ("up", "a", "b")
Said = Mapping[tuple[str, datetime], bytes]
LATER = T0 + timedelta(days=1)


@pytest.fixture
async def database(make_migrated: Callable[[], str]) -> AsyncIterator[Database]:
    """Of each test its own: a turn packs whatever is there."""
    database = Database(make_migrated())
    yield database
    await database.close()


def frame(tenant: Tenant, seconds: float, values: Mapping[str, float]) -> Frame:
    samples = tuple(
        Sample(SeriesKey("sla" if name == "up" else "custom", name), value) for name, value in values.items()
    )
    return Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=seconds), samples)


async def shown(database: Database, tenant: Tenant) -> Said:
    rows = await database.fetch(
        "SELECT metric_name, timestamp, metric_value FROM monitoring_data WHERE tenant_id = $1",
        tenant.tenant_id,
    )
    found = {(r["metric_name"], r["timestamp"]): struct.pack("d", r["metric_value"]) for r in rows}
    assert len(found) == len(rows)
    return found


async def kept(database: Database, tenant: Tenant) -> tuple[int, int]:
    """Frames and packed rows."""
    frames = await database.fetchval("SELECT count(*) FROM frames WHERE tenant = $1", tenant.key)
    return frames, await database.fetchval("SELECT count(*) FROM packed_hours WHERE tenant = $1", tenant.key)


class Broken(Exception):
    """A process that dies here."""


values = st.one_of(st.integers(0, 3).map(float), st.floats(-1e6, 1e6), st.just(-0.0), st.just(0.1))
pushes = st.tuples(
    st.just("push"), st.integers(0, 30), st.dictionaries(st.sampled_from(NAMES), values, min_size=1)
)
steps = st.one_of(
    pushes, pushes, pushes,
    st.tuples(st.sampled_from(["pack", "die after taking", "die after putting", "begin", "end", "unpack"])),
)  # fmt: skip


@settings(
    max_examples=6,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(steps, min_size=4, max_size=24))
async def test_any_interleaving_of_samples_packing_and_deaths_shows_the_same_rows(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, steps: list[tuple[Any, ...]]
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    world = World(database, ingest, tenant)
    for step in steps:
        await world.take(*step)
        assert await shown(database, tenant) == world.said
    await world.take("end")
    assert await shown(database, tenant) == world.said
    await world.take("pack")
    assert await shown(database, tenant) == world.said
    assert (await kept(database, tenant))[0] == 0


class World:
    """What was accepted, in the order of its numbers, and what a transaction of somebody else still holds back."""

    def __init__(self, database: Database, ingest: IngestStore, tenant: Tenant) -> None:
        self._database, self._ingest, self._tenant = database, ingest, tenant
        self._accepted: dict[tuple[str, datetime], tuple[int, bytes]] = {}
        self._open: Any = None
        self._now = LATER

    @property
    def said(self) -> Said:
        return {key: bits for key, (_, bits) in self._accepted.items()}

    async def take(self, what: str, *args: Any) -> None:
        self._now += 2 * AGAIN
        match what:
            case "push":
                await self._push(*args)
            case "pack":
                await self._pack()
            case "die after taking":
                await self._die("parts_of")
            case "die after putting":
                await self._die("numbered")
            case "begin" if self._open is None:
                await self._begin()
            case "end" if self._open is not None:
                await self._end()
            case "unpack":
                await self._database.fetchval(
                    "SELECT unpack_hours($1, $2, $3)", self._tenant.key, T0, T0 + HOUR
                )

    async def _push(self, place: int, said: Mapping[str, float]) -> None:
        """31 instants in three hours, not all of them regular."""
        seconds = place * 347.5
        await self._ingest.commit([Batch((frame(self._tenant, seconds, said),))])
        number = await self._database.fetchval("SELECT last_value FROM frame_seq")
        for name, value in said.items():
            self._note(name, T0 + timedelta(seconds=seconds), number, value)

    def _note(self, name: str, at: datetime, number: int, value: float) -> None:
        known = self._accepted.get((name, at))
        if known is None or known[0] < number:
            self._accepted[name, at] = number, struct.pack("d", value)

    async def _pack(self) -> None:
        packer = Packing(self._database, patience=0.05)
        await packer.pack(self._now, self._now)

    async def _die(self, where: str) -> None:
        def dies(*_: object) -> Any:
            raise Broken

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packing, where, dies)
            await self._pack()
        await self._database.execute("DELETE FROM quarantine")

    async def _begin(self) -> None:
        """Somebody numbers a frame, and commits it later."""
        await self._ingest.commit([Batch((frame(self._tenant, 0, {"a": 5.0}),))])
        number = await self._database.fetchval("SELECT last_value FROM frame_seq")
        self._note("a", T0, number, 5.0)
        connection = await self._database.dedicated()
        transaction = connection.transaction()
        await transaction.start()
        series = await connection.fetchval(
            "SELECT id FROM series WHERE tenant = $1 AND metric_name = 'a'", self._tenant.key
        )
        number = await connection.fetchval(
            "INSERT INTO frames (ts, tenant, series, samples) VALUES ($1, $2, $3, $4) RETURNING seq",
            T0, self._tenant.key, [series], [7.0],
        )  # fmt: skip
        self._open = connection, transaction, number

    async def _end(self) -> None:
        connection, transaction, number = self._open
        self._open = None
        await transaction.commit()
        await connection.close()
        self._note("a", T0, number, 7.0)


async def an_hour(ingest: IngestStore, tenant: Tenant, *, start: int = 0) -> None:
    frames = [
        frame(tenant, start + n * 10, {"up": float(n % 90 != 5), "a": n / 10, "b": 40 + (n * 7 % 11) / 100})
        for n in range(360)
    ]
    await ingest.commit([Batch(tuple(frames))])


async def test_every_reader_is_told_the_same_of_packed_hours(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await an_hour(ingest, tenant)
    await an_hour(ingest, tenant, start=3600)
    upkeep, end = Upkeep(database), T0 + 2 * HOUR
    while await upkeep.roll_up(LATER, everything=True):
        pass
    before = await everything_read(database, tenant, end)
    assert await Packing(database).pack(LATER, LATER) == 2
    assert await kept(database, tenant) == (0, 2)
    assert await everything_read(database, tenant, end) == before
    # Something late, of one hour; what is rolled up again is rolled up of both.
    await ingest.commit([Batch((frame(tenant, 5, {"a": 1000.0}), frame(tenant, 10, {"a": 7.0})))])
    late = await everything_read(database, tenant, end)
    while await upkeep.roll_up(LATER, everything=True):
        pass
    rolled = await everything_read(database, tenant, end)
    assert await Packing(database).pack(LATER, LATER + timedelta(minutes=5)) == 0
    assert await Packing(database).pack(LATER, LATER + 2 * AGAIN) == 1
    assert await kept(database, tenant) == (0, 3)
    assert await everything_read(database, tenant, end) == rolled
    assert late["raw"] == rolled["raw"] != before["raw"]
    assert rolled["5m"] != before["5m"]


async def everything_read(database: Database, tenant: Tenant, end: datetime) -> dict[str, Any]:
    store, sql = PgMonitoringStore(database), load("ingest")
    series = [r["id"] for r in await database.fetch("SELECT id FROM series WHERE tenant = $1", tenant.key)]
    raw = await store.packed(tenant, T0, end, timedelta(seconds=10), source="push")
    since, hour = [(tenant, T0)], timedelta(hours=1)
    slots = load("slots")
    return {
        "view": await shown(database, tenant),
        "raw": raw.open(),
        "plots": sorted(map(repr, await store.plots(tenant, T0, end, timedelta(seconds=15)))),
        "5m": sorted(map(repr, await store.plots(tenant, T0, end, timedelta(minutes=5)))),
        "trailing": await store.trailing(tenant, [("avg", "a", hour), ("max", "b", 2 * hour)], end),
        "latest": sorted(map(repr, await store.latest(tenant, T0, end))),
        "latest_of": await store.latest_of(since, ["a", "b"], end),
        "newest": sorted(await store.newest(since, ["a", "up"], end)),
        "evidence": await database.fetch(sql["raw_evidence"], tenant.key, T0, end),
        "evidence_at": await database.fetch(sql["evidence_at"], tenant.key, [T0, T0 + hour], T0, T0 + hour),
        "said_before": await database.fetchval(sql["said_before"], tenant.key, T0 + hour),
        # Of two values of one instant the last counts.
        "readings": {
            r["series"]: dict(zip(r["at"], r["values"], strict=True))
            for r in await database.fetch(slots["readings"], [tenant.key], [T0], [end], series, T0, end)
        },
        "before": await database.fetch(slots["before"], series, [tenant.key] * 3, [T0 + hour] * 3),
        "after": await database.fetch(slots["after"], series, [tenant.key] * 3, [T0 + hour] * 3),
        "5m view": await database.fetch(
            "SELECT * FROM metrics_5m WHERE tenant_id = $1 ORDER BY metric_name, timestamp", tenant.tenant_id
        ),
        "1h view": await database.fetch(
            "SELECT * FROM metrics_1h WHERE tenant_id = $1 ORDER BY metric_name, timestamp", tenant.tenant_id
        ),
        "usage": await store.gpu_usage(tenant, T0, end, raw=True),
    }


async def test_what_was_numbered_before_and_comes_after_a_turn_does_not_win(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    world = World(database, ingest, tenant)
    await world.take("begin")
    await world.take("push", 0, {"a": 9.0})
    await world.take("pack")
    assert (await kept(database, tenant))[1] == 0
    await world.take("end")
    assert await shown(database, tenant) == world.said == {("a", T0): struct.pack("d", 9.0)}
    await world.take("pack")
    assert await kept(database, tenant) == (0, 1)
    assert await shown(database, tenant) == world.said


async def test_an_hour_that_cannot_be_packed_is_quarantined_and_stops_no_other(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await make_tenant(source=Source.PUSH), await make_tenant(source=Source.PUSH)
    for tenant in (bad, good):
        await ingest.commit([Batch((frame(tenant, 0, {"a": 1.0}), frame(tenant, 3600, {"a": 2.0})))])
    key = await database.fetchval("SELECT id FROM series WHERE tenant = $1", bad.key)
    really = packing.parts_of

    def parts_of(columns: Any) -> Any:
        if 0 in columns.get(key, {}) and columns[key][0] == 1.0:
            raise ValueError("no")
        return really(columns)

    monkeypatch.setattr(packing, "parts_of", parts_of)
    before = await shown(database, bad)
    assert await Packing(database).pack(LATER, LATER) == 3
    assert (await kept(database, bad), await kept(database, good)) == ((1, 1), (0, 2))
    assert await shown(database, bad) == before
    held = await database.fetch("SELECT subject, reason FROM quarantine WHERE job = 'packing'")
    assert [tuple(r) for r in held] == [(T0.isoformat(), "a value cannot be read or stored: ValueError: no")]
    monkeypatch.setattr(packing, "parts_of", really)
    assert await Packing(database).pack(LATER, LATER) == 0
    assert await Packing(database).pack(LATER, LATER + timedelta(minutes=1)) == 1
    assert await shown(database, bad) == before
    assert await database.fetchval("SELECT count(*) FROM quarantine WHERE job = 'packing'") == 0


async def test_a_turn_locks_no_chunk_but_its_own(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await ingest.commit([Batch(tuple(frame(tenant, day * 86_400, {"a": 1.0}) for day in range(6)))])
    chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'frames'"
    assert await database.fetchval(chunks) >= 6
    async with database.transaction() as connection:
        await connection.fetch(load("packing")["take"], tenant.key, T0, T0, T0 + HOUR, 2**62)
        rows = await connection.fetch(
            "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND l.mode = 'RowExclusiveLock' AND c.relkind = 'r'"
        )
        written = {r["relname"] for r in rows if "hyper" in r["relname"]}
        assert len(written) == 1
        # Writers are told by their lock on `frames`.
        assert "frames" not in {r["relname"] for r in rows}


async def test_what_is_packed_can_be_unpacked_and_deleted_as_anything_else(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await an_hour(ingest, tenant)
    upkeep = Upkeep(database)
    while await upkeep.roll_up(LATER, everything=True):
        pass
    await Packing(database).pack(LATER, LATER)
    before = await shown(database, tenant)
    assert await database.fetchval("SELECT unpack_hours($1, $2, $3)", tenant.key, T0, T0 + HOUR) == 360
    assert await shown(database, tenant) == before
    # Nothing has changed, so nothing is to be worked out again.
    marks = "SELECT count(*) FROM rollup_dirty WHERE tenant = $1"
    assert await database.fetchval(marks, tenant.key) == 0
    await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, T0)
    assert await database.fetchval(marks, tenant.key) == 1
    assert len(await shown(database, tenant)) == len(before) - 3
    hand_made = HandMade(database, DEFAULT_RULES)
    while await hand_made.take_in(T0 - timedelta(days=1), LATER):
        pass


async def test_an_hour_of_very_many_samples_is_packed_in_parts(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await an_hour(ingest, tenant)
    before = await shown(database, tenant)
    monkeypatch.setattr(packing, "MOST_SAMPLES", 200)
    assert await Packing(database).pack(LATER, LATER) == 1
    frames, rows = await kept(database, tenant)
    assert (frames, rows > 4) == (0, True)
    assert await shown(database, tenant) == before
    ids = "SELECT count(*), count(DISTINCT id) FROM compat.monitoring_data WHERE tenant_id = $1"
    assert tuple(await database.fetchrow(ids, tenant.key)) == (3 * 360, 3 * 360)


async def test_chunks_are_made_ahead_and_emptied_ones_give_their_files_back(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await an_hour(ingest, tenant)
    await Packing(database).pack(LATER, LATER)
    upkeep, sizes = (
        Upkeep(database),
        "SELECT sum(pg_relation_size(show_chunks)) FROM show_chunks('frames', older_than => $1::timestamptz)",
    )
    await ingest.commit([Batch((frame(tenant, 86_400, {"a": 1.0}),))])
    assert await database.fetchval(sizes, LATER) > 0
    await upkeep.give_back(LATER)
    assert await database.fetchval(sizes, LATER) == 0
    ahead = datetime.fromisoformat("2031-05-05T12:00:00Z")
    for _ in range(2):
        await upkeep.make_ahead(ahead)
    rows = await database.fetch(
        "SELECT hypertable_name, range_start FROM timescaledb_information.chunks WHERE range_start > $1",
        ahead,
    )
    found = {r["hypertable_name"]: r["range_start"] for r in rows}
    assert len(found) == len(rows) == 2
    assert found["frames"] == datetime.fromisoformat("2031-05-06T00:00:00Z")


async def test_who_stores_tomorrow_for_long_stops_nobody_once_its_chunk_was_made_ahead(
    database: Database, make_tenant: MakeTenant
) -> None:
    """TimescaleDB has everybody wait for a transaction that made a chunk, who would make any."""
    tenant = await make_tenant(source=Source.PUSH)
    sql = "INSERT INTO frames (ts, tenant, series, samples) VALUES ($1, $2, '{}', '{}')"
    today = datetime.fromisoformat("2031-05-05T12:00:00Z")

    async def stored_beside(day: datetime, other: datetime) -> bool:
        async with database.transaction() as long:
            await long.execute(sql, day, tenant.key)
            try:
                async with database.transaction() as short:
                    await short.execute("SET LOCAL lock_timeout = '200ms'")
                    await short.execute(sql, other, tenant.key)
            except EcpError:
                return False
        return True

    assert not await stored_beside(today + timedelta(days=10), today + timedelta(days=20))
    await Upkeep(database).make_ahead(today)
    assert await stored_beside(today + timedelta(days=1), today + timedelta(days=30))
