"""The database keeps every version of a contract, however a tenant is changed, and says from when on it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import SlaTarget, Tenant
from ecpmon.ports.audit import Actor, as_actor
from ecpmon.ports.tenants import TenantChange
from ecpmon.sla.contracts import month
from ecpmon.sla.periods import midnight
from ecpmon.storage.contracts import PgContracts
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import T0, MakeTenant

DAY = timedelta(days=1)


def change_of(tenant: Tenant, **more: Any) -> TenantChange:
    target = more.pop("target", None)
    if target is not None:
        more["sla_target"] = SlaTarget(availability=target)
    evidence = {"holds": DAY, "age": None}
    names = {each.name for each in fields(TenantChange)} - set(evidence)
    as_it_is = {name: getattr(tenant, name) for name in names}
    return TenantChange(**as_it_is | evidence | more)


def shown(tenant: Tenant) -> list[tuple[int, str, datetime]]:
    return [(v.version, v.sla_target.availability, v.valid_from) for v in tenant.versions]


async def test_a_change_counts_from_the_next_month_of_its_time_zone(
    database: Database, make_tenant: MakeTenant
) -> None:
    store = PgTenantStore(database)
    tenant = await make_tenant(time_zone="Asia/Seoul")
    assert shown(tenant) == [(1, "99.5%", T0)]
    # It is April 1 in Seoul, and still March 31 elsewhere.
    with as_actor(Actor("kim")):
        tenant = await store.update(
            tenant, change_of(tenant, target="99.9%"), datetime(2026, 3, 31, 16, tzinfo=UTC)
        )
    may = datetime(2026, 4, 30, 15, tzinfo=UTC)
    assert shown(tenant) == [(1, "99.5%", T0), (2, "99.9%", may)]
    assert [v.created_by for v in tenant.versions][1] == "kim"
    # Whatever reads tenants reads the same.
    again = await store.get(tenant.tenant_id)
    held = await PgContracts(database).read(tenant.tenant_id, None)
    listed = await PgRoster(database, rules=False).live()
    assert held is not None
    assert again == tenant == held.tenant == next(t for t in listed if t.key == tenant.key)


async def test_of_several_changes_before_it_takes_effect_the_last_counts(
    database: Database, make_tenant: MakeTenant
) -> None:
    store, tenant = PgTenantStore(database), await make_tenant()
    for days, target in ((3, "99.9%"), (5, "99%"), (9, "98%")):
        tenant = await store.update(tenant, change_of(tenant, target=target), T0 + days * DAY)
    assert shown(tenant) == [(1, "99.5%", T0), (4, "98%", datetime(2026, 4, 1, tzinfo=UTC))]
    history = await store.contract_history(tenant, 10)
    assert [(v.version, v.sla_target.availability, v.replaced_at) for v in history] == [
        (4, "98%", None),
        (3, "99%", T0 + 9 * DAY),
        (2, "99.9%", T0 + 5 * DAY),
        (1, "99.5%", None),
    ]
    # What was the newest then: rolling windows of the past are judged by it.
    known = [(await store.as_of(tenant, T0 + days * DAY)).sla_target.availability for days in (2, 4, 6, 10)]
    assert known == ["99.5%", "99.9%", "99%", "98%"]
    # When it has taken effect, the next is another.
    tenant = await store.update(tenant, change_of(tenant, target="97%"), datetime(2026, 4, 1, tzinfo=UTC))
    assert [version for version, *_ in shown(tenant)] == [1, 4, 5]


async def test_a_change_on_the_day_of_the_creation_counts_from_the_creation(
    database: Database, make_tenant: MakeTenant
) -> None:
    store, tenant = PgTenantStore(database), await make_tenant(time_zone="Asia/Seoul")
    # T0 is 9 o'clock in Seoul: fifteen hours of that day are left.
    first = await store.update(
        tenant, change_of(tenant, target="99.9%"), T0 + timedelta(hours=15) - timedelta(microseconds=1)
    )
    assert shown(first) == [(2, "99.9%", T0)]
    assert (await store.as_of(first, T0)).sla_target.availability == "99.9%"
    second = await store.update(first, change_of(first, target="99%"), T0 + timedelta(hours=15))
    assert shown(second) == [(2, "99.9%", T0), (3, "99%", datetime(2026, 3, 31, 15, tzinfo=UTC))]


async def test_what_is_no_promise_makes_no_version(database: Database, make_tenant: MakeTenant) -> None:
    store, tenant = PgTenantStore(database), await make_tenant()
    tenant = await store.update(tenant, change_of(tenant, name="other", preset="large"), T0 + 2 * DAY)
    assert [v for v, *_ in shown(tenant)] == [1]
    for number, more in enumerate(
        (
            {"time_zone": "Asia/Seoul"},
            {"maintenance_accounting": Accounting.COUNT_AS_UP},
            {"credits": {"tiers": [{"below_percent": "target", "credit_percent": 10}]}},
        ),
        2,
    ):
        tenant = await store.update(tenant, change_of(tenant, **more), T0 + number * 32 * DAY)
    last = tenant.versions[-1]
    assert [v for v, *_ in shown(tenant)] == [1, 2, 3, 4]
    assert (last.time_zone, last.maintenance_accounting, last.credits, last.hours) == (
        "Asia/Seoul", Accounting.COUNT_AS_UP, {"tiers": [{"below_percent": "target", "credit_percent": 10}]}, None,
    )  # fmt: skip
    assert tenant.under(tenant.versions[0]).maintenance_accounting is Accounting.EXCLUDE


async def test_who_changes_a_row_by_hand_makes_a_version_too(
    database: Database, make_tenant: MakeTenant
) -> None:
    store, tenant = PgTenantStore(database), await make_tenant()
    await database.execute(
        """UPDATE tenants SET sla_target = '{"availability": "98%"}', updated_at = $2,
           hours = '{"weekly": []}' WHERE id = $1""",
        tenant.key,
        T0 + 40 * DAY,
    )
    [first, second] = (await store.get(tenant.tenant_id)).versions
    assert (first.sla_target.availability, first.hours) == ("99.5%", None)
    assert (second.sla_target.availability, second.hours) == ("98%", {"weekly": []})
    assert (second.created_at, second.valid_from) == (T0 + 40 * DAY, datetime(2026, 5, 1, tzinfo=UTC))
    assert second.created_by == await database.fetchval("SELECT session_user")
    # Without a word of when, it is the present.
    await database.execute(
        "UPDATE tenants SET maintenance_accounting = 'count_as_up' WHERE id = $1", tenant.key
    )
    last = (await store.get(tenant.tenant_id)).versions[-1]
    assert last.created_at > last.valid_from - timedelta(days=32) > second.created_at


async def test_a_change_within_the_first_day_of_another_time_zone_is_for_the_month_after(
    database: Database, make_tenant: MakeTenant
) -> None:
    store, tenant = PgTenantStore(database), await make_tenant(time_zone="Asia/Seoul")
    tenant = await store.update(tenant, change_of(tenant, time_zone="America/Los_Angeles"), T0 + 20 * DAY)
    begins = datetime(2026, 3, 31, 15, tzinfo=UTC)
    # It is still March in Los Angeles, but April of the contract.
    tenant = await store.update(tenant, change_of(tenant, target="99%"), begins + timedelta(hours=3))
    assert [v.valid_from for v in tenant.versions] == [T0, begins, datetime(2026, 5, 1, 7, tzinfo=UTC)]
    april, may = month(tenant.versions, (2026, 4)), month(tenant.versions, (2026, 5))
    assert (april.period.start, april.period.end, april.version.version) == (begins, may.period.start, 2)


async def test_what_was_replaced_is_kept_two_hundred_numbers_long(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await database.execute(
        f"""DO $$ BEGIN FOR n IN 1..450 LOOP
             UPDATE tenants SET sla_target = jsonb_build_object('availability', (50 + n % 40)::text),
                                updated_at = updated_at + INTERVAL '36 hours' * (n = 1)::integer + INTERVAL '1 s'
             WHERE tenant_id = '{tenant.tenant_id}';
           END LOOP; END $$"""
    )
    rows = await PgTenantStore(database).contract_history(tenant, 1000)
    assert [v.version for v in rows] == [*range(451, 251, -1), 1]
    assert [v.version for v in rows if v.replaced_at is None] == [451, 1]


async def test_the_database_and_python_agree_on_when_months_begin(database: Database) -> None:
    known = {r["name"] for r in await database.fetch("SELECT name FROM pg_timezone_names")}
    zones = sorted(z for z in available_timezones() & known if not z.startswith(("posix", "right")))
    rows = await database.fetch(
        """SELECT z.name, at, next_month(at, z.name) AS begins
           FROM unnest($1::text[]) AS z (name), generate_series($2::timestamptz, $3, INTERVAL '1 month') AS at""",
        zones, datetime(2014, 1, 15, tzinfo=UTC), datetime(2030, 1, 15, tzinfo=UTC),
    )  # fmt: skip
    # Of a few old names the database takes the abbreviation, which has no summer: an hour late at most, and the same
    # month by Python.
    short = {r["abbrev"] for r in await database.fetch("SELECT abbrev FROM pg_timezone_abbrevs")}
    wrong = []
    for name, at, begins in rows:
        expected = midnight(at.year, at.month + 1, ZoneInfo(name))
        late = timedelta(hours=1) if name in short else timedelta(0)
        if not expected <= begins <= expected + late:
            wrong.append((name, begins))
    assert (len(rows) > 50_000, wrong) == (True, [])


async def test_former_targets_become_versions(make_database: Callable[[], str]) -> None:
    database = Database(make_database())
    files = discover()
    number = next(i for i, file in enumerate(files) if file.name == "contract_versions")
    await migrate(database, files[:number])
    made = datetime(2026, 1, 10, 5, tzinfo=UTC)
    key = await database.fetchval(
        """INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target, time_zone, created_at,
                                updated_at)
           VALUES ('acme', 'small', '{}', '{}', '{"availability": "99%"}', 'Asia/Seoul', $1, $1) RETURNING id""",
        made,
    )
    await database.execute(
        """INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target, created_at)
           VALUES ('other', 'small', '{}', '{}', '{}', $1)""",
        made,
    )
    for target, at in (
        ("99.5%", made + timedelta(hours=2)),
        ("99.9%", datetime(2026, 2, 3, tzinfo=UTC)),
        ("98%", datetime(2026, 2, 28, 14, tzinfo=UTC)),
        ("97%", datetime(2026, 2, 28, 16, tzinfo=UTC)),
    ):
        await database.execute(
            "UPDATE tenants SET sla_target = jsonb_build_object('availability', $2::text), updated_at = $3"
            " WHERE id = $1",
            key, target, at,
        )  # fmt: skip
    await migrate(database)
    store = PgTenantStore(database)
    tenant = await store.get("acme")
    march, april = datetime(2026, 2, 28, 15, tzinfo=UTC), datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert shown(tenant) == [(2, "99.5%", made), (4, "98%", march), (5, "97%", april)]
    history = await store.contract_history(tenant, 10)
    assert [(v.version, v.sla_target.availability) for v in history if v.replaced_at] == [
        (3, "99.9%"),
        (1, "99%"),
    ]
    assert {v.time_zone for v in history} == {"Asia/Seoul"}
    assert shown(await store.get("other")) == [(1, "99.5%", made)]
    tenant = await store.update(tenant, change_of(tenant, target="96%"), datetime(2026, 3, 2, tzinfo=UTC))
    assert shown(tenant)[-1] == (6, "96%", april)
    await database.close()
