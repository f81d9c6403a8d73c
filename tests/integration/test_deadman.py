"""The dead man's switch of a whole service: it speaks while its jobs do their work, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.alerts.deadman import NAME
from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from tests.acceptance.world import START, ManualClock


@dataclass
class Receiver:
    """Takes what is posted, unless it is told to answer otherwise."""

    status: int = 200
    # (path, alert names)
    told: list[tuple[str, list[str]]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body: Any = await request.json()
        alerts = body["alerts"] if isinstance(body, dict) else body
        self.told.append((request.path, [a["labels"]["alertname"] for a in alerts]))
        return web.Response(status=self.status)

    def heard(self) -> list[tuple[str, list[str]]]:
        found, self.told = self.told, []
        return found


@dataclass
class Stage:
    runtime: BackendRuntime
    clock: ManualClock
    receiver: Receiver

    def messages(self) -> dict[str, float]:
        counter = self.runtime.telemetry.deadman
        return {
            s.labels["outcome"]: s.value
            for metric in counter.collect()
            for s in metric.samples
            if s.name.endswith("_total")
        }


@pytest.fixture
async def stage(migrated_dsn: str, free_port: Callable[[], int]) -> AsyncIterator[Stage]:
    receiver, clock = Receiver(), ManualClock(START)
    async with AsyncExitStack() as stack:
        hook = web.Application()
        hook.router.add_post("/{tail:.*}", receiver.take)
        outside = web.AppRunner(hook, shutdown_timeout=1)
        await outside.setup()
        stack.push_async_callback(outside.cleanup)
        url = f"http://127.0.0.1:{(port := free_port())}"
        await web.TCPSite(outside, "127.0.0.1", port).start()
        settings = Settings(
            database_url=SecretStr(migrated_dsn),
            auth="none",
            deadman_url=f"{url}/alive",
            alertmanager_send_urls=url,
            alertmanager_alive=True,
        )
        app = await create_app(settings, clock, run_jobs=False)
        runner = Runner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        runtime = app[RUNTIMES][0]
        await runtime.lease.keep()
        yield Stage(runtime, clock, receiver)


async def test_it_speaks_while_evaluation_goes_on_is_silent_when_it_does_not_and_speaks_again(
    stage: Stage,
) -> None:
    jobs = stage.runtime.jobs
    await jobs.run_all()
    assert stage.receiver.heard() == [("/api/v2/alerts", [NAME]), ("/alive", [NAME])]
    stage.clock.advance(3600)  # in which nothing was evaluated
    for job in ("deadman", "alertmanager"):
        await jobs.run(job)
    # That it is over is all that is said.
    assert stage.receiver.heard() == [("/api/v2/alerts", [NAME])]
    assert stage.messages() == {"sent": 1, "withheld": 1}
    await jobs.run_all()
    await jobs.run("deadman")
    assert ("/alive", [NAME]) in stage.receiver.heard()


async def test_a_receiver_that_refuses_is_counted_and_asked_again_at_the_next_turn(stage: Stage) -> None:
    stage.receiver.status = 503
    await stage.runtime.jobs.run_all()
    stage.receiver.status = 200
    await stage.runtime.jobs.run("deadman")
    assert stage.messages() == {"failed": 1, "sent": 1}


async def test_when_each_job_last_succeeded_is_in_the_metrics(stage: Stage) -> None:
    await stage.runtime.jobs.run_all()
    shown = {
        (s.name, s.labels["job"]): s.value
        for gauge in (stage.runtime.telemetry.job_success, stage.runtime.telemetry.job_period)
        for metric in gauge.collect()
        for s in metric.samples
    }
    for job in stage.runtime.jobs.names:
        assert shown["ecpmon_job_last_success", job] == stage.clock.now().timestamp(), job
        assert shown["ecpmon_job_period_seconds", job] == stage.runtime.jobs.periods[job]
