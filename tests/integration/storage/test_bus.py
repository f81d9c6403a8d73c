"""Whatever any process commits, every other hears of it: once, soon, and after whatever happened to the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from ecpmon.model.bus import BusRow
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage import bus
from ecpmon.storage.bus import BusKeeping, BusReader, BusState, BusWriter
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from tests.conftest import PostgresServer
from tests.integration.conftest import T0, MakeTenant
from tests.waiting import until

UP = SeriesKey("availability", "up")


class Heard:
    """What a reader was told."""

    def __init__(self) -> None:
        self.rows: list[BusRow] = []
        self.restarts = 0
        self.doubts = 0

    def restarted(self) -> None:
        self.restarts += 1

    def doubted(self) -> None:
        self.doubts += 1

    def bodies(self, kind: str) -> list[Any]:
        return [row.body for row in self.rows if row.kind == kind]


@asynccontextmanager
async def reading(
    database: Database, origin: str = "reader", *, state: BusState = BusState.LISTENING
) -> AsyncIterator[tuple[BusReader, Heard]]:
    """A reader that has begun, and in `state`."""
    heard = Heard()
    reader = BusReader(
        database, origin, on_rows=heard.rows.extend, on_restart=heard.restarted, on_doubt=heard.doubted
    )
    reader.start()
    try:
        await until(lambda: _is(reader, state), f"the reader is {state}")
        yield reader, heard
    finally:
        await reader.stop()


async def _is(reader: BusReader, state: BusState) -> bool:
    return reader.state is state


async def _told(heard: Heard, kind: str, count: int) -> None:
    async def holds() -> bool:
        return len(heard.bodies(kind)) >= count

    await until(holds, f"{count} rows of kind {kind}")


async def _say(connection: Any, text: str, origin: str = "") -> None:
    await connection.execute(
        "SELECT bus_tell($1, 'test', '{}', jsonb_build_object('said', $2::text))", origin, text
    )


def _said(heard: Heard) -> list[str]:
    return [body["said"] for body in heard.bodies("test")]


async def test_a_group_commit_is_one_row_that_names_its_tenants_and_their_changes(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenants = [await make_tenant() for _ in range(3)]
    store = IngestStore(database, DEFAULT_RULES, 100, bus=BusWriter("writer"))
    at = datetime.now(UTC)

    def batch(tenant: Tenant, value: float, second: int) -> Batch:
        ts = at + timedelta(seconds=second)
        return Batch((Frame(tenant.tenant_id, Source.SIMULATOR, ts, (Sample(UP, value),)),))

    async with reading(database) as (_, heard), reading(database, "writer") as (_, own):
        await store.commit([batch(t, 1, 0) for t in tenants])
        await store.commit([batch(tenants[0], 0, 1), batch(tenants[1], 1, 1)])
        await _told(heard, "samples", 2)
        await _say(database, "later")
        await _told(own, "test", 1)
    rows = [row for row in heard.rows if row.kind == "samples"]
    assert [row.tenants for row in rows] == [tuple(t.key for t in tenants), (tenants[0].key, tenants[1].key)]
    began = rows[0].body["changes"]
    assert sorted(change[0] for change in began) == [t.key for t in tenants]
    [[number, since, state, previous]] = rows[1].body["changes"]
    assert (number, state, previous) == (tenants[0].key, "down", "up")
    assert datetime.fromisoformat(since) == at + timedelta(seconds=1)
    assert own.bodies("samples") == [], "who wrote it knows already"


async def test_rows_of_one_transaction_are_one_notify(database: Database) -> None:
    told = []
    connection = await database.dedicated()
    await connection.add_listener(bus.CHANNEL, lambda *args: told.append(args[3]))
    async with database.transaction() as writing:
        for text in ("a", "b", "c"):
            await _say(writing, text, "me")
    await _say(database, "d", "me")
    await until(lambda: _has(told, 2), "both transactions were told")
    await connection.close()
    assert len(told) == 2


async def _has(items: list[Any], count: int) -> bool:
    return len(items) >= count


async def test_who_rests_reads_the_first_commit_at_once_and_those_in_a_row_together(
    database: Database,
) -> None:
    told: list[int] = []
    reader = BusReader(database, "reader", on_rows=lambda rows: told.append(len(rows)), rest=1.0)
    reader.start()
    try:
        await until(lambda: _is(reader, BusState.LISTENING), "it listens")
        for count, more in ((1, 1), (3, 2)):
            for _ in range(more):
                async with database.transaction() as connection:
                    await BusWriter("writer").tell(connection, "rested", [], {})
            await until(lambda count=count: _sum(told, count), "they are told")  # type: ignore[misc]
        assert told == [1, 2]
    finally:
        await reader.stop()


async def _sum(told: list[int], least: int) -> bool:
    return sum(told) >= least


async def test_a_lower_number_that_commits_late_is_told_late_and_once(database: Database) -> None:
    async with reading(database) as (_, heard):
        late = await database.dedicated()
        transaction = late.transaction()
        await transaction.start()
        await _say(late, "written first")
        for text in ("second", "third"):
            await _say(database, text)
        await _told(heard, "test", 2)
        await transaction.commit()
        await _told(heard, "test", 3)
        await _say(database, "last")
        await _told(heard, "test", 4)
        await late.close()
    assert _said(heard) == ["second", "third", "written first", "last"]
    assert heard.rows[2].seq < heard.rows[0].seq


async def test_what_is_rolled_back_is_told_to_nobody(database: Database) -> None:
    async with reading(database) as (_, heard):
        connection = await database.dedicated()
        await connection.execute("BEGIN")
        await _say(connection, "never")
        await connection.execute("ROLLBACK")
        await connection.close()
        await _say(database, "this")
        await _told(heard, "test", 1)
    assert _said(heard) == ["this"]


async def test_a_reader_whose_connection_is_killed_misses_nothing_and_listens_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "BACKSTOP_SECONDS", 600.0)
    async with reading(database) as (reader, heard):
        for n in range(3):
            await _say(database, f"before {n}")
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'ecpmon-dedicated'"
            )
            await _say(database, f"after {n}")
            await until(lambda: _is(reader, BusState.POLLING), "it has noticed")
            assert reader.state is BusState.POLLING
            await until(lambda: _is(reader, BusState.LISTENING), "it listens again")
        await _say(database, "at last")
        await _told(heard, "test", 7)
    assert _said(heard) == [f"{when} {n}" for n in range(3) for when in ("before", "after")] + ["at last"]
    assert heard.restarts == 0


async def test_while_the_server_is_away_nothing_is_trusted_and_after_it_everything_is_told(
    make_migrated: Callable[[], str], postgres_server: PostgresServer, impatient_with_the_database: None
) -> None:
    database = Database(make_migrated())
    async with reading(database) as (reader, heard):
        assert reader.trusted
        await _say(database, "before")
        await _told(heard, "test", 1)
        postgres_server.kill()
        await until(lambda: _distrusts(reader), "nobody is trusted")
        await until(lambda: _has([heard] * heard.doubts, 1), "memories were thrown away")
        postgres_server.start()
        await until(lambda: _is(reader, BusState.LISTENING), "it listens again")
        await _say(database, "after")
        await _told(heard, "test", 2)
        assert reader.trusted
    await database.close()
    assert _said(heard) == ["before", "after"]
    assert heard.doubts == 1


async def _distrusts(reader: BusReader) -> bool:
    return not reader.trusted


class Deaf:
    """A connection through a pooler: LISTEN is taken, and nothing is ever heard."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def add_listener(self, *_: object) -> None:
        pass


