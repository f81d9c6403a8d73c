"""Recoveries in the real database: what it refuses, and what it forgets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.recovery import RecoveryReason, RecoveryState
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.ports.orchestrator import RecoveryStep
from ecpmon.storage.database import Database
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.recovery import PgRecoveryStore
from tests.integration.conftest import T0, MakeTenant

LEASE = timedelta(minutes=2)
S, R = RecoveryState, RecoveryReason


def alert(tenant: Tenant | str, fingerprint: str = "f") -> ExternalAlert:
    name = tenant if isinstance(tenant, str) else tenant.tenant_id
    return ExternalAlert(name, fingerprint, T0, None, "firing", "ECPTenantDown", "critical", {}, {})


def step(state: RecoveryState, reason: RecoveryReason, **more: Any) -> RecoveryStep:
    return RecoveryStep(state, reason, "", more.pop("due_at", None), "said", **more)


@pytest.fixture
async def store(database: Database) -> PgRecoveryStore:
    # Rows of other tests must not be claimed by this one.
    await database.execute("DELETE FROM recoveries")
    return PgRecoveryStore(database)


async def test_an_alert_begins_once_even_told_many_times_at_once(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    told = [store.begin([alert(tenant, f"f{i % 3}")], T0) for i in range(12)]
    begun = [b for some in await asyncio.gather(*told) for b in some]
    name = tenant.tenant_id
    assert sorted(begun) == [(name, S.JOINED), (name, S.JOINED), (name, S.RESTARTING)]


async def test_alerts_told_at_once_begin_as_if_told_one_by_one(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    told = [alert(one, "f1"), alert(one, "f2"), alert(one, "f1"), alert("nobody", "f3"), alert(other, "f1")]
    assert sorted(await store.begin(told, T0)) == sorted(
        [(one.tenant_id, S.RESTARTING), (one.tenant_id, S.JOINED), (other.tenant_id, S.RESTARTING)]
    )
    found = {r.fingerprint: r.state for r in await store.of_tenant(one, 10)}
    assert found == {"f1": S.RESTARTING, "f2": S.JOINED}
    assert await store.begin(told, T0) == []


async def test_the_same_alert_of_another_tenant_is_its_own(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    assert await store.begin([alert(other)], T0) == [(other.tenant_id, S.RESTARTING)]
    assert await store.begin([alert(one)], T0) == [(one.tenant_id, S.RESTARTING)]
    assert await store.begin([alert("nobody")], T0) == []
    assert [r.tenant_id for r in await store.of_tenant(one, 10)] == [one.tenant_id]


async def test_a_claim_is_exclusive_and_ends(store: PgRecoveryStore, make_tenant: MakeTenant) -> None:
    for _ in range(5):
        await store.begin([alert(await make_tenant())], T0)
    taken = await asyncio.gather(*(store.claim(T0, 2, LEASE) for _ in range(4)))
    ids = [r.recovery_id for some in taken for r in some]
    assert len(ids) == len(set(ids)) == 5
    assert await store.claim(T0 + LEASE - timedelta(seconds=1), 10, LEASE) == []
    assert len(await store.claim(T0 + LEASE, 10, LEASE)) == 5


async def test_who_lost_the_claim_changes_nothing(store: PgRecoveryStore, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    await store.begin([alert(tenant)], T0)
    [slow] = await store.claim(T0, 1, LEASE)
    [fast] = await store.claim(T0 + LEASE, 1, LEASE)
    assert await store.mark_restart(slow, T0) is None
    marked = await store.mark_restart(fast, T0 + LEASE)
    assert marked is not None
    assert (marked.tries, marked.restart_at) == (1, T0 + LEASE)
    waiting = step(S.WAITING, R.RESTARTED, due_at=T0 + 3 * LEASE, restarted=2)
    assert await store.advance(slow, waiting, T0 + LEASE) is None
    event = await store.advance(marked, waiting, T0 + LEASE)
    assert event is not None
    assert (event.from_state, event.to_state, event.kind) == ("restarting", "waiting", "recovery")
    [row] = await store.of_tenant(tenant, 10)
    assert (row.state, row.restarted, row.claimed_until) == (S.WAITING, 2, None)


async def test_the_database_refuses_what_cannot_be(store: PgRecoveryStore, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    await store.begin([alert(tenant)], T0)
    [claimed] = await store.claim(T0, 1, LEASE)
    for impossible in (
        step(S.WAITING, R.RESTARTED, restarted=1),  # nobody would ever look again
        step(S.WAITING, R.RESTARTED, due_at=T0),  # waiting for what was never restarted
        step(S.RECOVERED, R.UP_AGAIN, due_at=T0),  # over, and still due
    ):
        with pytest.raises(DatabaseRefused):
            await store.advance(claimed, impossible, T0)
    [row] = await store.of_tenant(tenant, 10)
    assert row.state is S.RESTARTING


async def test_what_is_over_is_forgotten_after_retention(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    over, open_ = await make_tenant(), await make_tenant()
    for tenant in (over, open_):
        await store.begin([alert(tenant)], T0)
    claimed = {r.tenant_id: r for r in await store.claim(T0, 10, LEASE)}
    await store.advance(claimed[over.tenant_id], step(S.RECOVERED, R.RESOLVED_BEFORE_RESTART), T0)
    await store.forget(T0)
    assert len(await store.of_tenant(over, 10)) == 1
    await store.forget(T0 + timedelta(days=800))
    assert await store.of_tenant(over, 10) == []
    assert len(await store.of_tenant(open_, 10)) == 1
