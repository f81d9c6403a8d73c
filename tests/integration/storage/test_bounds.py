"""What is too large, too old or of the future gets in nowhere, and what got in earlier is taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.errors import EcpError, ValidationFailed
from ecpmon.model.ingest import Batch, Rejection
from ecpmon.model.samples import FUTURE, LARGEST, MOST_LABEL_BYTES, Frame, Sample, SeriesKey, Source
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0, MakeTenant
from tests.integration.hand_made import insert_by_hand

CPU = SeriesKey("cpu", "cpu_usage")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


async def test_the_database_and_python_have_the_same_bounds(database: Database) -> None:
    row = await database.fetchrow("SELECT largest, future FROM input_bounds")
    assert (row["largest"], row["future"]) == (LARGEST, FUTURE)
    definition = await database.fetchval("SELECT pg_get_functiondef('check_hand_made'::regproc)")
    assert f"bytes_of_labels(labels) > {MOST_LABEL_BYTES} THEN" in definition


async def test_values_beyond_the_bound_are_refused_whatever_brings_them(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    values = {"a": 1e308, "b": -1.1e100, "c": float("inf"), "d": float("nan"), "e": LARGEST, "f": -LARGEST}
    samples = tuple(Sample(SeriesKey("custom", name), value) for name, value in values.items())
    [result] = await ingest.commit([Batch((Frame(tenant.tenant_id, Source.SIMULATOR, T0, samples),))])
    assert {r.metric: r.reason for r in result.rejected} == {
        "a": Rejection.OUT_OF_RANGE,
        "b": Rejection.OUT_OF_RANGE,
        "c": Rejection.NOT_A_NUMBER,
        "d": Rejection.NOT_A_NUMBER,
    }
    assert [s.key.metric_name for f in result.frames for s in f.samples] == ["e", "f"]
    assert result.accepted == 2


@pytest.mark.parametrize("year", [1, 1969, 2200, 9999])
async def test_frames_of_no_sane_year_are_refused_and_the_rest_is_kept(
    ingest: IngestStore, make_tenant: MakeTenant, year: int
) -> None:
    tenant = await make_tenant()
    odd = Frame(tenant.tenant_id, Source.SIMULATOR, datetime(year, 6, 1, tzinfo=UTC), (Sample(CPU, 1.0),))
    fine = Frame(tenant.tenant_id, Source.SIMULATOR, T0, (Sample(CPU, 1.0),))
    [result] = await ingest.commit([Batch((odd, fine))])
    assert (result.accepted, [r.reason for r in result.rejected]) == (1, [Rejection.BAD_TIMESTAMP])


@pytest.mark.parametrize("name", ["", "x" * 101, "nul\x00", "half\ud800"])
async def test_names_that_no_index_can_hold_are_refused_and_stop_nobody(
    ingest: IngestStore, make_tenant: MakeTenant, name: str
) -> None:
    tenant, other = await make_tenant(), await make_tenant()
    bad = Frame(tenant.tenant_id, Source.SIMULATOR, T0, (Sample(SeriesKey("custom", name), 1.0),))
    fine = Frame(other.tenant_id, Source.SIMULATOR, T0, (Sample(CPU, 1.0),))
    [result] = await ingest.commit([Batch((bad, fine))])
    assert (result.accepted, [r.reason for r in result.rejected]) == (1, [Rejection.BAD_NAME])


async def test_a_great_many_of_the_largest_values_can_be_added_up(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    key = SeriesKey("response", "response_time")
    many = tuple(
        Frame(tenant.tenant_id, Source.SIMULATOR, at(n / 10), (Sample(key, LARGEST),)) for n in range(5_000)
    )
    await ingest.commit([Batch(many)])
    while await Upkeep(database).roll_up(at(3600)):
        pass
    store = PgMonitoringStore(database)
    [mean] = (await store.mean_response_times({tenant.key: "simulator"}, at(0), at(3600))).values()
    assert mean == pytest.approx(LARGEST)


# --- by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ts", "says"),
    [
        ("20026-11-27T00:00:00Z", "in the future"),
        ("2030-01-01T00:00:00Z", "in the future"),
        ("infinity", "in the future"),
        ("-infinity", "in the future"),
        ("2026-03-01T00:05:01Z", "in the future"),
        ("0044-03-15T00:00:00Z BC", "is older than"),
        ("0001-01-01T00:00:00Z", "is older than"),
        ("2026-02-21T23:59:59Z", "is older than"),
    ],
)
async def test_a_hand_made_row_of_another_time_is_refused_with_a_reason(
    database: Database, make_tenant: MakeTenant, ts: str, says: str
) -> None:
    tenant = await make_tenant()
    with pytest.raises(EcpError, match=says):
        await insert_by_hand(database, tenant.tenant_id, "up", 0, ts, now=T0)
    assert await database.fetchval("SELECT count(*) FROM evidence_dirty WHERE tenant = $1", tenant.key) == 0


@pytest.mark.parametrize("ts", ["2026-03-01T00:05:00Z", "2026-02-22T00:00:00Z"])
async def test_the_bounds_themselves_are_taken(database: Database, make_tenant: MakeTenant, ts: str) -> None:
    tenant = await make_tenant()
    await insert_by_hand(database, tenant.tenant_id, "up", 0, ts, now=T0)


@pytest.mark.parametrize("value", ["1e308", "-1.1e100", "NaN", "Infinity"])
async def test_a_hand_made_value_beyond_the_bound_is_refused(
    database: Database, make_tenant: MakeTenant, value: str
) -> None:
    tenant = await make_tenant()
    with pytest.raises(EcpError, match="must be a number from"):
        await insert_by_hand(database, tenant.tenant_id, "cpu", float(value), T0)


INSERT = (
    "INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value, timestamp, data_source, labels)"
    " VALUES ($1, $2, 'queue', 1, now(), $3, $4)"
)


@pytest.mark.parametrize(
    ("metric_type", "source", "labels", "says"),
    [
        ("custom", "push", {"a": "x" * 1000}, "at most 1000 bytes"),
        # Three bytes each.
        ("custom", "push", {"a" * 101: "한" * 300}, "at most 1000 bytes"),
        ("custom", "push", {f"{n:03}": "x" for n in range(251)}, "at most 1000 bytes"),
        ("custom", "push", {"a": 1}, "object of strings"),
        ("custom", "", {}, "1 to 100 printable"),
        ("custom", "a\nb", {}, "1 to 100 printable"),
        ("", "push", {}, "1 to 100 printable"),
    ],
)
async def test_what_a_hand_made_row_says_of_itself_is_bounded(
    database: Database, make_tenant: MakeTenant, metric_type: str, source: str, labels: object, says: str
) -> None:
    tenant = await make_tenant()
    with pytest.raises(EcpError, match=says):
        await database.execute(INSERT, tenant.tenant_id, metric_type, source, labels)
    assert await database.fetchval("SELECT count(*) FROM series WHERE tenant = $1", tenant.key) == 0
    await database.execute(INSERT, tenant.tenant_id, "custom", "mine", {"a": "x" * 999})


async def test_a_tenant_has_twenty_sources_of_its_own_and_goes_on_with_these(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    for n in range(20):
        await database.execute(INSERT, tenant.tenant_id, "custom", f"mine-{n}", {})
    with pytest.raises(EcpError, match="20 data sources of its own already, and another"):
        await database.execute(INSERT, tenant.tenant_id, "custom", "another", {})
    for source in ("mine-3", "push", "prometheus"):
        await database.execute(INSERT, tenant.tenant_id, "custom", source, {"service": "bot"})


async def test_hand_made_rows_may_be_as_old_as_raw_samples_are_kept(
    make_database: Callable[[], str],
) -> None:
    database = Database(make_database())
    await migrate(database)
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('t', 'small', '{}', '{}', '{}')"
    )
    await Upkeep(database).keep_bounds(timedelta(days=3))
    with pytest.raises(EcpError, match="is older than 3 days"):
        await insert_by_hand(database, "t", "up", 0, T0 - timedelta(days=4), now=T0)
    await Upkeep(database).keep_bounds(timedelta(days=5))
    await insert_by_hand(database, "t", "up", 0, T0 - timedelta(days=4), now=T0)
    await database.close()


# --- a database that was poisoned by an older release ------------------------------------------------------------


@pytest.fixture
async def poisoned(make_database: Callable[[], str]) -> AsyncIterator[Database]:
    """Of the release before the bounds: `sick` has rows of all times and sizes, `well` has none."""
    database = Database(make_database())
    await migrate(database, discover()[:16])
    for name in ("sick", "well"):
        await database.execute(
            "INSERT INTO tenants (tenant_id, name, preset, service_requirements, resources, sla_target)"
            f" VALUES ('{name}', '{name}', 'small', '{{}}', '{{}}', '{{\"availability\": \"99.5%\"}}')"
        )
    insert = "INSERT INTO monitoring_data (tenant_id, metric_name, metric_value, timestamp) VALUES"
    for ts in ("20026-11-27", "0044-03-15 BC", "2030-01-01"):
        await database.execute(f"{insert} ('sick', 'up', 0, '{ts}'), ('sick', 'response_time', 7, '{ts}')")
    for value in ("1e308", "1.7e308"):
        await database.execute(
            f"{insert} ('sick', 'response_time', {value}, now()), ('sick', 'cpu', {value}, now())"
        )
    await database.execute(f"{insert} ('well', 'response_time', 5, now()), ('well', 'up', 1, now())")
    await database.execute(
        "INSERT INTO frames (ts, tenant, series, samples) SELECT 'infinity', id, '{1}', '{1}' FROM tenants"
    )
    await database.execute(
        "INSERT INTO rollup_1h SELECT date_trunc('hour', now() - i * INTERVAL '1 hour'), id, x, x, x, 1"
        " FROM (SELECT 1.7e308) AS large (x),"
        " series, generate_series(1, 3) AS i WHERE tenant = (SELECT id FROM tenants WHERE tenant_id = 'sick')"
    )
    yield database
    await database.close()


async def _believe(database: Database) -> None:
    """What the older release made of it: a head in 2030, since a first observation before Christ."""
    await database.execute(
        "UPDATE availability_heads SET first_observed_at = '0044-03-15 BC', state = 'down', since = '2030-01-01',"
        " last_observed_at = '2030-01-01', holds = '150 s'"
        " WHERE tenant = (SELECT id FROM tenants WHERE tenant_id = 'sick')"
    )
    await database.execute(
        "INSERT INTO availability_spans (tenant, period, state, reason) SELECT t.id, tstzrange(a, b), state, reason"
        " FROM tenants t, (VALUES ('0044-03-15 BC'::timestamptz, '0044-03-15 00:02:30 BC'::timestamptz, 'down', NULL),"
        " ('0044-03-15 00:02:30 BC', now() - INTERVAL '1 day', 'gap', 'not_pushed'),"
        " (now() - INTERVAL '1 day', now() - INTERVAL '10 minutes', 'up', NULL),"
        " (now() - INTERVAL '10 minutes', '2030-01-01', 'gap', 'not_pushed')) AS s (a, b, state, reason)"
        " WHERE t.tenant_id = 'sick'"
    )
    await database.execute(
        "INSERT INTO objectives (tenant, name, inherited, indicator, definition, first_at, created_at)"
        " SELECT id, 'own', false, '{\"kind\": \"latency\"}', '{\"target\": 0.9}', '0044-03-15 BC', now()"
        " FROM tenants WHERE tenant_id = 'sick'"
    )


async def test_the_upgrade_takes_out_what_no_reader_could_read(poisoned: Database) -> None:
    await _believe(poisoned)
    with pytest.raises(DatabaseRefused):  # the driver's OverflowError, made one of ours
        await poisoned.fetch("SELECT ts FROM frames")
    await migrate(poisoned)
    now = datetime.now(UTC)
    assert {r["ts"].year for r in await poisoned.fetch("SELECT ts FROM frames")} <= {now.year, now.year - 1}
    for marks, column in (("rollup_dirty", "bucket"), ("evidence_dirty", "ts"), ("objective_marks", "ends")):
        found = await poisoned.fetch(f"SELECT {column} AS ts FROM {marks}")
        assert all(abs(r["ts"] - now) < timedelta(days=2) for r in found), marks
    tenant = await PgTenantStore(poisoned).get("sick")
    spans = await PgAvailabilityStore(poisoned).timeline(tenant, now - timedelta(days=30), now)
    assert [s.state.value for s in spans] == ["up", "gap"]
    assert now - spans[0].end == pytest.approx(timedelta(minutes=10), abs=timedelta(minutes=2))
    assert await PgFastWindows(poisoned).states(["sick"], now) == {"sick": "gap"}
    assert await PgFastWindows(poisoned).states(["sick"], spans[0].end - timedelta(seconds=1)) == {
        "sick": "up"
    }
    assert await poisoned.fetchval("SELECT first_at FROM objectives") is None


async def test_after_the_upgrade_everybody_is_rolled_up_and_listed(poisoned: Database) -> None:
    await migrate(poisoned)
    later = datetime.now(UTC) + timedelta(minutes=10)
    upkeep = Upkeep(poisoned)
    while await upkeep.roll_up(later):
        pass
    assert await upkeep.backlog() == 0
    store = PgMonitoringStore(poisoned)
    keys = {r["id"]: r["tenant_id"] for r in await poisoned.fetch("SELECT id, tenant_id FROM tenants")}
    means = await store.mean_response_times(dict.fromkeys(keys, "push"), later - timedelta(days=30), later)
    assert {keys[key]: mean for key, mean in means.items()} == {"well": 5.0}
    assert await HandMade(poisoned, DEFAULT_RULES).take_in(later - timedelta(days=7), later) == 1


@pytest.mark.parametrize("ts", ["2031-01-01T00:00:00Z", "2199-12-31T00:00:00Z"])
async def test_rows_put_past_the_bounds_are_taken_out_by_retention(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, ts: str
) -> None:
    """Directly into `frames` and `evidence_dirty`, with everything an older release would have made of them."""
    tenant = await make_tenant()
    up = SeriesKey("sla", "up")
    await ingest.commit([Batch((Frame(tenant.tenant_id, Source.SIMULATOR, T0, (Sample(up, 1.0),)),))])
    await database.execute(
        f"INSERT INTO frames (ts, tenant, series, samples) SELECT '{ts}', tenant, ARRAY[id], ARRAY[0] FROM series"
        " WHERE tenant = $1 AND metric_name = 'up'",
        tenant.key,
    )
    await database.execute(f"INSERT INTO evidence_dirty (tenant, ts) VALUES ($1, '{ts}')", tenant.key)
    await database.execute(f"INSERT INTO rollup_dirty (tenant, bucket) VALUES ($1, '{ts}')", tenant.key)
    keeper = HandMade(database, DEFAULT_RULES)
    while await keeper.take_in(T0 - timedelta(days=7), at(5)):
        pass
    store = PgAvailabilityStore(database)
    assert [s.state.value for s in await store.timeline(tenant, at(-60), at(5))] == ["up"]
    latest = dict(await PgMonitoringStore(database).latest(tenant, at(-60), at(5)))
    assert latest["up"].value == 1.0
    assert await Upkeep(database).forget_impossible(at(5)) == [tenant.tenant_id]
    assert await database.fetchval("SELECT max(ts) FROM frames WHERE tenant = $1", tenant.key) == T0
    assert await database.fetchval("SELECT max(bucket) FROM rollup_dirty WHERE tenant = $1", tenant.key) == T0
    assert await database.fetchval("SELECT count(*) FROM evidence_dirty WHERE tenant = $1", tenant.key) == 0
    await ingest.commit([Batch((Frame(tenant.tenant_id, Source.SIMULATOR, at(5), (Sample(up, 0.0),)),))])
    assert [s.state.value for s in await store.timeline(tenant, at(-60), at(10))] == ["up", "down"]


async def test_marks_of_tenants_that_are_gone_are_forgotten(database: Database) -> None:
    await database.execute("INSERT INTO rollup_dirty (tenant, bucket) VALUES (999999, $1)", T0)
    await Upkeep(database).forget_impossible(T0)
    assert await database.fetchval("SELECT count(*) FROM rollup_dirty WHERE tenant = 999999") == 0


# --- at the border of the driver -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '20026-11-27'::timestamptz", "SELECT '0044-03-15 BC'::timestamptz", "SELECT 'infinity'::interval",
        "SELECT '20026-11-27'::date", "SELECT '1e400'::jsonb || '\"x\"'::jsonb || 'nonsense'::jsonb",
    ],
)  # fmt: skip
async def test_what_the_driver_cannot_convert_is_an_error_of_ours(database: Database, sql: str) -> None:
    with pytest.raises(DatabaseRefused) as raised:
        await database.fetchval(sql)
    assert not raised.value.retryable
    assert await database.fetchval("SELECT 1") == 1


async def test_what_cannot_become_the_databases_is_an_error_of_ours(database: Database) -> None:
    with pytest.raises(DatabaseRefused):
        await database.fetchval("SELECT $1::bigint", 10**30)
    with pytest.raises(ValidationFailed):
        await database.fetchval("SELECT $1::text", "half \ud800")


async def test_json_numbers_beyond_double_precision_are_readable(database: Database) -> None:
    assert await database.fetchval("SELECT '{\"n\": 1e400}'::jsonb") == {"n": 10**400}
