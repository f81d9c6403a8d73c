"""A migrated database per file; its tests keep apart by using tenants of their own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.model.samples import Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.ports.tenants import NewTenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.tenants import PgTenantStore

_numbers = itertools.count(1)
T0 = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def database(migrated_dsn: str) -> AsyncIterator[Database]:
    database = Database(migrated_dsn)
    yield database
    await database.close()


@pytest.fixture
def ingest(database: Database) -> IngestStore:
    return IngestStore(database, DEFAULT_RULES, 100)


MakeTenant = Callable[..., Awaitable[Tenant]]


@pytest.fixture
def make_tenant(database: Database) -> MakeTenant:
    """`await make_tenant(source=Source.SIMULATOR, holds=timedelta(...))`."""
    store = PgTenantStore(database)

    async def make(
        source: Source = Source.SIMULATOR, holds: timedelta = timedelta(seconds=12.5), **more: Any
    ) -> Tenant:
        age = more.pop("age", None if source is Source.PUSH else timedelta())
        number = next(_numbers)
        new = NewTenant(
            tenant_id=more.pop("tenant_id", f"tenant-{number}"),
            name="A tenant",
            preset="small",
            is_demo=False,
            service_requirements={"chatbot": 10},
            resources=Resources(cpu="4000m", memory="8Gi", gpu=0, storage="0.1TB"),
            sla_target=SlaTarget(availability="99.5%"),
            sli_source=source.value,
            **more,
        )
        tenant = await store.create(new, f"dep-{number}-{new.tenant_id}", T0)
        await store.add_regime(tenant, T0 - timedelta(days=40), source, holds, age)
        return tenant

    return make
