"""No job of a leader's changes anything once its term is over; each of them does while it lasts.

Every job is given something to do first. Its name is in no list here: a new one is tried from the day it is there, and
fails the second half until `something_to_do` has work for it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.jobs import Jobs
from ecpmon.model.ingest import Batch
from ecpmon.model.leadership import Claim
from ecpmon.model.samples import Frame, Sample, Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.ports.tokens import Caller, NewToken
from ecpmon.resources import data_dir
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from ecpmon.sla.evidence import series_key
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load
from ecpmon.storage.sessions import writes
from ecpmon.telemetry import Telemetry
from tests.acceptance.world import START, ManualClock
from tests.integration.hand_made import insert_by_hand

# Nobody listens: the collectors run, and find nobody.
NOWHERE = "http://127.0.0.1:9"
OPERATOR = Caller("a test", frozenset({"admin"}), None)
OVER = "UPDATE leadership SET term = term + 1, holder = gen_random_uuid()"
TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
AND relname NOT IN ('leadership', 'schema_migrations')
"""
LONG_AGO = """
UPDATE tenants SET status = CASE (SELECT state FROM availability_heads h WHERE h.tenant = tenants.id)
                            WHEN 'down' THEN 'running' ELSE 'degraded' END;
UPDATE input_bounds SET raw_retention = raw_retention + INTERVAL '1 day';
UPDATE api_tokens SET created_at = '2001-01-01Z', expires_at = '2001-01-02Z';
DELETE FROM alert_rules WHERE alert_name = 'sla_no_data';
INSERT INTO notification_rates (tenant, receiver, busy_until) SELECT id, 'x', '2001-01-01Z' FROM tenants;
INSERT INTO recoveries (recovery_id, tenant, alert_name, severity, fingerprint, state, reason, alert_starts_at,
                        created_at, updated_at, ended_at)
SELECT gen_random_uuid(), id, 'x', 'page', 'x', 'recovered', 'x', a.long, a.long, a.long, a.long
FROM tenants, (SELECT '2001-01-01Z'::timestamptz) AS a (long);
INSERT INTO audit_log (at, actor, action, subject) VALUES ('2001-01-01Z', 'kim', 'tenant.created', 'gone');
INSERT INTO alert_hushed (tenant, rule_id, alert_id, silence_id, since)
SELECT r.tenant, r.rule_id, s.alert_id, gen_random_uuid(), '2001-01-01Z'
FROM alert_rules r JOIN alert_states s USING (rule_id)
WHERE s.status = 'firing';
INSERT INTO exclusion_requests (request, requested_at, requested_by, tenants, digest)
VALUES (gen_random_uuid(), '2001-01-01Z', 'kim', '{1}', repeat('0', 64));
INSERT INTO objective_hours (objective, hour, minutes) SELECT id, '2001-01-01T00:00Z', 0 FROM objectives;
"""


@dataclass
class Frozen:
    """A leadership as a process sees it that has not noticed."""

    claim: Claim
    held: bool = True
    presumed: bool = True

    async def keep(self) -> bool:
        return True


