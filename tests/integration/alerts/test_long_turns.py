"""Turns that take long: no other rule waits for them, they are said to be late, and who waited judges the present."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Any

import pytest

from ecpmon.alerts import engine as module
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.trailing import Term
from tests.integration.alerts.test_engine import Bench, MakeTenant, at


async def troubles(database: Database) -> list[str]:
    rows = await database.fetch("SELECT reason FROM quarantine WHERE subject = $1", module._WINDOWS)
    return [r["reason"] for r in rows]


async def test_windows_that_take_too_long_are_said_to_and_hold_up_no_other_rule(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, tenant = Bench(database, ingest), await make_tenant()
    await bench.rule(tenant, "avg(cpu_usage, 1h) > 50", name="windowed")
    await bench.rule(tenant, "cpu_usage > 50", name="plain")
    await bench.observe(tenant, 0, 1, cpu=90)

    async def hangs(*_: Any) -> dict[Term, float | None]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_LONGEST_READ", 0.1)
        patched.setattr(PgMonitoringStore, "trailing", hangs)
        assert await bench.evaluate(tenant, 1) == ["plain:inactive>firing"]
    [reason] = await troubles(database)
    assert "shorter windows" in reason
    assert await bench.evaluate(tenant, 2) == ["windowed:inactive>firing"]
    assert await troubles(database) == []


async def test_a_tenant_is_asked_once_for_all_its_windows(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, tenant, asked = Bench(database, ingest), await make_tenant(), []
    for minutes in range(1, 31):
        terms = " or ".join(f"{f}(cpu_usage, {minutes}m) > 95" for f in ("avg", "min", "max", "last"))
        await bench.rule(tenant, terms, name=f"r{minutes}")
    await bench.observe(tenant, 0, 1, cpu=90)
    real = PgMonitoringStore.trailing

    async def counted(
        store: PgMonitoringStore, tenant: Tenant, terms: Collection[Term], now: datetime
    ) -> dict[Term, float | None]:
        asked.append(len(terms))
        return await real(store, tenant, terms, now)

    monkeypatch.setattr(PgMonitoringStore, "trailing", counted)
    assert await bench.evaluate(tenant, 1) == []
    assert [count for count in asked if count] == [120]


async def test_who_waited_for_its_turn_judges_what_there_is_by_then(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, tenant = Bench(database, ingest), await make_tenant()
    await bench.rule(tenant, "max(cpu_usage, 5m) > 50")
    await bench.observe(tenant, -1, 1, cpu=10)
    await bench.observe(tenant, 90, 1, cpu=90)
    clock = iter([0.0])
    # The round begins, and a hundred seconds later the tenant's turn comes.
    monkeypatch.setattr(module, "steady", lambda: next(clock, 100.0))
    assert await bench.evaluate(tenant, 0) == ["r:inactive>firing"]
    assert bench.events[-1].at == at(100)
