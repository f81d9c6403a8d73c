"""Two services on one database. The one that leads is frozen, or killed: the other leads within ten seconds, the jobs
go on, every change is told once, and who wakes writes nothing as a leader.

Each service is a database role of its own, so that a trigger can note who wrote what.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ecpmon.storage.database import Database
from tests.conftest import PostgresServer
from tests.integration.serving import Serving, serving
from tests.integration.simulator.sim_process import Simulator
from tests.integration.terms import database_now, note_terms, took_over_in_time
from tests.waiting import until

WATCHED, PULLED = "watched", "pulled"
# Written by jobs of a leader's only.
LEADERS_TABLES = ("sla_current", "objective_current", "collector_watermarks")
# Of them those that come round every few seconds.
OFTEN = {"sla_current", "collector_watermarks"}
AUDIT = """
CREATE TABLE audit (who text, relation text, at timestamptz);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit VALUES (session_user, TG_TABLE_NAME, clock_timestamp());
  RETURN NULL;
END $$;
"""
NOTED = (
    "CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH STATEMENT EXECUTE FUNCTION note();"
)
NAMES = ("replica_a", "replica_b")


@dataclass
class Receiver:
    """Takes webhooks; `told` counts (webhook-id), `alerts` (status, startsAt) of what they say."""

    url: str = ""
    told: Counter[str] = field(default_factory=Counter)
    alerts: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def handle(self, request: web.Request) -> web.Response:
        self.told[request.headers["webhook-id"]] += 1
        for alert in (await request.json())["alerts"]:
            self.alerts[alert["status"], alert["startsAt"]] += 1
        return web.Response()

    def count(self, status: str) -> int:
        return sum(n for (said, _), n in self.alerts.items() if said == status)


@dataclass
class Replicas:
    """`a` began to lead."""

    a: Serving
    b: Serving
    database: Database
    receiver: Receiver

    async def post(self, to: Serving, path: str, body: Any) -> Any:
        async with to.session.post(to.url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def push(self, to: Serving, cpu: float) -> None:
        await self.post(to, f"/api/v1/tenants/{WATCHED}/monitoring", {"metrics": {"cpu_usage": cpu, "up": 1}})

    async def told(self, status: str, times: int) -> None:
        async def is_told() -> bool:
            return self.receiver.count(status) >= times

        await until(is_told, f"{status} was told {times} times")

    async def breach(self, to: Serving, times: int) -> None:
        """It fires and is over, for the `times`th time."""
        await self.push(to, 95.0)
        await self.told("firing", times)
        await self.push(to, 5.0)
        await self.told("resolved", times)

    async def leads(self, who: Serving) -> bool:
        try:
            async with asyncio.timeout(2):
                status, found, _ = await who.get("/ready")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status == 200 and found["components"]["production"]["leadership"] == "leader"

    async def until_leading(self, who: Serving) -> None:
        await until(lambda: self.leads(who), "the other one leads")

    async def now(self) -> Any:
        return await database_now(self.database)

    async def jobs_go_on(self) -> None:
        """What a leader writes all the time was written after now."""
        since = await self.now()

        async def written() -> bool:
            return await self.written_by(NAMES, since) >= OFTEN

        await until(written, "pulls and SLA go on")

    async def written_by(self, names: tuple[str, ...], since: Any) -> set[str]:
        sql = "SELECT DISTINCT relation FROM audit WHERE who = ANY($1) AND at > $2"
        return {r["relation"] for r in await self.database.fetch(sql, list(names), since)}

    async def took_over_in_time(self, who: Serving, since: Any) -> None:
        """By the database's clock; what the machine kept the new leader from running does not count."""
        text = (await who.get("/metrics"))[1]
        [lag] = re.findall(r"^ecpmon_loop_longest_lag_seconds(?:{.*})? (.+)$", text, re.MULTILINE)
        await took_over_in_time(self.database, since, float(lag))


async def until_metrics(who: Serving, holds: Callable[[str], bool], what: str) -> None:
    async def shown() -> bool:
        return holds((await who.get("/metrics"))[1])

    await until(shown, what)


