"""Tenants are walls: every route and socket, asked by an outsider."""

from __future__ import annotations

import re

import aiohttp
import pytest

from ecpmon.api.application import route_table
from ecpmon.api.routing import ROLES, Permission, Route
from tests.integration.api.conftest import Service
from tests.waiting import PATIENCE

TABLE = route_table()
CLOSED = [r for r in TABLE if r.permission is not Permission.OPEN and not r.socket]
OF_TENANTS = [r for r in CLOSED if r.of_tenant]
SOCKETS = [r for r in TABLE if r.socket and r.of_tenant]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route, tenant_id: str) -> str:
    path = route.path.replace("{tenant_id}", tenant_id)
    return re.sub(r"\{\w+\}", "6f1c2a52-0000-4000-8000-000000000000", path)


@pytest.mark.parametrize("route", CLOSED, ids=name_of)
async def test_without_a_valid_token_nothing_is_answered(service: Service, route: Route) -> None:
    for who in (None, "wrong", "expired"):
        status, body, headers = await service.ask(route.method, path_of(route, "anybody"), who=who)
        assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")
        assert headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", OF_TENANTS, ids=name_of)
async def test_anothers_tenant_does_not_exist(service: Service, route: Route) -> None:
    tenant_id = await service.tenant()
    body = {"metrics": {"cpu": 1}} if route.method == "POST" else None
    status, answer, _ = await service.ask(route.method, path_of(route, tenant_id), body, who="outsider")
    unknown, same, _ = await service.ask(route.method, path_of(route, "no-such-tenant"), body, who="outsider")
    assert (status, answer["error"]["code"]) == (404, "TENANT_NOT_FOUND")
    assert (unknown, same["error"]["code"]) == (404, "TENANT_NOT_FOUND")
    assert answer["error"]["message"].replace(tenant_id, "no-such-tenant") == same["error"]["message"]


@pytest.mark.parametrize("route", [r for r in CLOSED if "viewer" not in ROLES[r.permission]], ids=name_of)
async def test_a_viewer_may_only_look(service: Service, route: Route) -> None:
    tenant_id = await service.tenant()
    status, body, _ = await service.ask(route.method, path_of(route, tenant_id), {}, who="viewer")
    assert (status, body["error"]["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("route", SOCKETS, ids=name_of)
async def test_sockets_are_walls_too(service: Service, route: Route) -> None:
    tenant_id = await service.tenant()
    for who, name, code in (
        (None, tenant_id, 4401), ("wrong", tenant_id, 4401), ("expired", tenant_id, 4401),
        ("outsider", tenant_id, 4404), ("admin", "no-such-tenant", 4404), ("admin", "Not%20A%20Name", 4404),
        ("ingest", tenant_id, 4403),
    ):  # fmt: skip
        url = service.url + route.path.replace("{tenant_id}", name)
        async with service.session.ws_connect(url, headers=service.headers(who)) as socket:
            message = await socket.receive(timeout=PATIENCE)
            assert message.type is aiohttp.WSMsgType.CLOSE, (who, message)
            assert message.data == code


async def test_a_socket_takes_its_token_as_a_sub_protocol(service: Service) -> None:
    tenant_id = await service.tenant()
    protocols = ("bearer", service.tokens["viewer"])
    async with service.session.ws_connect(
        f"{service.url}/ws/monitoring/{tenant_id}", protocols=protocols
    ) as socket:
        assert (await socket.receive_json(timeout=PATIENCE))["tenant_id"] == tenant_id
        assert socket.protocol == "bearer"


async def test_lists_show_only_what_a_caller_may_see(service: Service) -> None:
    await service.tenant()
    for path in ("/api/v1/tenants/", "/api/v1/sla/summary"):
        _, body, _ = await service.ask("GET", path, who="outsider")
        assert body["tenants"] == []
    _, body, _ = await service.ask("GET", "/api/v1/tenants/", who="outsider")
    assert body["total_count"] == 0


async def test_every_route_says_who_may_call_it() -> None:
    assert {r.path for r in TABLE if r.permission is Permission.OPEN} == {
        "/",
        "/health",
        "/ready",
        "/docs",
        "/redoc",
        "/ui/{file}",
        "/openapi.json",
        "/api/v1/sign-in",
        "/status/{page}",
        "/status/{page}/badge.svg",
        "/status/{page}/statements/{statement}",
    }
    assert all(r.summary for r in TABLE), "every handler's docstring is its summary in /openapi.json"
    assert len({r.handler for r in TABLE}) == len(TABLE)


async def test_alerts_of_tenants_a_caller_cannot_see_are_not_recorded(service: Service) -> None:
    tenant_id = await service.tenant()
    alert = {
        "status": "firing", "labels": {"alertname": "X", "tenant_id": tenant_id}, "annotations": {},
        "startsAt": "2026-03-02T08:59:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": f"f-{tenant_id}",
    }  # fmt: skip
    body = {"version": "4", "alerts": [alert], "added_later": 1}
    url = "/api/v1/webhooks/tenant-alert"
    _, first, _ = await service.ask("POST", url, body, who="outsider")
    assert (first["ignored"], first["new"]) == (1, 0)
    _, second, _ = await service.ask("POST", url, body)
    _, third, _ = await service.ask("POST", url, body)
    assert (second["new"], third["new"], third["duplicates"]) == (1, 0, 1)
