"""A tenant whose rows nobody can read, beside one that is well: every job and every shared view goes on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, Source
from ecpmon.model.tenants import Tenant
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from ecpmon.sla.evidence import series_key
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests.acceptance.world import START, ManualClock
from tests.integration.hand_made import insert_by_hand
from tests.integration.poisons import POISONS, Poison, take_off_the_bounds

_numbers = itertools.count(1)
# Nobody listens: the collectors run, and find nobody.
NOWHERE = "http://127.0.0.1:9"


def settings_for(dsn: str) -> Settings:
    return Settings(database_url=SecretStr(dsn), auth="none", simulator_url=NOWHERE, prometheus_url=NOWHERE)


@dataclass
class Ward:
    """The service with a tenant that will be sick and one that is well."""

    url: str
    session: aiohttp.ClientSession
    runtime: BackendRuntime
    clock: ManualClock
    sick: Tenant
    well: Tenant

    @property
    def database(self) -> Database:
        return self.runtime.database

    async def ask(self, path: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        async with self.session.request(method, self.url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if "json" in answer.content_type else await answer.text()

    async def observe(self, cpu: float, *tenants: Tenant) -> None:
        """Both are up now."""
        values = {"up": 1.0, "cpu_usage": cpu, "response_time": 100.0, "requests_total": 5.0}
        samples = tuple(Sample(series_key(name), value) for name, value in values.items())
        frames = [
            Frame(t.tenant_id, Source.PUSH, self.clock.now(), samples)
            for t in tenants or (self.sick, self.well)
        ]
        result = await self.runtime.writer.write(Batch(tuple(frames)))
        assert not [r for r in result.rejected if r.tenant_id == self.well.tenant_id]
        await self.runtime.work.trigger.settled()

    async def do(self, statements: tuple[str, ...]) -> None:
        async with self.database.connection() as connection:
            for sql in statements:
                await connection.execute(sql, self.sick.key)

    def failures(self) -> dict[str, float]:
        found = {}
        for metric in self.runtime.telemetry.job_failures.collect():
            for s in metric.samples:
                if s.name.endswith("_total") and s.value:
                    found[f"{s.labels['job']}: {s.labels['reason']}"] = s.value
        return found

    async def quarantined(self) -> set[tuple[str, str]]:
        rows = await self.database.fetch(
            "SELECT job, subject FROM quarantine WHERE tenant = $1", self.sick.key
        )
        return {(r["job"], r["subject"]) for r in rows}


@pytest.fixture(scope="module")
def unbounded_dsn(make_database: Callable[[], str]) -> str:
    import asyncio

    dsn = make_database()

    async def prepare() -> None:
        database = Database(dsn)
        await migrate(database)
        await take_off_the_bounds(database)
        await database.close()

    asyncio.run(prepare())
    return dsn


@pytest.fixture
def minutes() -> int:
    """How long both are well before one is not."""
    return 15


@pytest.fixture
async def ward(unbounded_dsn: str, free_port: Callable[[], int], minutes: int) -> AsyncIterator[Ward]:
    clock = ManualClock(START - timedelta(minutes=minutes))
    async with AsyncExitStack() as stack:
        app = await create_app(settings_for(unbounded_dsn), clock, run_jobs=False)
        runner = Runner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runtime, session = app[RUNTIMES][0], await stack.enter_async_context(aiohttp.ClientSession())
        names = [f"{kind}-{next(_numbers)}" for kind in ("sick", "well")]
        made: list[Tenant] = []
        for name in names:
            body = {
                "tenant_id": name,
                "name": name,
                "service_requirements": {"chatbot": 10},
                "sli_source": "push",
            }
            async with session.post(f"http://127.0.0.1:{port}/api/v1/tenants/", json=body) as answer:
                assert answer.status == 201, await answer.text()
            made.append(await runtime.tenants.get(name))
        ward = Ward(f"http://127.0.0.1:{port}", session, runtime, clock, *made)
        await _past(ward, minutes)
        yield ward
        for tenant in made:
            await ward.database.execute("DELETE FROM frames WHERE tenant = $1", tenant.key)
            await ward.database.execute("DELETE FROM tenants WHERE id = $1", tenant.key)
        await ward.database.execute("DELETE FROM rollup_dirty")


async def _past(ward: Ward, minutes: int) -> None:
    """Both are well, with a rule each."""
    await ward.runtime.lease.keep()
    for _ in range(minutes):
        await ward.observe(10.0)
        ward.clock.advance(60)
    rule = {"alert_name": "busy", "condition": "cpu_usage > 80", "severity": "warning", "actions": []}
    for tenant in (ward.sick, ward.well):
        await ward.ask(f"/api/v1/tenants/{tenant.tenant_id}/alerts", rule)


async def _a_minute_later(ward: Ward) -> None:
    """Both are observed once more, and the well one needs everything that jobs do."""
    ward.clock.advance(60)
    await ward.observe(95.0)
    await insert_by_hand(
        ward.database, ward.well.tenant_id, "up", 0, ward.clock.now() - timedelta(seconds=30)
    )


async def _goes_on(ward: Ward, since: datetime) -> None:
    """What the jobs did for the tenant that is well."""
    name, key, now = ward.well.tenant_id, ward.well.key, ward.clock.now()
    down = await ward.database.fetchval(
        "SELECT count(*) FROM availability_spans WHERE tenant = $1 AND state = 'down' AND lower(period) >= $2",
        key,
        since,
    )
    assert down == 1, "hand-made rows"
    assert await ward.database.fetchval("SELECT count(*) FROM evidence_dirty WHERE tenant = $1", key) == 0
    late = await ward.database.fetchval(
        "SELECT count(*) FROM rollup_dirty WHERE tenant = $1 AND bucket < $2",
        key,
        now - timedelta(minutes=10),
    )
    assert late == 0, "rollups"
    # Those of buckets that are not over stay.
    counts = "SELECT count(*) FROM objective_marks WHERE tenant = $1 AND ends <= $2"
    assert await ward.database.fetchval(counts, key, now) == 0, "objectives"
    as_of = await ward.database.fetchval("SELECT min(as_of) FROM sla_current WHERE tenant = $1", key)
    assert as_of == now, "rolling SLA"
    evaluated = await ward.database.fetchval(
        "SELECT min(c.as_of) FROM objective_current c JOIN objectives o ON o.id = c.objective WHERE o.tenant = $1",
        key,
    )
    assert evaluated == now, "objectives"
    events = await ward.database.fetch(
        "SELECT to_state FROM alert_events WHERE tenant = $1 AND alert_name = 'busy'", key
    )
    assert [e["to_state"] for e in events][-1:] == ["firing"], "alerts"
    shown = await ward.ask("/metrics")
    assert f'ecp_tenant_sla_availability_ratio{{tenant_id="{name}",window="1h"}}' in shown
    assert (await ward.ask("/ready"))["ready"]


async def _is_shown(ward: Ward) -> None:
    """Everything that several tenants share answers, and shows the one that is well."""
    name = ward.well.tenant_id
    listed = await ward.ask("/api/v1/tenants/?limit=1000")
    assert name in {t["tenant_id"] for t in listed["tenants"]}
    summary = {t["tenant_id"]: t for t in (await ward.ask("/api/v1/sla/summary"))["tenants"]}
    assert summary[name]["state"] == "up"
    assert summary[name]["windows"]["24h"]["availability"] is not None
    metrics = (await ward.ask(f"/api/v1/tenants/{name}/monitoring?hours=1&interval=5m"))["metrics"]
    assert metrics["cpu"]
    async with ward.session.ws_connect(f"{ward.url}/ws/monitoring/{name}") as socket:
        assert (await socket.receive_json(timeout=20))["metrics"]["cpu"] == 95.0


@pytest.mark.parametrize("poison", POISONS, ids=lambda p: p.name)
async def test_one_tenants_poison_costs_no_other_anything_and_is_seen_and_heals(
    ward: Ward, poison: Poison
) -> None:
    await ward.runtime.jobs.run_all()
    assert ward.failures() == {}
    await ward.do(poison.apply)
    since = ward.clock.now()
    await _a_minute_later(ward)
    for _ in range(2):
        await ward.runtime.jobs.run_all()
    assert ward.failures() == {}
    await _goes_on(ward, since)
    await _is_shown(ward)
    if not poison.readable:
        async with ward.session.get(f"{ward.url}/api/v1/tenants/{ward.sick.tenant_id}") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (409, "CONFLICT")
    held = await ward.quarantined()
    if poison.job is not None:
        assert [s for job, s in held if job == poison.job and s.startswith(poison.subject)], held
        detail = await ward.ask(f"/api/v1/tenants/{ward.sick.tenant_id}")
        told = [t for t in detail["quarantine"] if t["job"] == poison.job]
        assert told
        assert all(
            t["reason"] and t["tries"] >= 1 and t["first_at"] <= t["last_at"] < t["next_at"] for t in told
        )
        assert f'ecpmon_quarantined{{job="{poison.job}"}} 1.0' in await ward.ask("/metrics")
    await ward.do(poison.cure)
    ward.clock.advance(3700)
    await ward.observe(10.0)
    for _ in range(2):
        await ward.runtime.jobs.run_all()
    assert ward.failures() == {}
    assert await ward.quarantined() == set()
    assert "ecpmon_quarantined{" not in await ward.ask("/metrics")
    assert (await ward.ask(f"/api/v1/tenants/{ward.sick.tenant_id}"))["quarantine"] == []
    summary = {t["tenant_id"]: t for t in (await ward.ask("/api/v1/sla/summary"))["tenants"]}
    assert summary[ward.sick.tenant_id]["state"] == summary[ward.well.tenant_id]["state"] == "up"


@pytest.mark.parametrize("minutes", [2])
@pytest.mark.parametrize("turned", [list, reversed], ids=["in their order", "backwards"])
async def test_each_job_survives_all_poisons_at_once(
    ward: Ward, turned: Callable[[list[str]], Iterable[str]]
) -> None:
    for poison in POISONS:
        if poison.readable:
            await ward.do(poison.apply)
    await _a_minute_later(ward)
    for job in turned(ward.runtime.jobs.names):
        await ward.runtime.lease.keep()
        await ward.runtime.jobs.run(job)
        assert ward.failures() == {}, job
