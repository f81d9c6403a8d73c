"""A token is for the tenants that it was granted, not for whoever bears their names later."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from ecpmon.api.bodies import SLOW_SECONDS
from tests.integration.api.conftest import Service
from tests.integration.api.test_walls import OF_TENANTS, SOCKETS, name_of, path_of
from tests.waiting import PATIENCE

pytestmark = pytest.mark.demo

# What can be read of a deleted tenant until retention ends.
HISTORY = re.compile(
    "/sla|/contract|/incidents|/objectives|/recoveries|/deployment|/evidence-profile|/audit|/received"
)
NOT_FOUND = (404, "TENANT_NOT_FOUND"), (404, "NOT_FOUND")


async def reborn(service: Service) -> str:
    """A tenant that was deleted and made anew; the token `before` was for the first, `after` for the second."""
    name = await service.tenant()
    await service.token("before", ["admin"], [name], may_create=[name])
    assert (await service.ask("GET", f"/api/v1/tenants/{name}", who="before"))[0] == 200
    status, _, _ = await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true")
    assert status == 202
    service.clock.advance(60)
    await service.tenant(tenant_id=name)
    await service.token("after", ["admin"], [name])
    return name


async def test_a_token_for_a_deleted_tenant_reaches_nothing_of_the_new_one(service: Service) -> None:
    name = await reborn(service)
    reached = []
    for route in OF_TENANTS:
        body = {"metrics": {"cpu": 1}} if route.method == "POST" else None
        status, answer, _ = await service.ask(route.method, path_of(route, name), body, who="before")
        of_the_old_one = status == 200 and route.method == "GET" and HISTORY.search(route.path)
        if not of_the_old_one and (status, answer.get("error", {}).get("code")) not in NOT_FOUND:
            reached.append((name_of(route), status, answer))
    assert not reached


async def test_nor_does_a_socket(service: Service) -> None:
    name = await reborn(service)
    for route in SOCKETS:
        url = service.url + path_of(route, name)
        async with service.session.ws_connect(url, headers=service.headers("before")) as socket:
            message = await socket.receive(timeout=PATIENCE)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4404), route.path


async def test_the_history_of_a_tenant_is_its_own_holders_and_nobody_elses(service: Service) -> None:
    name = await service.tenant(sla_target={"availability": "99%"}, sli_source="push")
    push = f"/api/v1/tenants/{name}/monitoring"
    assert (await service.ask("POST", push, {"metrics": {"up": 0}}))[0] == 202
    await service.token("before", ["viewer"], [name])
    service.clock.advance(30)
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true"))[0] == 202
    service.clock.advance(30)
    sla = f"/api/v1/tenants/{name}/sla?windows=1h"

    async def told(who: str) -> tuple[int, float | None, float | None]:
        status, body, _ = await service.ask("GET", sla, who=who)
        return (status, None, None) if status != 200 else (
            status, body["target"], body["windows"][0]["down_minutes"]
        )  # fmt: skip

    old = await told("before")
    assert old[:2] == (200, 99.0)
    assert old[2]
    assert await told("admin") == old
    await service.tenant(tenant_id=name, sla_target={"availability": "99.9%"})
    await service.token("after", ["viewer"], [name])
    assert await told("before") == old
    assert await told("after") == await told("admin") == (200, 99.9, 0.0)
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true"))[0] == 202
    assert (await told("before"), await told("after")) == (old, (200, 99.9, 0.0))
    assert (await service.ask("GET", f"/api/v1/tenants/{name}", who="before"))[0] == 404


async def test_lists_hold_only_the_tenant_that_was_granted(service: Service) -> None:
    name = await reborn(service)
    for path in ("/api/v1/tenants/", "/api/v1/sla/summary"):
        names = {
            who: [t["tenant_id"] for t in (await service.ask("GET", path, who=who))[1]["tenants"]]
            for who in ("before", "after")
        }
        assert names == {"before": [], "after": [name]}


async def test_alerts_of_the_new_tenant_are_not_taken_from_the_old_ones_token(service: Service) -> None:
    name = await reborn(service)
    alert = {
        "status": "firing", "labels": {"alertname": "X", "tenant_id": name}, "annotations": {},
        "startsAt": "2026-03-02T08:59:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": f"g-{name}",
    }  # fmt: skip
    counts = {}
    for who in ("before", "after"):
        _, body, _ = await service.ask(
            "POST", "/api/v1/webhooks/tenant-alert", {"version": "4", "alerts": [alert]}, who=who
        )
        counts[who] = (body["ignored"], body["new"])
    assert counts == {"before": (1, 0), "after": (0, 1)}


async def test_a_manifest_for_the_new_tenant_is_not_validated_for_the_old_ones_token(
    service: Service,
) -> None:
    name = await reborn(service)
    body = {"tenant_id": name, "manifest_content": "a: 1"}
    told = {}
    for who in ("before", "after"):
        status, _, _ = await service.ask("POST", "/api/v1/tenants/validate-manifest", body, who=who)
        told[who] = status
    assert told == {"before": 404, "after": 200}


async def test_who_may_create_a_tenant_sees_what_it_created_and_nothing_that_somebody_else_did(
    service: Service,
) -> None:
    mine, theirs = f"{await service.tenant()}-mine", f"{await service.tenant()}-theirs"
    await service.token("founder", ["tenant_admin"], [], may_create=[mine, theirs])
    await service.tenant(tenant_id=theirs)
    body = {"tenant_id": mine, "name": "x", "service_requirements": {"chatbot": 10}}
    status, _, _ = await service.ask("POST", "/api/v1/tenants/", body, who="founder")
    assert status == 201
    assert (await service.ask("GET", f"/api/v1/tenants/{mine}", who="founder"))[0] == 200
    assert (await service.ask("GET", f"/api/v1/tenants/{theirs}", who="founder"))[0] == 404
    taken, answer, _ = await service.ask(
        "POST", "/api/v1/tenants/", {**body, "tenant_id": theirs}, who="founder"
    )
    assert (taken, answer["error"]["details"]) == (409, {"tenant_id": theirs})
    other, answer, _ = await service.ask(
        "POST", "/api/v1/tenants/", {**body, "tenant_id": f"{mine}-2"}, who="founder"
    )
    assert (other, answer["error"]["details"]["fields"][0]["field"]) == (422, "tenant_id")
    # Deleted and made anew by the same token, it is the same token's again.
    assert (await service.ask("DELETE", f"/api/v1/tenants/{mine}", who="founder"))[0] == 202
    assert (await service.ask("POST", "/api/v1/tenants/", body, who="founder"))[0] == 201
    assert (await service.ask("GET", f"/api/v1/tenants/{mine}", who="founder"))[0] == 200


async def test_a_token_is_for_the_database_it_was_made_in(service: Service) -> None:
    name = f"{await service.tenant()}-twice"
    demo = {"X-Demo-Mode": "true"}
    for headers in ({}, demo):
        body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
        assert (await service.ask("POST", "/api/v1/tenants/", body, **headers))[0] == 201
    await service.token("here", ["admin"], [name])
    url = f"/api/v1/tenants/{name}"
    assert (await service.ask("GET", url, who="here"))[0] == 200
    assert (await service.ask("GET", url, who="here", **demo))[0] == 404
    _, listed, _ = await service.ask("GET", "/api/v1/tenants/", who="here", **demo)
    assert listed["tenants"] == []


async def test_a_rate_is_a_tokens_whatever_it_is_called(service: Service) -> None:
    await service.token("noisy", ["viewer"])
    noisy = service.tokens["noisy"]
    await service.token("noisy", ["viewer"])  # another of the same name
    quiet, service.tokens["loud"] = service.tokens["noisy"], noisy
    assert noisy != quiet
    for _ in range(1_000):
        status, _, _ = await service.ask("GET", "/api/v1/simulator/status", who="loud")
        if status == 429:
            break
    # The bucket holds a thousand and the clock stands still.
    assert (await service.ask("GET", "/api/v1/simulator/status", who="loud"))[0] == 429
    assert (await service.ask("GET", "/api/v1/simulator/status", who="noisy"))[0] != 429


async def begun(service: Service, who: str, path: str, body: bytes) -> tuple[asyncio.StreamReader, Any]:
    """A request whose body has not come to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.tokens[who]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body[:1])
    await writer.drain()
    return reader, writer


