"""Who may read `/metrics`, and whose series are in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.settings import Settings
from ecpmon.storage.access import PgTokenStore
from tests.acceptance.world import ManualClock
from tests.integration.api.conftest import NOW, Service


async def two_tenants(service: Service) -> tuple[str, str]:
    """Two tenants that have pushed, whose figures are on the page."""
    names = (await service.tenant(), await service.tenant())
    for name in names:
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 12.5}})
    await service.runtime.rolling.run_once()
    return names


def tenants_in(text: str) -> set[str]:
    return set(re.findall(r'tenant(?:_id)?="([^"]*)"', text))


async def limited(service: Service, *tenants: str, role: str = "viewer") -> None:
    """The token `limited` for some tenants."""
    store = PgTokenStore(service.runtime.database)
    service.tokens["limited"] = await store.create("limited", [role], tenants, NOW, None)


async def test_a_token_shows_the_series_of_its_tenants_and_of_the_process(service: Service) -> None:
    mine, others = await two_tenants(service)
    await limited(service, mine)
    status, text, headers = await service.ask("GET", "/metrics", who="limited")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert tenants_in(text) == {mine}
    assert "\necpmon_leader " in text
    _, text, _ = await service.ask("GET", "/metrics", who="viewer")
    assert {mine, others} <= tenants_in(text)
    _, text, _ = await service.ask("GET", "/metrics", who="outsider")
    assert tenants_in(text) == set()


async def test_only_who_may_read_reads_it(service: Service) -> None:
    for who in (None, "wrong", "expired"):
        status, body, headers = await service.ask("GET", "/metrics", who=who)
        assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")
        assert headers["WWW-Authenticate"] == "Bearer"
    status, body, _ = await service.ask("GET", "/metrics", who="ingest")
    assert (status, body["error"]["code"]) == (403, "FORBIDDEN")


@pytest.fixture
async def open_service(
    service: Service, api_dsns: tuple[str, str], free_port: Callable[[], int]
) -> AsyncIterator[Service]:
    """Beside `service`, with the same tokens: its `/metrics` is open."""
    settings = Settings(
        database_url=SecretStr(api_dsns[0]), metrics_auth="open", metrics_max_age=0,
        webhook_secret=SecretStr("x" * 32),
    )  # fmt: skip
    app = await create_app(settings, ManualClock(NOW), run_jobs=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession() as session:
        url, runtime = f"http://127.0.0.1:{port}", app[RUNTIMES][0]
        yield Service(url, session, runtime, service.clock, app, service.tokens)
    await runner.cleanup()


async def test_where_it_is_open_nobody_in_particular_sees_no_tenant(open_service: Service) -> None:
    mine, _ = await two_tenants(open_service)
    status, text, _ = await open_service.ask("GET", "/metrics", who=None)
    assert status == 200
    assert tenants_in(text) == set()
    assert "\necpmon_leader " in text
    await limited(open_service, mine)
    assert tenants_in((await open_service.ask("GET", "/metrics", who="limited"))[1]) == {mine}
    assert (await open_service.ask("GET", "/metrics", who="wrong"))[0] == 401, (
        "a token that is shown must be right"
    )