@asynccontextmanager
async def receiving(port: int) -> AsyncIterator[Receiver]:
    receiver, app = Receiver(f"http://127.0.0.1:{port}/hook"), web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def replicas(
    make_migrated: Callable[[], str],
    postgres_server: PostgresServer,
    tmp_path: Path,
    free_port: Callable[[], int],
) -> AsyncIterator[Replicas]:
    dsn = make_migrated()
    for name in NAMES:
        postgres_server.cluster.psql(
            "postgres",
            f"DO $$ BEGIN CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{name}';"
            " EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )
    database = Database(dsn)
    await note_who_writes(database)
    simulator = Simulator(tmp_path / "simulator", "--seed", "3").start()
    settings = {
        "ECPMON_SIMULATOR_URL": f"http://127.0.0.1:{simulator.port}",
        "ECPMON_SIMULATOR_INTERVAL": "1",
        "ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true",
        "ECPMON_METRICS_MAX_AGE": "0",
        # Every change is counted here.
        "ECPMON_FLAP_FIRINGS": "0",
    }

    def served(name: str) -> Any:
        return serving(f"postgresql://{name}:{name}@{dsn.rpartition('@')[2]}", free_port(), **settings)

    try:
        async with receiving(free_port()) as receiver, served(NAMES[0]) as a:
            made = Replicas(a, a, database, receiver)
            await made.until_leading(a)
            async with served(NAMES[1]) as made.b:
                await begin(made)
                yield made
    finally:
        simulator.kill()
        await database.close()


async def note_who_writes(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(AUDIT + "".join(NOTED.format(name) for name in LEADERS_TABLES))
    await note_terms(database)


async def begin(found: Replicas) -> None:
    """A tenant that pushes and has a rule, one that is pulled; both are known everywhere, and the jobs run."""
    tenant = {"name": "x", "service_requirements": {"chatbot": 10}}
    await found.post(
        found.a,
        "/api/v1/tenants/",
        {**tenant, "tenant_id": WATCHED, "sli_source": "push", "push_interval": 60},
    )
    await found.post(found.a, "/api/v1/tenants/", {**tenant, "tenant_id": PULLED})
    await found.post(found.a, f"/api/v1/simulator/deploy/{PULLED}", {})
    rule = {
        "alert_name": "busy", "condition": "cpu_usage > 80", "severity": "warning",
        "actions": [{"type": "webhook", "url": found.receiver.url}],
    }  # fmt: skip
    await found.post(found.a, f"/api/v1/tenants/{WATCHED}/alerts", rule)
    await found.jobs_go_on()
    await until_metrics(found.a, lambda text: "ecp_tenant_sla_" in text, "the leader has figures")
    assert not await found.leads(found.b)
    assert "ecp_tenant_sla_" not in (await found.b.get("/metrics"))[1]


@asynccontextmanager
async def pushing(to: Serving) -> AsyncIterator[None]:
    """So that it is in the midst of something."""
    url, body = f"{to.url}/api/v1/tenants/{PULLED}/monitoring", {"metrics": {"memory_usage": 10.0}}

    async def once() -> None:
        async with asyncio.timeout(1), to.session.post(url, json=body) as answer:
            await answer.read()

    async def push() -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                await once()

    tasks = [asyncio.create_task(push()) for _ in range(4)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def everything_was_told_once(found: Replicas, times: int) -> None:
    assert set(found.receiver.told.values()) == {1}
    assert set(found.receiver.alerts.values()) == {1}
    assert (found.receiver.count("firing"), found.receiver.count("resolved")) == (times, times)
    rows = await found.database.fetch(
        "SELECT to_state FROM alert_events WHERE alert_name = 'busy' AND from_state <> to_state"
    )
    states = Counter(r["to_state"] for r in rows)
    assert states == {"firing": times, "inactive": times}


async def follows(who: Serving) -> bool:
    status, found, _ = await who.get("/ready")
    return status == 200 and found["components"]["production"]["leadership"] == "follower"


async def test_a_leader_that_is_frozen_or_killed_is_replaced_and_one_that_wakes_writes_nothing_as_such(
    replicas: Replicas,
) -> None:
    await replicas.breach(replicas.a, 1)
    await the_frozen_one_is_replaced(replicas)
    await it_wakes_and_writes_nothing(replicas)
    await the_killed_one_is_replaced(replicas)
    await everything_was_told_once(replicas, 6)
    replicas.a.process.terminate()
    await replicas.a.process.wait()
    assert await replicas.database.fetchval("SELECT holder FROM leadership") is None, "given back"


async def the_frozen_one_is_replaced(replicas: Replicas) -> None:
    a, b = replicas.a, replicas.b
    async with pushing(a):
        frozen = await replicas.now()
        a.process.send_signal(signal.SIGSTOP)
        await replicas.breach(b, 2)  # while nobody leads
        await replicas.until_leading(b)
    await replicas.took_over_in_time(b, frozen)
    await replicas.jobs_go_on()
    await replicas.breach(b, 3)


async def it_wakes_and_writes_nothing(replicas: Replicas) -> None:
    a, b = replicas.a, replicas.b
    woken = await replicas.now()
    a.process.send_signal(signal.SIGCONT)
    await until(lambda: follows(a), "who woke up follows")
    await replicas.jobs_go_on()
    await replicas.breach(a, 4)
    assert await replicas.written_by(NAMES[:1], woken) == set()
    assert await replicas.written_by(NAMES[1:], woken) >= OFTEN
    shown = (await a.get("/metrics"))[1]
    assert "ecpmon_leader 0.0" in shown
    for gone in ("ecp_tenant_sla_", "ecpmon_outbox_pending", "ecpmon_leader_term"):
        assert gone not in shown
    await until_metrics(b, lambda text: "ecp_tenant_sla_" in text, "the figures are the new leader's")


async def the_killed_one_is_replaced(replicas: Replicas) -> None:
    a, b = replicas.a, replicas.b
    async with pushing(b):
        killed = await replicas.now()
        b.process.kill()
        await b.process.wait()
    await replicas.breach(a, 5)
    await replicas.until_leading(a)
    await replicas.took_over_in_time(a, killed)
    await replicas.jobs_go_on()
    await replicas.breach(a, 6)
