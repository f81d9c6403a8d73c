"""All tenants over one socket, and the summary it begins with."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.integration.api.conftest import OPERATOR, Service
from tests.integration.api.test_sockets import push
from tests.waiting import PATIENCE


def connect(service: Service, who: str) -> Any:
    return service.session.ws_connect(f"{service.url}/ws/fleet", headers=service.headers(who))


async def heard(socket: Any, name: str) -> dict[str, Any]:
    """The next row of a tenant."""
    while True:
        message = await socket.receive_json(timeout=PATIENCE)
        for row in message["tenants"]:
            if row["tenant_id"] == name:
                return dict(row)


async def test_a_failure_is_told_within_two_seconds_to_those_who_may_see_it(service: Service) -> None:
    mine, other = await service.tenant(), await service.tenant()
    await service.token("narrow", ["viewer"], [other])
    for name in (mine, other):
        await push(service, name, up=1)
    async with connect(service, "admin") as all_of_them, connect(service, "narrow") as narrow:
        assert set(await all_of_them.receive_json(timeout=PATIENCE)) == {"as_of", "away", "gone", "tenants"}
        service.clock.advance(5)
        await push(service, mine, up=0)
        began = asyncio.get_running_loop().time()
        row = await heard(all_of_them, mine)
        # One look a second, and what a busy machine takes for it.
        assert asyncio.get_running_loop().time() - began < 2 or row["state"] == "down"
        while row["state"] != "down":
            row = await heard(all_of_them, mine)
        _, summary, _ = await service.ask("GET", "/api/v1/sla/summary")
        [same] = [r for r in summary["tenants"] if r["tenant_id"] == mine]
        assert row.keys() == same.keys()
        # Until the narrow one hears of its own, it has heard of no other.
        await push(service, other, up=0)
        while True:
            message = await narrow.receive_json(timeout=PATIENCE)
            names = {r["tenant_id"] for r in message["tenants"]} | set(message["gone"])
            assert names <= {other}
            if any(r["state"] == "down" for r in message["tenants"]):
                break


async def test_tenants_come_and_go(service: Service) -> None:
    async with connect(service, "admin") as socket:
        await socket.receive_json(timeout=PATIENCE)
        name = await service.tenant()
        await heard(socket, name)
        status, body, _ = await service.ask("DELETE", f"/api/v1/tenants/{name}")
        assert status < 300, body
        while name not in (await socket.receive_json(timeout=PATIENCE))["gone"]:
            pass


async def test_it_ends_with_its_token(service: Service) -> None:
    issued = await service.token("passing", ["viewer"], [await service.tenant()])
    async with connect(service, "passing") as socket:
        await socket.receive_json(timeout=PATIENCE)
        await service.runtime.jobs._turn("sockets")
        await socket.send_json({"action": "ping"})
        while (await socket.receive_json(timeout=PATIENCE)) != {"action": "pong"}:
            pass
        await service.runtime.tokens.revoke(issued.token_id, OPERATOR, service.clock.now())
        await service.runtime.jobs._turn("sockets")
        while not socket.closed:
            await socket.receive(timeout=PATIENCE)
        assert socket.close_code == 4401


async def test_without_a_token_there_is_none(service: Service) -> None:
    async with service.session.ws_connect(f"{service.url}/ws/fleet") as socket:
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 4401)


async def test_the_summary_is_packed_for_who_takes_that(service: Service) -> None:
    await service.tenant()
    url = f"{service.url}/api/v1/sla/summary"
    asked = [
        service.session.get(url, headers=service.headers("admin", **{"Accept-Encoding": taken}))
        for taken in ("gzip", "identity")
    ]
    told = []
    for asking in asked:
        async with asking as answer:
            told.append((answer.headers.get("Content-Encoding"), await answer.json()))
    (packed, one), (plain, other) = told
    assert (packed, plain) == ("gzip", None)
    assert [row["tenant_id"] for row in one["tenants"]] == [row["tenant_id"] for row in other["tenants"]]