class Pooled(Database):
    async def dedicated(self, on_lost: Callable[[], None] | None = None) -> Any:
        return Deaf(await super().dedicated(on_lost))


async def test_behind_a_pooler_a_reader_polls_and_trusts_nothing(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "HEARD_SECONDS", 0.1)
    database = Pooled(migrated_dsn)
    async with reading(database, state=BusState.POLLING) as (reader, heard):
        await until(lambda: _has_begun(reader), "it has a horizon")
        await _say(database, "polled")
        await _told(heard, "test", 1)
        assert reader.state is not BusState.LISTENING
        assert not reader.trusted
    await database.close()


async def _has_begun(reader: BusReader) -> bool:
    return reader._horizon.last is not None


async def test_the_direct_url_is_for_connections_of_ones_own(migrated_dsn: str) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/pooler", direct_url=migrated_dsn)
    connection = await database.dedicated()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_reader_behind_what_the_bus_keeps_starts_anew_and_others_do_not(
    make_migrated: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stands still while rows are dropped that it has not read; the other has read them."""
    database = Database(make_migrated())
    monkeypatch.setattr(bus, "BACKSTOP_SECONDS", 600.0)
    still, awake = Heard(), Heard()
    slow = BusReader(database, "slow", on_rows=still.rows.extend, on_restart=still.restarted)
    await slow._read(database.fetch)
    async with reading(database) as (_, heard):
        awake = heard
        await _say(database, "old")
        await _told(heard, "test", 1)
        keep = BusKeeping(database)
        assert await keep.retain(T0) == 0
        assert await keep.retain(T0 + timedelta(minutes=9)) == 0
        assert await keep.retain(T0 + timedelta(minutes=10)) == 1
        await _say(database, "new")
        await _told(heard, "test", 2)
    await slow._read(database.fetch)
    await database.close()
    assert (awake.restarts, _said(awake)) == (0, ["old", "new"])
    assert (still.restarts, _said(still)) == (1, ["new"])


async def test_a_row_that_becomes_visible_late_is_kept_as_long_as_others(
    make_migrated: Callable[[], str],
) -> None:
    """Its transaction lasted longer than rows are kept."""
    database = Database(make_migrated())
    keep = BusKeeping(database)
    late = await database.dedicated()
    transaction = late.transaction()
    await transaction.start()
    await _say(late, "late")
    for minutes in range(0, 60, 5):
        await keep.retain(T0 + timedelta(minutes=minutes))
    heard = Heard()
    reader = BusReader(database, "reader", on_rows=heard.rows.extend, on_restart=heard.restarted)
    await reader._read(database.fetch)
    await transaction.commit()
    await late.close()
    await keep.retain(T0 + timedelta(minutes=60))
    await keep.retain(T0 + timedelta(minutes=69))
    await reader._read(database.fetch)
    assert (heard.restarts, _said(heard)) == (0, ["late"])
    assert await keep.retain(T0 + timedelta(minutes=71)) == 1
    await database.close()


async def test_rows_copied_from_another_server_are_told_to_nobody_and_dropped(
    make_migrated: Callable[[], str],
) -> None:
    database = Database(make_migrated())
    async with reading(database) as (_, heard):
        await database.execute(
            "INSERT INTO bus (xid, kind, body) VALUES ('900000000', 'test', '{\"said\": \"no\"}')"
        )
        await database.execute("INSERT INTO bus_marks VALUES ($1, '900000000')", T0 - timedelta(days=1))
        await _say(database, "ours")
        await _told(heard, "test", 1)
        assert await BusKeeping(database).retain(T0) == 1
        await _say(database, "ours too")
        await _told(heard, "test", 2)
    assert (heard.restarts, _said(heard)) == (0, ["ours", "ours too"])
    await database.close()


Change = tuple[str, str, Callable[[Tenant], dict[str, Any]]]
CHANGES: list[Change] = [
    ("tenant", "UPDATE tenants SET description = 'x' WHERE id = $1", lambda t: {"names": [t.tenant_id], "gone": []}),
    ("tenant", "UPDATE tenants SET deleted_at = now() WHERE id = $1",
     lambda t: {"names": [t.tenant_id], "gone": [t.key]}),
    ("tenant", "UPDATE tenants SET tenant_id = 'another-' || id WHERE id = $1",
     lambda t: {"names": sorted([t.tenant_id, f"another-{t.key}"]), "gone": []}),
    ("regimes", "UPDATE evidence_regimes SET holds = INTERVAL '1 minute' WHERE tenant = $1", lambda t: {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sql", "body"), CHANGES)
async def test_a_change_by_hand_is_told(
    database: Database, make_tenant: MakeTenant, kind: str, sql: str, body: Callable[[Tenant], dict[str, Any]]
) -> None:
    tenant = await make_tenant()
    async with reading(database) as (_, heard):
        await database.execute(sql, tenant.key)
        await _told(heard, kind, 1)
    [row] = heard.rows
    assert (row.tenants, row.body) == ((tenant.key,), body(tenant))


async def test_a_new_tenant_is_told_by_name(database: Database, make_tenant: MakeTenant) -> None:
    async with reading(database) as (_, heard):
        tenant = await make_tenant()
        await _told(heard, "tenant", 1)
    assert heard.bodies("tenant")[0]["names"] == [tenant.tenant_id]


TOKEN = "INSERT INTO api_tokens (name, roles, all_tenants, created_at) VALUES ('a', '{viewer}', false, $1) RETURNING id"


async def test_a_token_is_told_when_it_changes_and_not_when_it_is_used(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant, number = await make_tenant(), await database.fetchval(TOKEN, T0)
    hash_ = number.to_bytes(32)
    changes: list[tuple[str, tuple[Any, ...]]] = [
        ("INSERT INTO token_grants VALUES ($1, $2)", (number, tenant.key)),
        ("DELETE FROM token_grants WHERE token = $1", (number,)),
        ("UPDATE api_tokens SET revoked_at = $2 WHERE id = $1", (number, T0)),
        ("UPDATE token_secrets SET valid_until = $2 WHERE token = $1", (number, T0)),
        ("DELETE FROM token_secrets WHERE token = $1", (number,)),
        ("DELETE FROM api_tokens WHERE id = $1", (number,)),
    ]
    async with reading(database) as (_, heard):
        await database.execute(
            "INSERT INTO token_secrets (token, hash, created_at) VALUES ($1, $2, $3)", number, hash_, T0
        )
        await database.execute("UPDATE api_tokens SET last_used_at = $2 WHERE id = $1", number, T0)
        for count, (sql, args) in enumerate(changes, start=1):
            await database.execute(sql, *args)
            await _told(heard, "token", count)
        assert heard.bodies("token")[: len(changes)] == [{"tokens": [number]}] * len(changes)


async def test_a_process_that_stood_still_trusts_nothing_until_it_has_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(database) as (reader, _):
        assert reader.trusted
        now = reader._now()
        monkeypatch.setattr(BusReader, "_now", staticmethod(lambda: now + bus.TRUST_SECONDS + 1))
        assert not reader.trusted


async def test_writers_that_are_killed_in_the_midst_leave_no_row(database: Database) -> None:
    async with reading(database) as (_, heard):
        victim = await database.dedicated()
        await victim.execute("BEGIN")
        await _say(victim, "lost")
        pid = victim.get_server_pid()
        await database.execute("SELECT pg_terminate_backend($1)", pid)
        lost = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
        with pytest.raises(lost):
            await victim.execute("COMMIT")
        await _say(database, "kept")
        await _told(heard, "test", 1)
    assert _said(heard) == ["kept"]
