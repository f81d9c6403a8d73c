"""When a tenant's part of what a source said could not be used: one row per stretch, each tenant's own."""

from __future__ import annotations

from datetime import datetime, timedelta

from ecpmon.model.samples import Source
from ecpmon.storage.database import Database
from ecpmon.storage.faults_log import PgFaultLog
from tests.integration.conftest import T0, MakeTenant

MINUTE = timedelta(minutes=1)


async def test_what_goes_on_is_one_stretch_and_each_tenant_sees_its_own(
    database: Database, make_tenant: MakeTenant
) -> None:
    log, a, b = PgFaultLog(database), await make_tenant(), await make_tenant()

    async def note(first: datetime, last: datetime, **troubles: str) -> None:
        known = {"a": a.tenant_id, "b": b.tenant_id}
        told = {(known[name], "counter x"): why for name, why in troubles.items()}
        await log.note(Source.PROMETHEUS, told, first, last)

    for minute in range(3):
        await note(T0 + minute * MINUTE, T0 + minute * MINUTE, a=f"why {minute}", b="else")
    await note(T0 + 60 * MINUTE, T0 + 61 * MINUTE, a="again")
    await log.note(Source.PROMETHEUS, {("nobody", "counter x"): "why"}, T0, T0)
    found = await log.of_tenant(a, T0)
    assert [(f.first_at, f.last_at, f.reason) for f in found] == [
        (T0 + 60 * MINUTE, T0 + 61 * MINUTE, "again"),
        (T0, T0 + 2 * MINUTE, "why 2"),
    ]
    assert [f.reason for f in await log.of_tenant(a, T0 + 3 * MINUTE)] == ["again"]
    assert [f.reason for f in await log.of_tenant(b, T0)] == ["else"]
    await log.forget(T0 + 3 * MINUTE)
    assert [f.reason for f in await log.of_tenant(a, T0)] == ["again"]
    assert await log.of_tenant(b, T0) == []
