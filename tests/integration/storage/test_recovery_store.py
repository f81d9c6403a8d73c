"""Recoveries in the real database: what it refuses, and what it forgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecpmon.model.recovery import RecoveryReason, RecoveryState
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.ports.orchestrator import RecoveryStep
from ecpmon.storage.database import Database
from ecpmon.storage.external_alerts import PgExternalAlertStore
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
    assert sorted(begun) == [(name, S.CHECKING), (name, S.JOINED), (name, S.JOINED)]


async def test_alerts_told_at_once_begin_as_if_told_one_by_one(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    told = [alert(one, "f1"), alert(one, "f2"), alert(one, "f1"), alert("nobody", "f3"), alert(other, "f1")]
    assert sorted(await store.begin(told, T0)) == sorted(
        [(one.tenant_id, S.CHECKING), (one.tenant_id, S.JOINED), (other.tenant_id, S.CHECKING)]
    )
    found = {r.fingerprint: r.state for r in await store.of_tenant(one, 10)}
    assert found == {"f1": S.CHECKING, "f2": S.JOINED}
    assert await store.begin(told, T0) == []


async def test_the_same_alert_of_another_tenant_is_its_own(
    store: PgRecoveryStore, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    assert await store.begin([alert(other)], T0) == [(other.tenant_id, S.CHECKING)]
    assert await store.begin([alert(one)], T0) == [(one.tenant_id, S.CHECKING)]
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
    begun = step(S.RESTARTING, R.MEASURED_DOWN, due_at=T0, goes_on=True)
    assert await store.advance(slow, begun, T0) is not None
    slow = replace(slow, state=S.RESTARTING)
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
    assert row.state is S.CHECKING


async def test_an_incident_belongs_to_one_tenant(
    store: PgRecoveryStore, database: Database, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    await store.begin([alert(one), alert(other), alert(other, "f2")], T0)
    claimed = {r.tenant_id: r for r in await store.claim(T0, 10, LEASE)}
    joins = step(S.JOINED, R.RECOVERY_UNDER_WAY, joined_to=claimed[one.tenant_id].recovery_id)
    with pytest.raises(DatabaseRefused):
        await store.advance(claimed[other.tenant_id], joins, T0)
    # What is known of one tenant's alerts says nothing about another's, though they have the same fingerprint.
    await resolved(database, one, "f", T0)
    assert (await store.circumstances(claimed[one.tenant_id], one, T0, T0)).resolved
    around = await store.circumstances(claimed[other.tenant_id], other, T0, T0)
    assert (around.resolved, sorted(around.fingerprints)) == (False, ["f", "f2"])


async def resolved(
    database: Database, tenant: Tenant, fingerprint: str, starts_at: datetime, **more: Any
) -> None:
    """Alertmanager says that an alert is over."""
    ends_at = more.get("ends_at", starts_at)
    over = replace(alert(tenant, fingerprint), status="resolved", starts_at=starts_at, ends_at=ends_at)
    told = PgExternalAlertStore(database)
    await told.record([over], more.get("received_at", ends_at), of_tenants_only=True)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("starts", "ended_start", "ended", "received", "over"),
    [
        pytest.param(0, 0, 5, 5, True, id="the same start"),
        pytest.param(0, 3, 5, 5, True, id="a newer start of the same firing"),
        pytest.param(0, -9, 5, 5, True, id="an older start that only Alertmanager remembers"),
        pytest.param(0, -9, -1, -1, False, id="an earlier firing"),
        pytest.param(0, -9, -1, 5, False, id="an earlier firing, told late"),
        pytest.param(4, 4, 2, 2, True, id="a start that lay ahead, over before its time"),
        pytest.param(4, -9, 5, -1, False, id="a start that lay ahead, and an end before it came"),
        pytest.param(4, 3, 5, 5, True, id="a start that lay ahead, and the end of another start"),
    ],
)
async def test_an_alert_is_over_whichever_start_its_end_names(
    store: PgRecoveryStore, database: Database, make_tenant: MakeTenant,
    starts: int, ended_start: int, ended: int, received: int, over: bool,
) -> None:  # fmt: skip
    """Minutes from when the alert came."""
    tenant = await make_tenant()
    await store.begin([replace(alert(tenant), starts_at=T0 + starts * MINUTE)], T0)
    [row] = await store.of_tenant(tenant, 1)
    await resolved(
        database, tenant, "f", T0 + ended_start * MINUTE,
        ends_at=T0 + ended * MINUTE, received_at=T0 + received * MINUTE,
    )  # fmt: skip
    around = await store.circumstances(row, tenant, T0, T0)
    assert (around.resolved, around.fingerprints) == (over, () if over else ("f",))


async def test_an_incident_is_withdrawn_when_every_alert_of_it_is(
    store: PgRecoveryStore, database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await store.begin([alert(tenant, "f1"), alert(tenant, "f2")], T0)
    [row] = [r for r in await store.of_tenant(tenant, 9) if r.state is S.CHECKING]
    await resolved(database, tenant, "f1", T0)
    around = await store.circumstances(row, tenant, T0, T0)
    assert (around.resolved, around.fingerprints) == (False, ("f2",))
    await resolved(database, tenant, "f2", T0)
    assert (await store.circumstances(row, tenant, T0, T0)).resolved


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
