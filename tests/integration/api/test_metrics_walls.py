"""Who may read `/metrics`, and whose series are in it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ecpmon.app import RUNTIMES
from ecpmon.ports.tokens import NewToken
from tests.integration.api.conftest import NOW, OPERATOR, Service

pytestmark = pytest.mark.demo


async def two_tenants(service: Service) -> tuple[str, str]:
    """Two tenants that have pushed, whose figures are on the page."""
    names = (await service.tenant(), await service.tenant())
    for name in names:
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 12.5}})
    await service.runtime.work.rolling.run_once()
    return names


def tenants_in(text: str) -> set[str]:
    return set(re.findall(r'tenant(?:_id)?="([^"]*)"', text))


async def test_a_token_shows_the_series_of_its_tenants_and_of_the_process(service: Service) -> None:
    mine, others = await two_tenants(service)
    await service.token("limited", ["viewer"], [mine])
    status, text, headers = await service.ask("GET", "/metrics", who="limited")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert tenants_in(text) == {mine}
    assert "\necpmon_leader " in text
    _, text, _ = await service.ask("GET", "/metrics", who="viewer")
    assert {mine, others} <= tenants_in(text)
    _, text, _ = await service.ask("GET", "/metrics", who="outsider")
    assert tenants_in(text) == set()


async def test_a_token_for_the_demo_database_shows_nothing_of_production(service: Service) -> None:
    name, _ = await two_tenants(service)
    demo = {"X-Demo-Mode": "true"}
    body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
    assert (await service.ask("POST", "/api/v1/tenants/", body, **demo))[0] == 201
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 1}}, **demo)
    store = service.app[RUNTIMES][1].tokens
    for who, tenants in (("demo-viewer", [name]), ("demo-admin", None)):
        issued = await store.issue(NewToken(who, ["viewer"], tenants), OPERATOR, NOW)
        service.tokens[who] = issued.secret
        assert (await service.ask("GET", f"/api/v1/tenants/{name}", who=who, **demo))[0] == 200
        assert (await service.ask("GET", "/metrics", who=who, **demo))[0] == 401
    _, text, _ = await service.ask("GET", "/metrics")
    assert (
        f'ecp_tenant_requests_total{{code="202",method="POST",status="success",tenant_id="{name}"}} 1.0'
        in text
    )


async def test_only_who_may_read_reads_it(service: Service) -> None:
    for who in (None, "wrong", "expired"):
        status, body, headers = await service.ask("GET", "/metrics", who=who)
        assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")
        assert headers["WWW-Authenticate"] == "Bearer"
    status, body, _ = await service.ask("GET", "/metrics", who="ingest")
    assert (status, body["error"]["code"]) == (403, "FORBIDDEN")


class TestWhereItIsOpen:
    @pytest.fixture
    def service_settings(self) -> dict[str, Any]:
        return {"metrics_auth": "open"}

    async def test_nobody_in_particular_sees_no_tenant(self, service: Service) -> None:
        mine, _ = await two_tenants(service)
        status, text, _ = await service.ask("GET", "/metrics", who=None)
        assert status == 200
        assert tenants_in(text) == set()
        assert "\necpmon_leader " in text
        await service.token("limited", ["viewer"], [mine])
        assert tenants_in((await service.ask("GET", "/metrics", who="limited"))[1]) == {mine}
        assert (await service.ask("GET", "/metrics", who="wrong"))[0] == 401, (
            "a token that is shown must be right"
        )
