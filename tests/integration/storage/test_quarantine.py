"""Quarantine: how long one waits, who is told, how it ends. The real one and the tests' own alike."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ecpmon.ports.quarantine import Quarantine
from ecpmon.storage.database import Database
from ecpmon.storage.quarantine import PgQuarantine, note_within
from tests.integration.conftest import T0, MakeTenant
from tests.quarantine import FakeQuarantine


@pytest.fixture(params=["real", "fake"])
def quarantine(request: pytest.FixtureRequest, database: Database) -> Quarantine:
    return PgQuarantine(database) if request.param == "real" else FakeQuarantine()


async def test_each_failure_waits_twice_as_long_and_an_hour_at_most(
    quarantine: Quarantine, make_tenant: MakeTenant
) -> None:
    tenant, now, waited = await make_tenant(), T0, []
    job = f"job of {tenant.tenant_id}"
    for number in range(12):
        await quarantine.note(job, {(tenant.tenant_id, ""): f"reason {number}"}, now)
        due = (await quarantine.held(job))[tenant.tenant_id, ""]
        waited.append((due - now).total_seconds())
        now = due
    assert waited == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    [trouble] = await quarantine.of_tenant(tenant)
    assert (trouble.reason, trouble.tries, trouble.first_at) == ("reason 11", 12, T0)
    assert trouble.last_at + timedelta(hours=1) == trouble.next_at


async def test_what_is_healed_is_gone_and_only_that(quarantine: Quarantine, make_tenant: MakeTenant) -> None:
    one, other = (await make_tenant()).tenant_id, (await make_tenant()).tenant_id
    job = f"job of {one}"
    await quarantine.note(job, {(one, ""): "x", (one, "part"): "x", (other, ""): "x"}, T0)
    assert (await quarantine.counts())[job] == 2
    await quarantine.heal(job, [(one, ""), (other, "part"), ("nobody", "")])
    assert set(await quarantine.held(job)) == {(one, "part"), (other, "")}
    await quarantine.heal(job, [(one, "part"), (other, "")])
    assert job not in await quarantine.counts()


async def test_a_clock_that_steps_back_starts_anew(quarantine: Quarantine, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    job, earlier = f"job of {tenant.tenant_id}", T0 - timedelta(days=300)
    for now in (T0, earlier):
        await quarantine.note(job, {(tenant.tenant_id, ""): "x"}, now)
    [trouble] = await quarantine.of_tenant(tenant)
    assert (trouble.first_at, trouble.last_at) == (earlier, earlier)
    assert trouble.next_at == earlier + timedelta(seconds=30)


async def test_a_deleted_tenant_is_not_held_and_what_nobody_tries_is_forgotten(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant, store = await make_tenant(), PgQuarantine(database)
    job = f"job of {tenant.tenant_id}"
    async with database.transaction() as connection:
        await note_within(connection, job, {(tenant.key, "part"): "x", (999_999, ""): "nobody"}, T0)
    assert set(await store.held(job)) == {(tenant.tenant_id, "part")}
    await database.execute("UPDATE tenants SET deleted_at = $2 WHERE id = $1", tenant.key, T0)
    assert await store.held(job) == {}
    await store.forget(T0 + timedelta(seconds=1))
    assert await database.fetchval("SELECT count(*) FROM quarantine WHERE tenant = $1", tenant.key) == 0


async def test_who_is_held_is_remembered_for_a_moment_where_it_is_asked_many_times(
    database: Database, make_tenant: MakeTenant
) -> None:
    one, now = (await make_tenant()).tenant_id, 0.0
    job, culprit = f"job of {one}", (one, "")
    remembering = PgQuarantine(database, kept={job: 1.0}, clock=lambda: now)
    other = PgQuarantine(database)
    assert await remembering.held(job) == {}
    await other.note(job, {culprit: "x"}, T0)
    assert await remembering.held(job) == {}
    now = 1.0
    assert set(await remembering.held(job)) == {culprit}
    # What it writes itself it knows at once.
    await remembering.heal(job, [culprit])
    assert await remembering.held(job) == {}
    await remembering.note(job, {culprit: "x"}, T0)
    assert set(await remembering.held(job)) == {culprit}
