"""Bad messages: each gets an error, and the socket stays as it was."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from socket_world import ALERTS, ALL, MONITORING, World, close_code, still_open, told

from tests.waiting import PATIENCE

SUBSCRIBE = '{"action": "subscribe", %s}'
BAD_MESSAGES = [
    ("", "BAD_REQUEST"),
    ("not json", "BAD_REQUEST"),
    ("[" * 60_000, "BAD_REQUEST"),
    ("9" * 5000, "BAD_REQUEST"),
    ("[]", "BAD_REQUEST"),
    ("null", "BAD_REQUEST"),
    ("{}", "BAD_REQUEST"),
    ('{"action": "dance"}', "BAD_REQUEST"),
    ('{"action": ["ping"]}', "BAD_REQUEST"),
    ('{"action": "PING"}', "BAD_REQUEST"),
    (b"\x00\xff", "BAD_REQUEST"),
    (b'{"action": "ping"}', "BAD_REQUEST"),
    (SUBSCRIBE % '"interval": 99', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 3600001', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": "5000"', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 500.5', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": true', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": NaN', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 1e999', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": []', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": "cpu"', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": [5]', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": [""]', "VALIDATION_FAILED"),
    (SUBSCRIBE % ('"metrics": ["%s"]' % ("x" * 101)), "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": ["\\ud800"]', "VALIDATION_FAILED"),
]


@pytest.mark.parametrize(("bad", "code"), BAD_MESSAGES, ids=range(len(BAD_MESSAGES)))
async def test_a_bad_message_gets_an_error_and_the_socket_stays_open(
    world: World, bad: str | bytes, code: str
) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await (socket.send_bytes(bad) if isinstance(bad, bytes) else socket.send_str(bad))
        error = (await told(socket))["error"]
        assert error["code"] == code
        assert error.keys() == {"code", "message", "details", "timestamp", "request_id"}
        await still_open(socket)


async def test_a_bad_subscription_leaves_the_old_one_as_it_was(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        await socket.send_json({"action": "subscribe", "metrics": ["up"], "interval": 1})
        async with asyncio.timeout(PATIENCE):
            while "error" not in await told(socket):
                pass
        assert (await told(socket))["metrics"] == {"cpu": 40.0}


@pytest.mark.parametrize("path", ALL)
async def test_a_message_past_the_bound_ends_the_socket(world: World, path: str) -> None:
    """aiohttp has not read it, so there is nothing to answer: 1009 says what was wrong."""
    async with world.connect(path) as socket:
        if path != ALERTS:
            await told(socket)
        await socket.send_str("x" * (64 * 1024 + 1))
        assert await close_code(socket) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await world.until(lambda: world.hub.sockets == 0)


@pytest.mark.parametrize("bad", ["dance", '{"action": "dance"}', "[]"])
async def test_the_alerts_socket_answers_bad_messages_too(world: World, bad: str) -> None:
    async with world.connect(ALERTS) as socket:
        await socket.send_str(bad)
        assert (await told(socket))["error"]["code"] == "BAD_REQUEST"
        await still_open(socket)
