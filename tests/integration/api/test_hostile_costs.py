"""One tenant with as much history and maintenance as anybody ever had: what it asks for does not hold the event loop.

What is measured is the processor time that the loop's own thread spends between two turns, in units of a fixed piece
of work (`tests.cost`): neither a slow machine nor a busy one changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.app.process import settle
from tests.cost import unit
from tests.integration.api.conftest import NOW, Service

SPANS = 10_000
# All that a tenant may plan: 93 times each within 93 days.
RULES = 21
EVERY = timedelta(days=28) / SPANS
START = NOW - EVERY * SPANS
pytestmark = pytest.mark.demo
# A turn may take so many units (5 to 10 ms each on a server of 2026); without threads these requests took thousands.
MOST_UNITS = 10.0

FLAPS = """
INSERT INTO availability_spans (tenant, period, state, share)
SELECT $1, tstzrange($2::timestamptz + n * $3::interval, $2::timestamptz + (n + 1) * $3::interval),
       CASE WHEN n % 2 = 0 THEN 'up' ELSE 'down' END, 1
FROM generate_series(0, $4::int - 1) AS n
"""
HEAD = """
UPDATE availability_heads SET first_observed_at = $2, state = 'up', since = $3, last_observed_at = $3, holds = '1 hour'
WHERE tenant = $1
"""
# Ten seconds each, spread over the day.
PLANNED = """
INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, rrule, time_zone, reason, created_by, created_at)
SELECT gen_random_uuid(), $1, $2::timestamptz + n * INTERVAL '86 s', INTERVAL '10 s', 'FREQ=DAILY', 'UTC', 'x', 'y', $2
FROM generate_series(0, $3::int - 1) AS n
"""


@asynccontextmanager
async def watched() -> AsyncIterator[list[float]]:
    """Processor seconds of the loop's thread per turn, for as long as it lasts; the longest last."""
    turns: list[float] = []

    async def beat() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            turns.append(time.thread_time() - before)

    # As the service does at its start: what earlier tests have left is not looked through by every collection.
    gc.collect()
    gc.freeze()
    beating = asyncio.create_task(beat())
    try:
        yield turns
    finally:
        gc.unfreeze()
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        turns.sort()


@pytest.fixture
async def crowded(service: Service) -> str:
    name = await service.tenant(push_interval=3600)
    tenant = await service.runtime.tenants.get(name)
    database = service.runtime.database
    await database.execute(FLAPS, tenant.key, START, EVERY, SPANS)
    await database.execute(HEAD, tenant.key, START, NOW)
    await database.execute(PLANNED, tenant.key, NOW - timedelta(days=60), RULES)
    return name


def hostile_manifest() -> str:
    lines = "".join(f"  k{n}: v\n" for n in range(10_000))
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n{lines}"