@pytest.fixture
async def runtime(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> AsyncIterator[BackendRuntime]:
    settings = Settings(
        database_url=SecretStr(make_migrated()), auth="none", simulator_url=NOWHERE, prometheus_url=NOWHERE
    )
    async with AsyncExitStack() as stack:
        app = await create_app(settings, ManualClock(START), run_jobs=False)
        runner = Runner(app, access_log=None, shutdown_timeout=2)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        body = {
            "tenant_id": "acme",
            "name": "acme",
            "service_requirements": {"chatbot": 10},
            "sli_source": "push",
        }
        async with session.post(f"http://127.0.0.1:{port}/api/v1/tenants/", json=body) as answer:
            assert answer.status == 201, await answer.text()
        rule = {"alert_name": "busy", "condition": "cpu_usage > 80", "severity": "warning", "actions": []}
        async with session.post(f"http://127.0.0.1:{port}/api/v1/tenants/acme/alerts", json=rule) as answer:
            assert answer.status == 201, await answer.text()
        yield app[RUNTIMES][0]


async def observe(runtime: BackendRuntime, minutes: int, cpu: float) -> None:
    for _ in range(minutes):
        values = {"up": 1.0, "cpu_usage": cpu, "response_time": 100.0, "requests_total": 5.0}
        samples = tuple(Sample(series_key(name), value) for name, value in values.items())
        now = runtime.clock.now()
        await runtime.writer.write(Batch((Frame("acme", Source.PUSH, now, samples),)))
        runtime.clock.advance(60)
    await runtime.work.trigger.settled()


async def something_to_do(runtime: BackendRuntime, tenant: Tenant) -> None:
    """For every job of a leader's."""
    now, database = runtime.clock.now(), runtime.database
    await observe(runtime, 15, 5.0)
    await runtime.tokens.issue(
        NewToken("old", ("viewer",), None, expires_at=now + timedelta(days=1)), OPERATOR, now
    )
    down = ExternalAlert(tenant.tenant_id, "f", now, None, "firing", "ECPTenantDown", "page", {}, {})
    assert await runtime.recoverer.alerted([down], now) == 1
    store = runtime.deployments.store
    await store.request(tenant, f"dep-{uuid.uuid4().hex[:12]}", "simulator", {}, "kim", None, now)
    # Months are over, tokens expired, and nobody pulled for an hour.
    runtime.clock.advance(timedelta(days=40).total_seconds())
    hour = runtime.clock.now() - timedelta(hours=1)
    await database.execute(
        "INSERT INTO pull_attempts SELECT $1, s, NULL, 'ok', 1, NULL FROM unnest($2::text[]) s",
        hour,
        [s.value for s in Source],
    )
    await observe(runtime, 15, 95.0)
    await insert_by_hand(database, tenant.tenant_id, "up", 0, runtime.clock.now() - timedelta(seconds=90))
    async with database.connection() as connection:
        await connection.execute(LONG_AGO)


async def contents(database: Database) -> dict[str, str]:
    """A digest of every table."""
    names = [r["relname"] for r in await database.fetch(TABLES)]
    digest = "SELECT '{0}' AS name, md5(coalesce(string_agg(t::text, '/' ORDER BY t::text), '')) AS rows FROM \"{0}\" t"
    rows = await database.fetch(" UNION ALL ".join(digest.format(name) for name in names))
    return {r["name"]: r["rows"] for r in rows}


def leaders_jobs(runtime: BackendRuntime, lease: Frozen) -> tuple[Jobs, list[str]]:
    jobs = list(runtime.jobs._jobs.values())
    return Jobs(jobs, lease, Telemetry()), [job.name for job in jobs if not job.everywhere]


async def test_what_jobs_of_a_leader_write_is_refused_when_its_term_is_over(runtime: BackendRuntime) -> None:
    assert await runtime.lease.keep()
    claim, database = runtime.lease.claim, runtime.database
    assert claim is not None
    await something_to_do(runtime, await runtime.tenants.get("acme"))
    await database.execute(OVER)
    jobs, names = leaders_jobs(runtime, Frozen(claim))
    before = await contents(database)
    for name in names:
        await jobs.run(name)
        await runtime.work.trigger.settled()
        assert changed(before, await contents(database)) == [], name

    await database.execute("UPDATE leadership SET term = term + 1, holder = $1", claim.holder)
    term = await database.fetchval("SELECT term FROM leadership")
    jobs, names = leaders_jobs(runtime, Frozen(Claim(claim.role, term, claim.holder)))
    idle = []
    for name in names:
        before = await contents(database)
        await jobs.run(name)
        if not changed(before, await contents(database)):
            idle.append(name)
    assert idle == [], "these had nothing to do"


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name, digest in after.items() if before[name] != digest]


async def test_every_statement_that_writes_is_known_to(runtime: BackendRuntime) -> None:
    """What is taken for a read calls no function that may write."""
    rows = await runtime.database.fetch(
        "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND prokind = 'f'"
    )
    # What `set_config` sets here is over with its transaction.
    harmless = {
        "clock_timestamp", "random", "gen_random_uuid", "pg_is_in_recovery", "pg_try_advisory_xact_lock",
        "pg_advisory_xact_lock", "pg_export_snapshot", "set_config",
    }  # fmt: skip
    volatile = {r["proname"] for r in rows} - harmless
    # Renewing checks nothing: it is what others are checked by.
    mine = {"keep_leadership", "check_leadership"}
    folder: Path = data_dir("sql") / "queries"
    called: dict[str, Any] = {}
    for file in folder.glob("*.sql"):
        for name, text in load(file.stem).items():
            if not writes(text) and (found := {*re.findall(r"\b([a-z_0-9]+)\s*\(", text)} & volatile - mine):
                called[f"{file.stem}.{name}"] = found
    assert called == {}
    assert writes("SELECT drop_chunks($1)")
    assert writes("WITH gone AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM gone")
    assert not writes("-- An update of nothing.\nSELECT updated_at, deleted FROM t")
