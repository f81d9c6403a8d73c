"""Tokens that an OpenID provider signs, beside ours: the same rights on every way in, and no longer than they hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from ecpmon.api.application import route_table
from ecpmon.api.context import CONTEXT
from ecpmon.api.limits import LIMITS, REQUEST_BURST
from ecpmon.api.routing import ROLES, Permission, Route
from ecpmon.errors import DatabaseUnavailable
from ecpmon.identity.issuer import REST
from ecpmon.ports.tokens import ROLES as ALL_ROLES
from ecpmon.ports.tokens import Person
from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_walls import path_of
from tests.openid import AUDIENCE, Provider, providing, signed
from tests.waiting import PATIENCE

pytestmark = pytest.mark.demo

# Whose token it was is forgotten before a handler runs: a few of each permission, sockets too, stand for all.
FEW = 2


@pytest.fixture
async def provider(free_port: Callable[[], int]) -> AsyncIterator[Provider]:
    async with providing(free_port()) as made:
        made.published = {"one": ("ES256", 0), "rsa": ("RS256", 0), "ed": ("EdDSA", 0)}
        yield made


@pytest.fixture
def service_settings(provider: Provider) -> dict[str, Any]:
    return {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "oidc_tenants_claim": "ecpmon.tenants"}


def show(service: Service, provider: Provider, who: str, tenants: Any = "*", **claims: Any) -> None:
    """A token that `ask(who=…)` shows, signed now."""
    given = {"sub": who, "ecpmon": {"tenants": tenants}} | claims
    service.tokens[who] = provider.token(service.clock.now(), **given)


async def test_a_role_in_a_signed_token_may_what_it_may_in_ours(service: Service, provider: Provider) -> None:
    """Of a tenant that does not exist, so that nothing is changed."""
    for role in ALL_ROLES:
        show(service, provider, role, roles=[role])
    wrong = []
    for route in _some_of_each_permission():
        for role in ALL_ROLES:
            may = role in ROLES[route.permission]
            if await _is_let_in(service, route, role) is not may:
                wrong.append(f"{role} {'cannot' if may else 'can'} {route.method} {route.path}")
    assert not wrong


def _some_of_each_permission() -> list[Route]:
    closed = [r for r in route_table() if r.permission is not Permission.OPEN]
    kinds = {(r.permission, r.socket) for r in closed}
    assert {p for p, _ in kinds} == set(Permission) - {Permission.OPEN}
    return [r for kind in kinds for r in [r for r in closed if (r.permission, r.socket) == kind][-FEW:]]


async def _is_let_in(service: Service, route: Route, who: str) -> bool:
    path = path_of(route, "no-such-tenant")
    if route.socket:
        async with service.session.ws_connect(service.url + path, headers=service.headers(who)) as socket:
            return (await socket.receive(timeout=PATIENCE)).data != 4403
    body = {"bad": "body"} if route.method in ("POST", "PUT") else None
    status, answer, _ = await service.ask(route.method, path, body, who=who)
    assert status != 401, answer
    return status != 403


async def test_every_algorithm_and_every_way_in_takes_them(service: Service, provider: Provider) -> None:
    name = await service.tenant(sli_source="push")
    base = f"/api/v1/tenants/{name}"
    for kid in provider.published:
        show(service, provider, kid, [name], kid=kid, roles=["operator"])
        assert (await service.ask("GET", base, who=kid))[0] == 200
    pushed = {"metrics": {"cpu": 1, "up": 1}}
    for _ in range(2):  # the second is known and goes the short way
        assert (await service.ask("POST", f"{base}/monitoring", pushed, who="rsa"))[0] == 202
    protocols = ("bearer", service.tokens["ed"])
    async with service.session.ws_connect(f"{service.url}/ws/monitoring/{name}", protocols=protocols) as one:
        assert (await one.receive_json(timeout=PATIENCE))["tenant_id"] == name


async def test_names_are_walls(service: Service, provider: Provider) -> None:
    mine, theirs = await service.tenant(), await service.tenant()
    show(service, provider, "lee", [mine, "nobody-yet"], roles=["admin"])
    assert (await service.ask("GET", f"/api/v1/tenants/{mine}", who="lee"))[0] == 200
    assert (await service.ask("GET", f"/api/v1/tenants/{theirs}", who="lee"))[0] == 404
    _, listed, _ = await service.ask("GET", "/api/v1/tenants/", who="lee")
    assert [t["tenant_id"] for t in listed["tenants"]] == [mine]
    # Of production, as a token of ours for some tenants.
    assert (await service.ask("GET", f"/api/v1/tenants/{mine}", who="lee", **{"X-Demo-Mode": "true"}))[
        0
    ] == 404
    # Who is told of a tenant before there is one may make it, and sees it at once; any other he may not.
    body = {"tenant_id": "nobody-yet", "name": "x", "service_requirements": {"chatbot": 10}}
    assert (await service.ask("POST", "/api/v1/tenants/", {**body, "tenant_id": "other"}, who="lee"))[
        0
    ] == 422
    assert (await service.ask("POST", "/api/v1/tenants/", body, who="lee"))[0] == 201
    assert (await service.ask("GET", "/api/v1/tenants/nobody-yet", who="lee"))[0] == 200


async def test_a_name_means_the_tenant_that_bore_it_when_the_token_was_signed(
    service: Service, provider: Provider
) -> None:
    name = await service.tenant()
    url, history = f"/api/v1/tenants/{name}", f"/api/v1/tenants/{name}/sla"
    show(service, provider, "before", [name], roles=["tenant_admin"])
    assert (await service.ask("GET", url, who="before"))[0] == 200
    service.clock.advance(60)
    assert (await service.ask("DELETE", f"{url}?force=true", who="before"))[0] == 202
    show(service, provider, "soon", [name], roles=["tenant_admin"])  # within what clocks may differ
    service.clock.advance(60)
    show(service, provider, "between", [name], roles=["tenant_admin"])
    statuses = {who: (await service.ask("GET", history, who=who))[0] for who in ("before", "soon", "between")}
    assert statuses == {"before": 200, "soon": 200, "between": 404}
    # What it is called for is not his to make any more.
    body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
    assert (await service.ask("POST", "/api/v1/tenants/", body, who="before"))[0] == 422
    await service.tenant(tenant_id=name)
    show(service, provider, "after", [name])
    found = {
        who: (await service.ask("GET", url, who=who))[0] for who in ("before", "soon", "between", "after")
    }
    assert found == {"before": 404, "soon": 404, "between": 200, "after": 200}


async def test_what_is_not_the_issuers_or_not_for_us_is_refused(service: Service, provider: Provider) -> None:
    now = service.clock.now()
    stranger = signed({"iss": provider.issuer, "aud": AUDIENCE, "sub": "eve"}, "ES256", 5, kid="one")
    bad = {
        "signature": stranger,
        "audience": provider.token(now, aud="another"),
        "issuer": provider.token(now, iss="https://another.example"),
        "claims": provider.token(now, exp=None),
        "expired": provider.token(now - timedelta(hours=2)),
        "not_yet": provider.token(now + timedelta(minutes=1)),
        "too_large": "a.b." + "c" * 8_000,
        "unknown_key": provider.token(now, kid="unheard-of"),
        "algorithm": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJraW0ifQ.x",
    }
    for reason, token in bad.items():
        service.tokens["bad"] = token
        status, answer, headers = await service.ask("GET", "/api/v1/tenants/", who="bad")
        assert (status, answer["error"]["details"], headers["WWW-Authenticate"]) == (
            401, {"reason": reason}, "Bearer",
        )  # fmt: skip


async def test_guesses_are_held_up_and_hold_up_nobody_whose_token_is_good(
    service: Service, provider: Provider
) -> None:
    statuses: Counter[int] = Counter()
    asked = []
    for number in range(60):
        who = f"guess-{number}"
        show(service, provider, who, kid=who)
        asked.append(service.ask("GET", "/api/v1/tenants/", who=who))
    statuses.update(status for status, _, _ in await asyncio.gather(*asked))
    assert statuses == {401: 50, 429: 10}
    assert provider.asked["/jwks"] == 1
    # From the same address, and never seen before.
    show(service, provider, "kim")
    assert (await service.ask("GET", "/api/v1/tenants/", who="kim"))[0] == 200


async def test_an_issuer_that_rotates_and_goes_away_costs_nobody_else_anything(
    service: Service, provider: Provider
) -> None:
    show(service, provider, "kim")
    assert (await service.ask("GET", "/api/v1/tenants/", who="kim"))[0] == 200
    provider.published = {"two": ("RS256", 1), "one": provider.published["one"]}
    service.clock.advance(REST.total_seconds())
    show(service, provider, "new-key", kid="two")
    assert (await service.ask("GET", "/api/v1/tenants/", who="new-key"))[0] == 200
    provider.status = 500
    service.clock.advance(600)
    await service.runtime.jobs._turn("issuer")
    for who in ("kim", "new-key", "admin"):
        assert (await service.ask("POST", "/api/v1/tenants/calculate-resources", {"bad": 1}, who=who))[
            0
        ] == 422
    show(service, provider, "newest-key", kid="three")
    status, answer, headers = await service.ask("GET", "/api/v1/tenants/", who="newest-key")
    assert (status, answer["error"]["code"]) == (503, "IDENTITY_PROVIDER_ERROR")
    assert "Retry-After" in headers
    status, ready, _ = await service.ask("GET", "/ready", who=None)
    oidc = ready["components"]["oidc"]
    assert (oidc["ok"], oidc["answers"], oidc["keys"], oidc["error"]) == (
        True, False, 2, "answered with status 500",
    )  # fmt: skip
    _, metrics, _ = await service.ask("GET", "/metrics")
    assert "ecpmon_oidc_issuer_away 1.0" in metrics
    assert 'ecpmon_oidc_fetches_total{outcome="answered"} 2.0' in metrics


async def test_a_withdrawn_key_is_good_for_nothing_any_more(service: Service, provider: Provider) -> None:
    show(service, provider, "kim")
    assert (await service.ask("GET", "/api/v1/tenants/", who="kim"))[0] == 200
    del provider.published["one"]
    service.clock.advance(300)
    await service.runtime.jobs._turn("issuer")
    assert (await service.ask("GET", "/api/v1/tenants/", who="kim"))[0] == 401


async def test_a_socket_ends_with_its_token_and_with_its_tenant(service: Service, provider: Provider) -> None:
    name, other = await service.tenant(), await service.tenant()
    show(service, provider, "short", [name], exp=int(NOW.timestamp()) + 60)
    show(service, provider, "long", [name, other])
    sockets = {}
    for who, tenant in (("short", name), ("long", name), ("long", other)):
        url = f"{service.url}/ws/monitoring/{tenant}"
        sockets[who, tenant] = await service.session.ws_connect(url, headers=service.headers(who))
    await service.runtime.jobs._turn("sockets")
    service.clock.advance(60)
    await service.runtime.jobs._turn("sockets")
    assert await closed(sockets["short", name]) == 4401
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true"))[0] == 202
    await service.runtime.jobs._turn("sockets")
    assert await closed(sockets["long", name]) == 4404
    await sockets["long", other].send_json({"action": "ping"})
    while (await sockets["long", other].receive_json(timeout=PATIENCE)) != {"action": "pong"}:
        pass
    await sockets["long", other].close()


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int:
    while (message := await socket.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type is aiohttp.WSMsgType.CLOSE
    return int(message.data)


async def test_who_changed_something_is_named_with_the_issuer(service: Service, provider: Provider) -> None:
    name = await service.tenant()
    for sub in ("kim@example.com", "lee@example.com"):
        show(service, provider, sub, [name], roles=["tenant_admin"])
        change = {"description": f"by {sub}"}
        assert (await service.ask("PUT", f"/api/v1/tenants/{name}", change, who=sub))[0] == 200
    rows = await service.runtime.database.fetch(
        "SELECT actor, issuer, token, address FROM audit_log WHERE action = 'tenant.changed' ORDER BY id DESC LIMIT 2"
    )
    assert [(r["actor"], r["issuer"]) for r in rows] == [
        ("lee@example.com", provider.issuer),
        ("kim@example.com", provider.issuer),
    ]
    assert {r["address"] for r in rows} == {"127.0.0.1"}
    assert len({r["token"] for r in rows}) == 2
    assert all(r["token"].startswith("oidc:") for r in rows)


async def test_a_rate_is_a_persons_however_many_tokens_show_who_it_is(
    service: Service, provider: Provider
) -> None:
    show(service, provider, "kim")
    assert (await service.ask("GET", "/api/v1/tenants/", who="kim"))[0] == 200
    used_up = f"caller {Person(provider.issuer, 'kim').key}"
    service.app[LIMITS].requests.charge(used_up, REQUEST_BURST, service.clock.now())
    show(service, provider, "second", sub="kim", jti="another")
    show(service, provider, "lee")
    statuses = {
        who: (await service.ask("GET", "/api/v1/tenants/", who=who))[0] for who in ("kim", "second", "lee")
    }
    assert statuses == {"kim": 429, "second": 429, "lee": 200}


async def test_the_database_that_is_away_is_not_taken_for_a_bad_token(
    service: Service, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise DatabaseUnavailable("away")

    name = await service.tenant()
    show(service, provider, "kim", [name])
    monkeypatch.setattr(type(service.runtime.tenants), "meant", away)
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}", who="kim")
    assert (status, answer["error"]["code"]) == (503, "DATABASE_ERROR")
    assert service.app[CONTEXT].signed is not None
