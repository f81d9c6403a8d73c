"""Live tenants are held before somebody asks for them, as long as changes are heard of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ecpmon.model.tenants import Tenant
from ecpmon.storage import tenants as module
from ecpmon.storage.database import Database
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]


@pytest.fixture
def store(database: Database, monkeypatch: pytest.MonkeyPatch) -> PgTenantStore:
    monkeypatch.setattr(module, "_AHEAD_AT_ONCE", 2)
    store = PgTenantStore(database)
    store.memory.trusted = lambda: True
    return store


async def test_all_live_tenants_are_held_part_by_part_and_no_deleted_ones(
    store: PgTenantStore, make_tenant: MakeTenant
) -> None:
    made = [await make_tenant(tenant_id=f"held-{n}") for n in range(5)]
    await store.delete(made[1], T0)
    await store.hold_ahead()
    held = [store.held(t.tenant_id) for t in made]
    assert held == [made[0], None, *made[2:]]


async def test_no_more_are_held_ahead_than_there_is_room_for(
    store: PgTenantStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AHEAD", 4)
    for _ in range(6):
        await make_tenant()
    await store.hold_ahead()
    assert len(store.memory) == 4


async def test_while_nothing_is_heard_nobody_is_held_ahead(
    store: PgTenantStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store.memory.trusted = lambda: False
    await store.hold_ahead()
    assert store.held(tenant.tenant_id) is None
    store.memory.trusted = lambda: True
    await store.hold_ahead()
    assert store.held(tenant.tenant_id) == tenant


async def test_they_are_read_again_in_time_and_when_everything_was_given_up(
    store: PgTenantStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    await make_tenant(tenant_id="first")
    await store.hold_ahead()
    await make_tenant(tenant_id="second")
    await store.hold_ahead()
    assert store.held("second") is None
    clock[0] += module.HELD_SECONDS / 2
    await store.hold_ahead()
    assert store.held("second") is not None
    store.memory.clear()
    await store.hold_ahead()
    assert store.held("first") is not None
