"""The push endpoint when the database hangs instead of being gone."""

from __future__ import annotations

import asyncio
import time

from tests.conftest import PostgresServer
from tests.integration.api.conftest import NOW, Service


async def test_pushes_get_503_within_about_a_second_and_are_taken_again_afterwards(
    service: Service, postgres_server: PostgresServer
) -> None:
    name = await service.tenant()
    path = f"/api/v1/tenants/{name}/monitoring"
    body = {"timestamp": NOW.isoformat(), "metrics": {"up": 1, "cpu_usage": 50}}
    assert (await service.ask("POST", path, body, who="ingest"))[0] == 202
    with postgres_server.standing_still():
        for limit in (1.5, 0.5):  # to find out, and knowing it
            began = time.monotonic()
            answers = await asyncio.gather(
                *(service.ask("POST", path, body, who="ingest") for _ in range(30))
            )
            assert time.monotonic() - began < limit
            for status, answer, headers in answers:
                assert (status, answer["error"]["code"]) == (503, "DATABASE_ERROR")
                assert int(headers["Retry-After"]) >= 1
    async with asyncio.timeout(3):
        while (await service.ask("POST", path, body, who="ingest"))[0] != 202:
            await asyncio.sleep(0.05)
    stored = await service.runtime.database.fetch(
        "SELECT metric_name, metric_value FROM monitoring_data WHERE tenant_id = $1 ORDER BY 1", name
    )
    assert [tuple(r) for r in stored] == [("cpu_usage", 50), ("up", 1)], "sent again, it counts once"


async def test_readiness_says_so_within_about_a_second(
    service: Service, postgres_server: PostgresServer
) -> None:
    assert await service.runtime.database.ping() < 1
    with postgres_server.standing_still():
        began = time.monotonic()
        status, _, _ = await service.ask("GET", "/ready", who=None)
        assert time.monotonic() - began < 2.5  # two databases, one after the other
        assert status == 503
