"""A rule that changes all the time, as people see it: lists, sockets, webhooks, a replay. On a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ecpmon.wire import rfc3339
from tests.integration.api.conftest import Service
from tests.integration.api.test_sockets import connect
from tests.waiting import PATIENCE, until


class Inbox:
    """Takes webhooks."""

    def __init__(self) -> None:
        self.url = ""
        self.alerts: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.alerts += (await request.json())["alerts"]
        return web.Response()

    @property
    def told(self) -> list[tuple[str, str | None, str | None]]:
        notes = [(a["status"], a["annotations"]) for a in self.alerts]
        return [(status, n.get("flapping"), n.get("suppressed")) for status, n in notes]


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {"webhook_allow_loopback": True}


@pytest.fixture
async def inbox(free_port: Callable[[], int]) -> AsyncIterator[Inbox]:
    made = Inbox()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"http://127.0.0.1:{port}/hook"
    yield made
    await runner.cleanup()


async def told(service: Service, name: str, cpu: float, seconds: float = 5) -> None:
    service.clock.advance(seconds)
    body = {"timestamp": rfc3339(service.clock.now()), "metrics": {"cpu_usage": cpu}}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer
    await service.runtime.work.trigger.settled()


async def rule_of(service: Service, name: str, which: str = "") -> dict[str, Any]:
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts{which}")
    [found] = [r for r in body["alerts"] if r["alert_name"] == "hot"]
    return dict(found)


async def next_alert(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), PATIENCE)
        if str(message.get("message", "")).startswith("hot "):
            return message


async def test_two_minutes_of_changes_are_five_messages_and_one_when_it_has_calmed(
    service: Service, inbox: Inbox
) -> None:
    name = await service.tenant()
    rule = {
        "alert_name": "hot",
        "condition": "cpu_usage > 80",
        "actions": [{"type": "webhook", "url": inbox.url}],
    }
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule))[0] == 201
    begun = service.clock.now()
    async with connect(service, f"/ws/alerts/{name}") as socket:
        for _ in range(12):
            await told(service, name, 95)
            await told(service, name, 10)
        heard = [await next_alert(socket) for _ in range(24)]
        assert [m["status"] for m in heard] == ["firing", "resolved"] * 12
        assert [m.get("flapping") for m in heard] == [None] * 4 + [True] * 20
        await until(lambda: holds(len(inbox.alerts) == 5), "five messages")
        flaps = await rule_of(service, name)
        assert (flaps["state"], flaps["flapping"], flaps["suppressed"]) == ("inactive", True, 19)
        assert flaps["flapping_since"] == heard[4]["timestamp"]
        assert (await rule_of(service, name, "/active"))["alert_id"] == heard[-1]["alert_id"]
        # Who comes now hears that it flaps.
        async with connect(service, f"/ws/alerts/{name}") as late:
            message = await next_alert(late)
            assert (message["status"], message["flapping"]) == ("resolved", True)

        service.clock.advance(300)
        await service.runtime.work.evaluate_alerts()
        calmed = await next_alert(socket)
        assert (calmed["status"], calmed["flapping"], calmed["suppressed"]) == ("resolved", False, 19)
    await until(lambda: holds(len(inbox.alerts) == 6), "one more")
    assert inbox.told == [
        ("firing", None, None), ("resolved", None, None), ("firing", None, None), ("resolved", None, None),
        ("firing", "true", None), ("resolved", None, "19"),
    ]  # fmt: skip
    calm = await rule_of(service, name)
    assert (calm["state"], calm["flapping"], calm["alert_id"]) == ("inactive", False, None)

    # A replay of the same stretch says the same.
    body = {"condition": "cpu_usage > 80", "from": rfc3339(begun), "step": "5s"}
    status, tried, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts/test", body)
    assert status == 200, tried
    assert (tried["messages"], tried["suppressed"], len(tried["firings"])) == (6, 19, 3)
    assert tried["firings"][-1]["fired_at"] == heard[4]["timestamp"]

    # And a first firing after a calm while is told at once.
    await told(service, name, 95, 600)
    await until(lambda: holds(len(inbox.alerts) == 7), "at once")
    assert inbox.told[-1] == ("firing", None, None)


async def holds(condition: bool) -> bool:
    return condition
