"""Live subscriptions: opened again when they break, ended when there is nothing more or never will be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from scripted_service import Service, later, said

from ecpmon.client import ECPError, InvalidRequest, NotFound, Stream, Unauthorized
from tests.waiting import PATIENCE, until


def stream_of(scripted: Service, **more: Any) -> Stream[dict[str, Any]]:
    client = scripted.client()
    return Stream(client.transport, "/ws/monitoring/acme", first_wait=0.001, longest_wait=0.01, **more)


def tells(*messages: Any, code: int = 1001, reason: bytes = b"") -> Any:
    """A socket that says these and is closed."""

    async def play(socket: web.WebSocketResponse) -> None:
        for message in messages:
            await socket.send_json(message)
        await socket.close(code=code, message=reason)

    return play


async def read(stream: Stream[dict[str, Any]], most: int = 100) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE), stream:
        async for message in stream:
            found.append(message)
            if len(found) == most:
                break
    return found


@pytest.mark.parametrize("code", [1001, 1013, 1011])
async def test_a_socket_that_is_closed_is_opened_again(scripted: Service, code: int) -> None:
    scripted.sockets = [tells({"n": 1}, code=code), tells({"n": 2}, code=1000)]
    stream = stream_of(scripted)
    assert await read(stream) == [{"n": 1}, {"n": 2}]
    assert stream.reconnects == 1


async def test_a_service_that_is_away_is_waited_for(scripted: Service) -> None:
    scripted.sockets = [
        said(503, "OVERLOADED"),
        later(429, "TOO_MANY_SOCKETS", 0),
        tells({"n": 1}, code=1000),
    ]
    assert await read(stream_of(scripted)) == [{"n": 1}]


async def test_a_normal_close_is_the_end(scripted: Service) -> None:
    scripted.sockets = [tells({"n": 1}, code=1000)]
    stream = stream_of(scripted)
    assert await read(stream) == [{"n": 1}]
    assert await read(stream) == []


@pytest.mark.parametrize(("code", "kind"), [(4404, NotFound), (4401, Unauthorized)])
async def test_who_will_never_be_let_in_is_told(scripted: Service, code: int, kind: type[ECPError]) -> None:
    scripted.sockets = [tells(code=code, reason=b"there is no tenant 'acme'")]
    with pytest.raises(kind, match="no tenant"):
        await read(stream_of(scripted))
    assert len(scripted.seen) == 1


async def test_a_handshake_that_is_refused_for_good_is_told(scripted: Service) -> None:
    scripted.sockets = [said(404, "NOT_FOUND")]
    with pytest.raises(NotFound):
        await read(stream_of(scripted))


async def test_what_is_wrong_with_a_subscription_is_told(scripted: Service) -> None:
    error = {"error": {"code": "VALIDATION_FAILED", "message": "interval", "details": {}}}
    scripted.sockets = [tells(error)]
    with pytest.raises(InvalidRequest, match="interval"):
        await read(stream_of(scripted))


async def test_every_new_socket_is_told_what_is_wanted(scripted: Service) -> None:
    heard: list[Any] = []

    async def play(socket: web.WebSocketResponse) -> None:
        heard.append(await socket.receive_json())
        await socket.send_json({"n": len(heard)})
        await socket.close(code=1001 if len(heard) == 1 else 1000)

    scripted.sockets = [play]
    assert await read(stream_of(scripted, first={"action": "subscribe"})) == [{"n": 1}, {"n": 2}]
    assert heard == [{"action": "subscribe"}] * 2


async def test_closing_ends_the_wait_for_a_message(scripted: Service) -> None:
    async def silent(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    scripted.sockets = [silent]
    stream = stream_of(scripted)
    reading = asyncio.create_task(read(stream))

    async def connected() -> None:
        while not stream.connected:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(connected(), PATIENCE)
    await stream.close()
    assert await asyncio.wait_for(reading, PATIENCE) == []


async def test_closing_the_client_ends_its_streams_at_once(scripted: Service) -> None:
    client = scripted.client()
    scripted.sockets = [later(429, "TOO_MANY_SOCKETS", 3600)]
    reading = asyncio.create_task(read(client.monitoring("acme")))

    async def refused() -> bool:
        return bool(scripted.seen)

    await until(refused, "it waits to try again")
    await client.close()
    assert await asyncio.wait_for(reading, PATIENCE) == []
