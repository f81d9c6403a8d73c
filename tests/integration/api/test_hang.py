"""The push endpoint when the database hangs instead of being gone."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.conftest import PostgresServer
from tests.integration.api.conftest import NOW, Service
from tests.waiting import until

pytestmark = [pytest.mark.usefixtures("impatient_with_the_database"), pytest.mark.demo]
BODY = {"timestamp": NOW.isoformat(), "metrics": {"up": 1, "cpu_usage": 50}}


async def push_until_taken(service: Service, name: str) -> None:
    async def taken() -> bool:
        return (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", BODY, who="ingest"))[0] == 202

    await until(taken, "a push is taken")


async def pushes(service: Service, name: str) -> float:
    """Thirty at once, each refused; the seconds they took together."""
    path, began = f"/api/v1/tenants/{name}/monitoring", time.monotonic()
    answers = await asyncio.gather(*(service.ask("POST", path, BODY, who="ingest") for _ in range(30)))
    for status, answer, headers in answers:
        assert (status, answer["error"]["code"]) == (503, "DATABASE_ERROR")
        assert int(headers["Retry-After"]) >= 1
    return time.monotonic() - began


async def test_pushes_get_503_and_are_taken_again_afterwards(
    service: Service, postgres_server: PostgresServer
) -> None:
    name = await service.tenant()
    await push_until_taken(service, name)
    with postgres_server.standing_still():
        for _ in range(2):  # to find out, and knowing it
            await pushes(service, name)
    await push_until_taken(service, name)
    stored = await service.runtime.database.fetch(
        "SELECT metric_name, metric_value FROM monitoring_data WHERE tenant_id = $1 ORDER BY 1", name
    )
    assert [tuple(r) for r in stored] == [("cpu_usage", 50), ("up", 1)], "sent again, it counts once"


@pytest.mark.quiet
async def test_a_503_comes_within_about_a_second_and_at_once_when_it_is_known(
    service: Service, postgres_server: PostgresServer
) -> None:
    name = await service.tenant()
    await push_until_taken(service, name)
    with postgres_server.standing_still():
        for limit in (1.5, 0.5):
            assert await pushes(service, name) < limit


async def test_readiness_says_so(service: Service, postgres_server: PostgresServer) -> None:
    with postgres_server.standing_still():
        assert (await service.ask("GET", "/ready", who=None))[0] == 503


@pytest.mark.quiet
async def test_readiness_says_so_within_seconds(service: Service, postgres_server: PostgresServer) -> None:
    assert await service.runtime.database.ping() < 1
    with postgres_server.standing_still():
        began = time.monotonic()
        assert (await service.ask("GET", "/ready", who=None))[0] == 503
        assert time.monotonic() - began < 2.5  # two databases, one after the other
