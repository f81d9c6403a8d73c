"""Our alerts in a real Alertmanager: what it shows, and what its own receiver hears of it."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ecpmon.alerts.notifiers.alertmanager import AlertmanagerPeer
from ecpmon.local.alertmanager import alertmanager_argv
from ecpmon.local.packages import Binaries
from ecpmon.model.alerts import FlapPolicy
from ecpmon.model.silences import Matcher, Silence
from ecpmon.model.standing_alerts import ENDED, Identity, ToldAlert
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.silences import PgSilenceStore
from ecpmon.storage.standing_alerts import PgStandingAlerts
from tests.integration.alerts.test_engine import Bench, at
from tests.integration.conftest import T0
from tests.processes import bound
from tests.waiting import PATIENCE

MakeTenant = Callable[..., Awaitable[Tenant]]
CONFIG = """
route: {receiver: ours, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: ours, webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]}]
"""


@dataclass
class Customer:
    """An Alertmanager with its receiver. `heard`: (status, alert name) in their order."""

    url: str
    session: aiohttp.ClientSession
    binaries: Binaries
    folder: Path
    heard: list[tuple[str, str]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        port = int(self.url.rsplit(":", 1)[1])
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *bound(alertmanager_argv(self.binaries, self.folder, port)),
                cwd=os.fspath(self.binaries.prometheus_root),
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(PATIENCE):
            while not await self._ready():
                await asyncio.sleep(0.05)

    async def _ready(self) -> bool:
        try:
            async with self.session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def kill(self) -> None:
        assert self.process
        self.process.kill()
        await self.process.wait()

    async def shown(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/api/v2/alerts") as answer:
            return {alert["labels"]["rule_id"]: alert for alert in await answer.json()}

    async def hears(self, status: str, name: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.heard.count((status, name)) < times:
                await asyncio.sleep(0.02)

    async def receive(self, request: web.Request) -> web.Response:
        self.heard += [(a["status"], a["labels"]["alertname"]) for a in (await request.json())["alerts"]]
        return web.Response()


@asynccontextmanager
async def customer(binaries: Binaries, folder: Path, free_port: Callable[[], int]) -> AsyncIterator[Customer]:
    hook = free_port()
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(CONFIG % hook)
    async with aiohttp.ClientSession() as session:
        made = Customer(f"http://127.0.0.1:{free_port()}", session, binaries, folder)
        app = web.Application()
        app.router.add_post("/", made.receive)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", hook).start()
        try:
            await made.start()
            yield made
        finally:
            await made.kill()
            await runner.cleanup()


@pytest.fixture
async def theirs(
    stack_binaries: Binaries, tmp_path: Path, free_port: Callable[[], int]
) -> AsyncIterator[Customer]:
    async with customer(stack_binaries, tmp_path / "am", free_port) as made:
        yield made


class Posts(Counter[tuple[str, str]]):
    """By Alertmanager and outcome, how many alerts."""

    def __call__(self, name: str, outcome: str, alerts: int) -> None:
        self[name, outcome] += alerts


def peer(theirs: Customer, posts: Posts | None = None, url: str | None = None) -> AlertmanagerPeer:
    return AlertmanagerPeer(
        theirs.session,
        url or theirs.url,
        {},
        10,
        "http://ecpmon.example",
        posts if posts is not None else Posts(),
    )


def seconds_now() -> float:
    """Alertmanager's clock is the machine's."""
    return (datetime.now(UTC) - T0).total_seconds()


async def test_a_rule_fires_and_is_over_there_as_here_also_when_we_restart_between(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, theirs: Customer
) -> None:
    bench, alerts, tenant = Bench(database, ingest), PgStandingAlerts(database), await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80", name="hot")
    began = seconds_now()
    await bench.observe(tenant, began, 1, cpu=95)
    assert await bench.evaluate(tenant, began) == ["hot:inactive>firing"]
    now = datetime.now(UTC)
    await peer(theirs).tell(await alerts.standing(now), now)
    await theirs.hears("firing", "hot")
    shown = (await theirs.shown())[rule.rule_id]
    assert (shown["labels"]["tenant_id"], shown["labels"]["severity"]) == (tenant.tenant_id, "warning")
    assert (
        shown["generatorURL"]
        == f"http://ecpmon.example/api/v1/tenants/{tenant.tenant_id}/alerts/{rule.rule_id}"
    )
    assert datetime.fromisoformat(shown["startsAt"]) == pytest.approx(
        at(began), abs=timedelta(milliseconds=1)
    )
    over = seconds_now()
    await bench.observe(tenant, over, 1, cpu=5)
    assert await bench.evaluate(tenant, over) == ["hot:firing>inactive"]
    now = datetime.now(UTC)
    await peer(theirs).tell(await alerts.standing(now), now)
    await theirs.hears("resolved", "hot")


async def test_an_alertmanager_that_was_killed_is_told_everything_once_it_answers(
    theirs: Customer,
) -> None:
    posts, now = Posts(), datetime.now(UTC)
    us, name = peer(theirs, posts), theirs.url.removeprefix("http://")
    standing = {i: ToldAlert(i, now, None) for i in (identity("old"), identity("other"))}
    await us.tell(standing, now)
    await theirs.hears("firing", "old")
    await theirs.kill()
    late = {**standing, identity("new"): ToldAlert(identity("new"), now, None)}
    await us.tell(late, now)
    assert posts == {(name, "taken"): 2, (name, "away"): 1}
    await theirs.start()
    await us.tell(late, now)
    assert len(await theirs.shown()) == 3
    # Nothing is due now.
    await us.tell(late, now)
    assert posts == {(name, "taken"): 5, (name, "away"): 1}


async def test_of_a_pair_one_that_is_away_keeps_nothing_from_the_other(
    theirs: Customer, free_port: Callable[[], int]
) -> None:
    now, posts = datetime.now(UTC), Posts()
    nowhere = f"127.0.0.1:{free_port()}"
    pair = [peer(theirs, posts, f"http://someone:secret@{nowhere}"), peer(theirs, posts)]
    standing = {identity("hot"): ToldAlert(identity("hot"), now, None)}
    await asyncio.gather(*(each.tell(standing, now) for each in pair))
    await theirs.hears("firing", "hot")
    assert posts == {(nowhere, "away"): 1, (theirs.url.removeprefix("http://"), "taken"): 1}


async def test_one_that_it_will_not_have_costs_no_other(theirs: Customer) -> None:
    now, posts = datetime.now(UTC), Posts()
    wrong = ToldAlert(identity("wrong"), now, now - timedelta(minutes=1))
    standing = {wrong.identity: wrong, identity("right"): ToldAlert(identity("right"), now, None)}
    await peer(theirs, posts).tell(standing, now)
    await theirs.hears("firing", "right")
    assert posts == {(theirs.url.removeprefix("http://"), "refused"): 2}


@pytest.mark.parametrize(
    ("status", "outcome"), [(202, "taken"), (204, "taken"), (302, "away"), (404, "away")]
)
async def test_whatever_says_that_it_went_well_has_been_told(
    free_port: Callable[[], int], status: int, outcome: str
) -> None:
    app, now, posts, port = web.Application(), datetime.now(UTC), Posts(), free_port()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app.router.add_post("/am/api/v2/alerts", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession() as session:
        us = AlertmanagerPeer(session, f"http://127.0.0.1:{port}/am", {}, 10, "http://ecpmon.example", posts)
        for _ in range(2):
            await us.tell({identity("hot"): ToldAlert(identity("hot"), now, None)}, now)
    await runner.cleanup()
    assert posts == {(f"127.0.0.1:{port}", outcome): 1 if outcome == "taken" else 2}


async def test_what_stands_is_what_fires_of_live_tenants_and_what_ended_lately(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench, alerts = Bench(database, ingest), PgStandingAlerts(database)
    one, gone = await make_tenant(), await make_tenant()
    for tenant in (one, gone):
        await bench.rule(tenant, "cpu_usage > 80", name="hot")
        await bench.rule(tenant, "cpu_usage > 20", name="warm", wait=600)
        await bench.observe(tenant, 0, 1, cpu=90)
        await bench.evaluate(tenant, 1)
    assert {(i.tenant_id, i.alert_name) for i in await alerts.standing(at(2))} == {
        (one.tenant_id, "hot"),
        (gone.tenant_id, "hot"),
    }
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE id = $1", gone.key)
    await bench.observe(one, 10, 1, cpu=5)
    await bench.evaluate(one, 11)
    [alert] = (await alerts.standing(at(12))).values()
    assert (alert.identity.tenant_id, alert.starts_at, alert.ends_at) == (one.tenant_id, at(1), at(11))
    assert await alerts.standing(at(11) + ENDED) == {}


async def test_what_begins_in_a_silence_is_left_out_until_that_is_over_and_what_was_told_before_is_not(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench, alerts, tenant = Bench(database, ingest), PgStandingAlerts(database), await make_tenant()
    await bench.rule(tenant, "cpu_usage > 80", name="hot")
    await bench.rule(tenant, "cpu_usage > 90", name="hotter")
    silence = Silence(
        str(uuid.uuid4()), Matcher(), at(10), timedelta(seconds=40), "upgrade", "ann", T0, ends_at=at(50)
    )
    await PgSilenceStore(database).add([tenant.key], silence)

    async def names(seconds: float, cpu: float) -> dict[str, bool]:
        await bench.observe(tenant, seconds, 1, cpu=cpu)
        await bench.evaluate(tenant, seconds)
        return {
            a.identity.alert_name: a.ends_at is None for a in (await alerts.standing(at(seconds))).values()
        }

    assert await names(5, 85) == {"hot": True}
    assert await names(15, 95) == {"hot": True}
    assert await names(25, 85) == {"hot": True}  # what began and ended in it was never told
    assert await names(35, 95) == {"hot": True}
    assert await names(45, 5) == {"hot": False}
    # Both began in it; that the former one is over is still told.
    assert await names(48, 95) == {"hot": False}
    assert await names(55, 95) == {"hot": True, "hotter": True}


async def test_a_rule_that_flaps_has_one_alert_until_it_calms(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    flap = FlapPolicy(3, timedelta(minutes=10), timedelta(minutes=10))
    bench, alerts, tenant = (
        Bench(database, ingest, flap=flap),
        PgStandingAlerts(database),
        await make_tenant(),
    )
    await bench.rule(tenant, "cpu_usage > 80", name="hot")
    ends = list[datetime | None]()
    for turn in range(60):
        hot = turn < 12 and turn % 2 == 0
        await bench.observe(tenant, turn * 20, 1, cpu=90 if hot else 5)
        await bench.evaluate(tenant, turn * 20)
        ends += [a.ends_at for a in (await alerts.standing(at(turn * 20))).values()]
    # It fired for the third time at 80 s, and calmed ten minutes after its last change at 220 s.
    assert ends[:5] == [None, at(20), None, at(60), None]
    assert set(ends[5:41]) == {None}
    assert set(ends[41:]) == {at(820)}


def identity(name: str) -> Identity:
    return Identity("acme", f"rule-{name}", name, "page", None)
