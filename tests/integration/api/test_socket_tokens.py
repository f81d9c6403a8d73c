"""Sockets obey their token: when it ends, changes or loses its tenant they end, at the next look."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from ecpmon.api.context import CONTEXT
from ecpmon.api.sessions import SocketLimits
from ecpmon.ports.tokens import Issued
from tests.integration.api.conftest import OPERATOR, Service
from tests.waiting import PATIENCE


async def look(service: Service) -> None:
    """What the scheduler does every five seconds."""
    await service.runtime.jobs._turn("sockets")


async def opened(service: Service, stack: AsyncExitStack, who: str, name: str) -> dict[str, Any]:
    """One socket of every kind about a tenant, by path."""
    deployment_id = f"dep-{name}"
    tenant, store = await service.runtime.tenants.get(name), service.runtime.deployments.store
    if await store.running(tenant) is None:
        await store.request(tenant, deployment_id, "simulator", {}, "kim", None, service.clock.now())
    sockets = {}
    for path in (
        f"/ws/monitoring/{name}",
        f"/api/v1/simulator/realtime/{name}",
        f"/ws/alerts/{name}",
        f"/ws/deployment/{deployment_id}",
    ):
        connecting = service.session.ws_connect(service.url + path, headers=service.headers(who))
        sockets[path] = await stack.enter_async_context(connecting)
        if "alerts" not in path:
            await sockets[path].receive_json(timeout=PATIENCE)
    return sockets


async def codes(sockets: dict[str, Any]) -> set[int | None]:
    """How they were closed; None for one that answers."""
    found: set[int | None] = set()
    for path, socket in sockets.items():
        patience = PATIENCE
        if "deployment" not in path:
            await socket.send_json({"action": "ping"})
        elif found == {None}:
            patience = (
                0.5  # the last, and it answers nothing: that it closes is waited for when the others have
            )
        while True:
            try:
                message = await socket.receive(timeout=patience)
            except TimeoutError:
                found.add(None)
                break
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                found.add(socket.close_code)
                break
            if message.type is aiohttp.WSMsgType.TEXT and message.json() == {"action": "pong"}:
                found.add(None)
                break
    return found


async def expire(service: Service, _: Issued, name: str) -> None:
    service.clock.advance(60)


async def revoke(service: Service, issued: Issued, name: str) -> None:
    await service.runtime.tokens.revoke(issued.token_id, OPERATOR, service.clock.now())


async def replace(service: Service, issued: Issued, name: str) -> None:
    now: datetime = service.clock.now()
    await service.runtime.tokens.rotate(issued.token_id, OPERATOR, now, overlap=now - now)


async def take_the_role(service: Service, issued: Issued, name: str) -> None:
    await service.runtime.database.execute(
        "UPDATE api_tokens SET roles = '{ingest}' WHERE id = $1", issued.token_id
    )


async def take_the_tenant(service: Service, issued: Issued, name: str) -> None:
    await service.runtime.database.execute("DELETE FROM token_grants WHERE token = $1", issued.token_id)


async def delete_elsewhere(service: Service, issued: Issued, name: str) -> None:
    tenant = await service.runtime.tenants.get(name)
    await service.runtime.tenants.delete(tenant, service.clock.now())


@pytest.mark.parametrize(
    ("happens", "code"),
    [(expire, 4401), (revoke, 4401), (replace, 4401), (take_the_role, 4403), (take_the_tenant, 4404),
     (delete_elsewhere, 4404)],
)  # fmt: skip
async def test_every_socket_ends_at_the_next_look_and_anothers_stays(
    service: Service, happens: Any, code: int
) -> None:
    name, neighbour = await service.tenant(), await service.tenant()
    now = service.clock.now()
    issued = await service.token("leaving", ["viewer"], [name], expires_at=now.replace(minute=1))
    await service.token("staying", ["viewer"], [neighbour])
    async with AsyncExitStack() as stack:
        leaving = await opened(service, stack, "leaving", name)
        staying = await opened(service, stack, "staying", neighbour)
        await look(service)
        assert await codes(leaving) == {None}
        await happens(service, issued, name)
        await look(service)
        assert await codes(leaving) == {code}
        assert await codes(staying) == {None}
    _, metrics, _ = await service.ask("GET", "/metrics")
    over = {4401: "token", 4403: "role", 4404: "tenant"}[code]
    assert f'ecpmon_sockets_ended_total{{over="{over}"}} 4.0' in metrics


async def test_a_socket_of_the_old_secret_ends_with_the_overlap(service: Service) -> None:
    name = await service.tenant()
    issued = await service.token("old", ["viewer"], [name])
    tokens, now = service.runtime.tokens, service.clock.now()
    async with AsyncExitStack() as stack:
        old = await opened(service, stack, "old", name)
        overlap = now.replace(minute=10) - now
        fresh = await tokens.rotate(issued.token_id, OPERATOR, now, overlap=overlap)
        service.tokens["new"] = fresh.secret
        new = await opened(service, stack, "new", name)
        await look(service)
        assert (await codes(old), await codes(new)) == ({None}, {None})
        service.clock.set(now.replace(minute=10))
        await look(service)
        assert (await codes(old), await codes(new)) == ({4401}, {None})


async def test_one_token_cannot_take_the_places_of_others(service: Service) -> None:
    name = await service.tenant()
    await service.token("greedy", ["viewer"], [name])
    await service.token("modest", ["viewer"], [name])
    url = f"{service.url}/ws/alerts/{name}"
    most = 20
    admissions = service.app[CONTEXT].production.hub._admissions
    assert admissions.limits == SocketLimits(10_000, 100, 500)  # the settings' defaults
    admissions.limits = SocketLimits(per_holder=most)
    async with AsyncExitStack() as stack:
        for _ in range(most):
            await stack.enter_async_context(
                service.session.ws_connect(url, headers=service.headers("greedy"))
            )
        for _ in range(3):
            status, body, headers = await service.ask(
                "GET", f"/ws/alerts/{name}", who="greedy", Upgrade="websocket", Connection="Upgrade",
                **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
            )  # fmt: skip
            assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "TOO_MANY_SOCKETS", "10")
        modest = await stack.enter_async_context(
            service.session.ws_connect(url, headers=service.headers("modest"))
        )
        assert await codes({url: modest}) == {None}
        _, metrics, _ = await service.ask("GET", "/metrics")
        assert 'ecpmon_sockets_refused_total{bound="token"} 3.0' in metrics
        assert f"ecpmon_sockets {most + 1}.0" in metrics


@pytest.mark.quiet
async def test_the_service_looks_by_itself_and_in_time(service: Service) -> None:
    name = await service.tenant()
    await service.token("leaving", ["viewer"], [name], expires_at=service.clock.now().replace(minute=1))
    async with AsyncExitStack() as stack:
        leaving = await opened(service, stack, "leaving", name)
        await service.runtime.jobs.start()
        async with asyncio.timeout(60):
            while service.runtime.jobs._running:  # the first turns; those after them come by the scheduler
                await asyncio.sleep(0.1)
        assert await codes(leaving) == {None}
        service.clock.advance(60)
        async with asyncio.timeout(10):
            for socket in leaving.values():
                while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
        assert {socket.close_code for socket in leaving.values()} == {4401}