async def test_a_body_that_was_begun_for_the_old_tenant_does_not_end_in_the_new_one(service: Service) -> None:
    """It may take as long as a body may; what is stored must be the tenant's that was looked at before."""
    name = await service.tenant(sli_source="push")
    await service.token("before", ["operator"], [name])
    base = f"/api/v1/tenants/{name}"
    rule = b'{"alert_name": "smuggled", "condition": "cpu > 80"}'
    sent = {"/monitoring": b'{"metrics": {"cpu": 99, "up": 0}}', "/alerts": rule}
    begun_ones = {p: await begun(service, "before", base + p, b) for p, b in sent.items()}
    watched = service.session.ws_connect(
        f"{service.url}/ws/monitoring/{name}", headers=service.headers("admin")
    )
    async with watched as socket:
        await socket.receive_json(timeout=PATIENCE)  # so the requests before it are in their handlers
        await asyncio.sleep(SLOW_SECONDS)
        assert (await service.ask("DELETE", f"{base}?force=true"))[0] == 202
    await service.tenant(tenant_id=name, sli_source="push")
    answers = {}
    for path, (reader, writer) in begun_ones.items():
        writer.write(sent[path][1:])
        answers[path] = (await reader.read()).decode()
        writer.close()
    assert "TENANT_NOT_FOUND" in answers["/monitoring"], answers["/monitoring"]
    assert "TENANT_NOT_FOUND" in answers["/alerts"], answers["/alerts"]
    _, measured, _ = await service.ask("GET", f"{base}/monitoring?hours=1")
    assert measured["metrics"] == {}
    _, alerts, _ = await service.ask("GET", f"{base}/alerts")
    assert "smuggled" not in str(alerts)