async def asked(
    service: Service, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """The answer, after checking that the loop went on meanwhile."""
    async with watched() as turns:
        if path.endswith("pdf"):  # no text
            async with service.session.get(service.url + path, headers=service.headers("admin")) as found:
                status, answer = found.status, await found.read()
        else:
            status, answer, _ = await service.ask(method, path, body, **headers)
    spent = turns[-1] / unit()
    assert spent <= MOST_UNITS, f"{method} {path}: {spent:.0f} units of work in one turn of the loop"
    return status, answer


@pytest.mark.timeout(300)
async def test_what_a_crowded_tenant_asks_for_does_not_hold_the_loop(service: Service, crowded: str) -> None:
    one = f"/api/v1/tenants/{crowded}"
    status, body = await asked(service, "GET", f"{one}/sla?windows=7d,30d")
    assert status == 200
    week, month = body["windows"]
    # Half of what is not maintenance.
    eligible = 28 * (24 - RULES * 10 / 3600) * 60
    assert month["eligible_minutes"] == pytest.approx(eligible, rel=0.01)
    assert month["down_minutes"] == pytest.approx(eligible / 2, rel=0.02)
    assert week["maintenance_minutes"] == pytest.approx(7 * RULES / 6, rel=0.01)
    reads = [
        "sla/timeline?window=30d&step=1h", f"sla/report?month={START:%Y-%m}", "sla/report?format=pdf", "incidents",
        "maintenance", "objectives/latency/status", "manifest",
    ]  # fmt: skip
    for path in reads:
        status, body = await asked(service, "GET", f"{one}/{path}")
        assert status in (200, 404, 503), (path, body)
    status, _ = await asked(service, "GET", f"/api/v1/simulator/sla/{crowded}/analysis?period=7d")
    assert status == 200


async def test_maintenance_planned_before_there_were_bounds_is_refused_by_name(service: Service) -> None:
    name, neighbour = await service.tenant(), await service.tenant()
    tenant = await service.runtime.tenants.get(name)
    await service.runtime.database.execute(PLANNED, tenant.key, NOW - timedelta(days=60), 999)
    for path in ("sla", "sla/timeline?window=30d", "objectives/latency/status"):
        status, refused = await asked(service, "GET", f"/api/v1/tenants/{name}/{path}")
        assert (status, refused["error"]["details"].get("limit")) == (409, "maintenance_in_period"), path
        assert "take some of it back" in refused["error"]["message"]
    await service.runtime.work.rolling.run_once()
    await service.runtime.work.evaluate_alerts()
    stored = await service.runtime.availability.statuses_of(await service.runtime.tenants.live())
    assert neighbour in stored


@pytest.mark.timeout(300)
async def test_trials_and_documents_of_strangers_do_not_hold_the_loop(service: Service, crowded: str) -> None:
    trial = {"policy": "page", "from": START.isoformat(), "step": "10m"}
    status, found = await asked(service, "POST", f"/api/v1/tenants/{crowded}/alerts/test", trial)
    assert (status, found["evaluations"] > 4_000) == (200, True)
    manifest = {"tenant_id": crowded, "manifest_content": hostile_manifest()}
    status, found = await asked(service, "POST", "/api/v1/tenants/validate-manifest", manifest)
    assert status == 200
    many = ("- a: b\n" * 25_000).encode()
    url = f"/api/v1/tenants/{crowded}/objectives"
    status, refused = await asked(service, "PUT", url, many, **{"Content-Type": "application/yaml"})
    assert (status, refused["error"]["code"]) == (422, "VALIDATION_FAILED")


@pytest.mark.timeout(300)
async def test_jobs_go_over_a_crowded_tenant_without_holding_the_loop(service: Service, crowded: str) -> None:
    neighbour = await service.tenant()
    for job in (service.runtime.work.rolling.run_once, service.runtime.work.evaluate_alerts):
        async with watched() as turns:
            await job()
        spent = turns[-1] / unit()
        assert spent <= MOST_UNITS, f"{spent:.0f} units of work in one turn of the loop"
    stored = await service.runtime.availability.statuses_of(await service.runtime.tenants.live())
    assert stored[crowded]["30d"] == "violated"
    assert stored[neighbour]["30d"] == "no_data"


@pytest.mark.quiet
@pytest.mark.timeout(600)
async def test_a_neighbour_is_answered_nearly_as_fast_meanwhile(service: Service, crowded: str) -> None:
    """Within three times its own p99 and a tenth of a second: all of it, both clients too, shares one process here."""
    neighbour = await service.tenant()
    await service.token("crowded", ["viewer"], tenants=[crowded])
    await service.token("neighbour", ["viewer"], tenants=[neighbour])
    one, over = f"/api/v1/tenants/{crowded}", asyncio.Event()

    async def hammer(path: str) -> None:
        headers = service.headers("crowded")
        while not over.is_set():
            async with service.session.get(service.url + one + path, headers=headers) as found:
                await found.read()

    async def latencies(seconds: float) -> list[float]:
        took: list[float] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            status, _, _ = await service.ask("GET", f"/api/v1/tenants/{neighbour}/sla", who="neighbour")
            took.append(time.perf_counter() - began)
            assert status == 200
            await asyncio.sleep(0.05)  # the clock stands still: a thousand requests are all that a token has
        return sorted(took)

    def p99(took: list[float]) -> float:
        return took[int(len(took) * 0.99)]

    interval = sys.getswitchinterval()
    settle()
    try:
        alone = await latencies(10)
        paths = ("/sla", "/sla/timeline", "/incidents", "/sla/report?format=pdf")
        hammering = [asyncio.create_task(hammer(path)) for path in paths]
        together = await latencies(20)
        over.set()
        await asyncio.gather(*hammering)
    finally:
        sys.setswitchinterval(interval)
    print(f"p50 {alone[len(alone) // 2] * 1e3:.0f} -> {together[len(together) // 2] * 1e3:.0f} ms", end=", ")
    print(f"p99 {p99(alone) * 1e3:.0f} -> {p99(together) * 1e3:.0f} ms")
    assert p99(together) < 3 * p99(alone) + 0.1
