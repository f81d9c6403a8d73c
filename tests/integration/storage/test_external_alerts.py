"""Alerts from Alertmanager in the real database: each is its tenant's, and stored once."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert, Recorded
from ecpmon.storage.database import Database
from ecpmon.storage.external_alerts import PgExternalAlertStore
from tests.integration.conftest import T0, MakeTenant


@pytest.fixture
def store(database: Database) -> PgExternalAlertStore:
    return PgExternalAlertStore(database)


def alert(tenant: Tenant | str | None, fingerprint: str, status: str = "firing") -> ExternalAlert:
    name = tenant.tenant_id if isinstance(tenant, Tenant) else tenant
    return ExternalAlert(name, fingerprint, T0, None, status, "ECPTenantDown", "critical", {"a": "b"}, {})


async def test_what_one_tenant_said_is_no_duplicate_of_anothers(
    store: PgExternalAlertStore, make_tenant: MakeTenant
) -> None:
    alpha, beta, same = await make_tenant(), await make_tenant(), f"{uuid.uuid4()}"
    for status in ("firing", "resolved"):
        for whose in (alpha, None, beta):
            told = alert(whose, same, status)
            assert (await store.record([told], T0, of_tenants_only=False)).fresh == (told,)
            assert (await store.record([told], T0, of_tenants_only=False)).fresh == ()
    assert [a.status for a in await store.recent(beta, 10)] == ["resolved", "firing"]


async def test_of_several_alerts_at_once_each_new_one_is_stored_once(
    store: PgExternalAlertStore, make_tenant: MakeTenant
) -> None:
    tenant, run = await make_tenant(), f"{uuid.uuid4()}"
    first, second = alert(tenant, f"{run}-1"), alert(tenant, f"{run}-2")
    again = replace(first, severity="page")
    assert (await store.record([first], T0, of_tenants_only=True)).fresh == (first,)
    told = [second, again, second, alert(tenant, f"{run}-2", "resolved")]
    recorded = await store.record(told, T0, of_tenants_only=True)
    assert recorded.fresh == (second, told[3])
    assert {a.severity for a in await store.recent(tenant, 10)} == {"critical"}


async def test_alerts_of_no_live_tenant_are_the_clusters_or_nobodys(
    store: PgExternalAlertStore, make_tenant: MakeTenant
) -> None:
    tenant, run = await make_tenant(), f"{uuid.uuid4()}"
    told = [alert("no-such-tenant", run), alert(None, run + "2"), alert(tenant, run)]
    assert await store.record(told, T0, of_tenants_only=True) == Recorded((told[2],), (told[0], told[1]))
    # What was left out has used nothing up.
    assert (await store.record(told, T0, of_tenants_only=False)).fresh == (told[0], told[1])


async def test_the_same_alerts_told_many_times_at_once_are_stored_once(
    store: PgExternalAlertStore, make_tenant: MakeTenant
) -> None:
    tenant, run = await make_tenant(), f"{uuid.uuid4()}"
    told = [alert(tenant, f"{run}-{n}") for n in range(50)]
    orders = [told, told[::-1]] * 4
    found = await asyncio.gather(*(store.record(o, T0, of_tenants_only=True) for o in orders))
    assert sorted(a.fingerprint for r in found for a in r.fresh) == sorted(a.fingerprint for a in told)
