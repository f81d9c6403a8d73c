"""The watching of sockets notices what is not declared: a message of ours, one of the client's, a reason to close."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import WSCloseCode
from socket_world import ALERTS, MONITORING, World, told

from ecpmon.api import live
from ecpmon.openapi.declaring import Contract
from tests import declared, declared_sockets
from tests.waiting import PATIENCE


@pytest.fixture
def found() -> Iterator[list[str]]:
    """What was noticed, which is no failure here."""
    yield declared.FOUND
    declared.FOUND.clear()


async def test_a_field_that_is_not_declared(
    world: World, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = live.metrics_message
    monkeypatch.setattr(live, "metrics_message", lambda *given: {**plain(*given), "more": 1})
    async with world.connect(MONITORING) as socket:
        assert (await told(socket))["more"] == 1
    assert found[0].startswith("/ws/monitoring/{tenant_id}: b'{")


async def test_a_message_of_the_client_that_is_not_declared(
    world: World, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/ws/alerts/{tenant_id}"
    monkeypatch.setitem(
        declared_sockets.SOCKETS, path, Contract({}, says=declared_sockets.SOCKETS[path].says)
    )
    async with world.connect(ALERTS) as socket:
        await socket.send_json({"action": "ping"})
        await told(socket)
    assert found == [f'{path}: \'{{"action": "ping"}}\' was taken, and is not declared']


async def test_a_code_that_is_not_declared(world: World, found: list[str]) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        for outbox, _ in world.hub.sessions():
            outbox.close(WSCloseCode.POLICY_VIOLATION, "because")
        await socket.receive(timeout=PATIENCE)
    assert found == ["/ws/monitoring/{tenant_id}: it is closed with 1008, which is not declared"]
