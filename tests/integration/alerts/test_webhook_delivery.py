"""Webhooks against real HTTP servers on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ecpmon.alerts.notifiers.resolving import Lookup, Lookups
from ecpmon.alerts.notifiers.webhook import UNRESOLVED, WebhookNotifier
from ecpmon.alerts.signing import secret_text
from ecpmon.alerts.targets import AddressGuard
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    EmailAction,
    Notification,
    WebhookAction,
)
from tests.signatures import signed_by
from tests.waiting import PATIENCE

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEYS = [b"s" * 32, b"o" * 32]
OPEN = AddressGuard(allow_loopback=True)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A server that keeps what it got and answers as told."""

    url: str = ""
    answer: Answer | None = None
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.answer(request) if self.answer else web.Response(text="ok")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/hook"))
        yield made


def notification(url: str, **action: object) -> Notification:
    return Notification(
        id=1,
        idempotency_key="ab" * 16,
        tenant_key=7,
        tenant_id="my-ai-service",
        rule_id="rule-1",
        alert_name="CPU 사용률",
        action=replace(WebhookAction(url), **action),  # type: ignore[arg-type]
        receiver="its receiver",
        payload={"version": "4", "status": "firing", "alerts": [{"labels": {"alertname": "CPU 사용률"}}]},
        attempt=0,
        created_at=NOW,
    )


def notifier(guard: AddressGuard = OPEN, timeout: float = 10) -> WebhookNotifier:
    return WebhookNotifier(keys_of, guard, timedelta(seconds=timeout))


async def keys_of(tenant_key: int, now: datetime) -> list[bytes]:
    return KEYS if tenant_key == 7 else []


def answering(status: int, text: str = "", headers: dict[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return answer


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_delivery_is_signed_complete_and_said_once(receiver: Receiver, method: str) -> None:
    sent = notification(receiver.url + "?a=1&b=%2F", method=method, headers=(("Authorization", "Bearer x"),))
    result = await notifier().deliver(sent, NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED)
    assert (result.status_code, result.answer) == (200, "ok")
    assert len(receiver.requests) == 1
    request, body = receiver.requests[0], receiver.bodies[0]
    assert (request.method, request.path_qs) == (method, "/hook?a=1&b=/")
    assert json.loads(body) == sent.payload
    assert request.content_type == "application/json"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["X-Ecp-Idempotency-Key"] == request.headers["Idempotency-Key"] == "ab" * 16
    assert all(signed_by(secret_text(key), request.headers, body) for key in KEYS)
    assert request.headers["webhook-id"] == "ab" * 16
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))


async def test_tries_of_one_notification_have_the_same_body_and_key(receiver: Receiver) -> None:
    first = notification(receiver.url)
    reordered = replace(first, attempt=3, payload=dict(reversed(first.payload.items())))
    await notifier().deliver(first, NOW)
    await notifier().deliver(reordered, NOW + timedelta(hours=1))
    assert receiver.bodies[0] == receiver.bodies[1]
    keys = {
        request.headers[name] for request in receiver.requests for name in ("Idempotency-Key", "webhook-id")
    }
    assert len(keys) == 1
    assert signed_by(secret_text(KEYS[0]), receiver.requests[1].headers, receiver.bodies[1])


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (201, DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED),
        (204, DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED),
        (400, DeliveryOutcome.PARK, DeliveryReason.REJECTED),
        (401, DeliveryOutcome.PARK, DeliveryReason.REJECTED),
        (404, DeliveryOutcome.PARK, DeliveryReason.REJECTED),
        (410, DeliveryOutcome.PARK, DeliveryReason.REJECTED),
        (429, DeliveryOutcome.RETRY, DeliveryReason.THROTTLED),
        (500, DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR),
        (502, DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR),
        (503, DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR),
    ],
)
async def test_answers(
    receiver: Receiver, status: int, outcome: DeliveryOutcome, reason: DeliveryReason
) -> None:
    receiver.answer = answering(status)
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert (result.outcome, result.reason, result.status_code) == (outcome, reason, status)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta(0)),
        ("99999999999999999999", timedelta(hours=1)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), timedelta(0)),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), timedelta(hours=1)),
        ("-5", None),
        ("soon", None),
        ("Sun, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
async def test_retry_after(receiver: Receiver, header: str, expected: timedelta | None) -> None:
    receiver.answer = answering(429, headers={"Retry-After": header})
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert result.retry_after == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = answering(status, headers={"Location": receiver.url + "/elsewhere"})
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.REDIRECTED)
    assert len(receiver.requests) == 1


async def test_an_endless_answer_is_read_in_part(receiver: Receiver) -> None:
    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\x1b[31mx" * 10_000)
        finally:
            gone.set()

    receiver.answer = endless
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert result.outcome is DeliveryOutcome.DELIVERED
    assert len(result.answer) == 500
    assert "\x1b" not in result.answer
    async with asyncio.timeout(PATIENCE):
        await gone.wait()


async def test_a_compressed_answer_is_not_unpacked(receiver: Receiver) -> None:
    async def bomb(_: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b-not-gzip", headers={"Content-Encoding": "gzip"})

    receiver.answer = bomb
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert result.outcome is DeliveryOutcome.DELIVERED


async def test_no_answer_in_time(receiver: Receiver) -> None:
    release = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    receiver.answer = wait
    result = await notifier(timeout=0.2).deliver(notification(receiver.url), NOW)
    release.set()
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.TIMEOUT)
    assert result.error == "no answer within 0.2 s"


async def test_a_status_counts_though_the_body_never_ends(receiver: Receiver) -> None:
    release = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"thanks")
        await release.wait()
        return response

    receiver.answer = drip
    result = await notifier(timeout=4).deliver(notification(receiver.url), NOW)
    release.set()
    assert (result.outcome, result.answer) == (DeliveryOutcome.DELIVERED, "thanks")


async def test_nobody_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    result = await notifier().deliver(notification(f"http://127.0.0.1:{port}/"), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.NETWORK)
    assert (result.error, "127.0.0.1" in result.detail) == ("no connection to the target", True)


async def raw_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answer)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 99_999]
)
async def test_something_else_answers(answer: bytes) -> None:
    server = await asyncio.start_server(lambda r, w: raw_answer(r, w, answer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await notifier().deliver(notification(f"http://127.0.0.1:{port}/"), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.NETWORK)


async def test_tls_trouble_is_a_retry(receiver: Receiver) -> None:
    result = await notifier().deliver(notification(receiver.url.replace("http:", "https:")), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.NETWORK)


async def test_loopback_is_refused_unless_allowed(receiver: Receiver) -> None:
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        result = await notifier(AddressGuard()).deliver(notification(url), NOW)
        assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.REFUSED_TARGET)
    assert receiver.requests == []


def answered(*addresses: str) -> Lookup:
    """A resolver that gives these addresses for every name, and says so when there is none."""

    def lookup(host: str, port: int, family: int) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (a, port, 0, 0))
            if ":" in a
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    return lookup


async def tried(lookup: Lookup, url: str, guard: AddressGuard) -> DeliveryResult:
    made = WebhookNotifier(keys_of, guard, lookups=Lookups(lookup))
    result = await made.deliver(notification(url), NOW)
    made.close()
    return result


INSIDE = [
    ("127.0.0.1",), ("169.254.169.254",), ("10.0.0.1", "192.168.7.7"), ("::ffff:7f00:1",), ("::1",), ("fe80::1",),
    ("fd00:ec2::254",), ("0.0.0.0",), ("224.0.0.1",),
]  # fmt: skip


@pytest.mark.parametrize("addresses", INSIDE)
async def test_nobody_learns_whether_a_name_leads_inside_or_nowhere(
    receiver: Receiver, addresses: tuple[str, ...]
) -> None:
    """A name is fine when its rule is saved; where it leads to when it matters is not the tenant's to know."""
    url = f"http://rebound.example:{port_of(receiver.url)}/hook"
    inside = await tried(answered(*addresses), url, AddressGuard())
    nowhere = await tried(answered(), url, AddressGuard())
    assert replace(inside, detail="") == replace(nowhere, detail="")
    assert (inside.outcome, inside.reason) == (DeliveryOutcome.RETRY, DeliveryReason.UNRESOLVED)
    assert addresses[0] in inside.detail
    assert receiver.requests == []


async def test_of_a_name_that_leads_in_and_out_only_the_way_out_is_tried(receiver: Receiver) -> None:
    url = f"http://mixed.example:{port_of(receiver.url)}/hook"
    result = await tried(answered("10.0.0.1", "127.0.0.1"), url, OPEN)
    assert result.outcome is DeliveryOutcome.DELIVERED
    assert len(receiver.requests) == 1


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def test_a_hanging_look_up_holds_two_threads_of_its_tenant_and_nobody_else(receiver: Receiver) -> None:
    hanging, asked = threading.Event(), Counter[str]()

    def lookup(host: str, port: int, family: int) -> list[Any]:
        asked[host] += 1
        if host == "hanging.example":
            hanging.wait()
        return answered("127.0.0.1")(host, port, family)

    made = WebhookNotifier(keys_of_all, OPEN, timedelta(seconds=0.3), Lookups(lookup, threads=3))
    slow = replace(notification("http://hanging.example/"), tenant_key=1)
    fast = notification(f"http://fast.example:{port_of(receiver.url)}/hook")
    # Twice, so that threads are held that nobody waits for any more.
    for _ in range(2):
        results = await asyncio.gather(*(made.deliver(slow, NOW) for _ in range(10)))
        assert {r.reason for r in results} == {DeliveryReason.TIMEOUT}
    assert (await made.deliver(fast, NOW)).outcome is DeliveryOutcome.DELIVERED
    assert asked == {"hanging.example": 2, "fast.example": 1}
    hanging.set()
    made.close()


async def keys_of_all(tenant_key: int, now: datetime) -> list[bytes]:
    return KEYS


async def test_what_is_shown_never_holds_an_address(receiver: Receiver) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        closed = listener.getsockname()[1]
    tls = f"https://name.example:{port_of(receiver.url)}/"
    for lookup, url in (
        (answered(), "http://name.example/"),
        (answered("10.1.2.3"), "http://name.example/"),
        (answered("127.0.0.1"), f"http://name.example:{closed}/"),
        (answered("127.0.0.1"), tls),
    ):
        result = await tried(lookup, url, OPEN)
        assert result.error in {UNRESOLVED, "no connection to the target", "no TLS connection to the target"}
        assert result.detail != ""


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    result = await notifier().deliver(notification(receiver.url), NOW)
    assert result.outcome is DeliveryOutcome.DELIVERED


@pytest.mark.parametrize(
    "action",
    [
        WebhookAction("http://" + "a" * 64 + ".example/"),
        WebhookAction("http://2130706433/"),
        WebhookAction("ftp://127.0.0.1/"),
        WebhookAction("http://127.0.0.1/", headers=(("X-A", "1\r\nX-B: 2"),)),
        WebhookAction("http://127.0.0.1/", headers=(("Host", "evil.example"),)),
    ],
)
async def test_rules_stored_before_a_check_existed_are_parked(action: WebhookAction) -> None:
    result = await notifier().deliver(replace(notification("x"), action=action), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.REFUSED_TARGET)


async def test_another_kind_of_action_is_parked() -> None:
    sent = replace(notification("x"), action=EmailAction(("a@example.com",)))
    result = await notifier().deliver(sent, NOW)
    assert result.reason is DeliveryReason.NO_NOTIFIER


async def test_cookies_of_a_receiver_are_not_kept(receiver: Receiver) -> None:
    receiver.answer = answering(200, headers={"Set-Cookie": "a=b; Path=/"})
    shared = notifier()
    await shared.deliver(notification(receiver.url), NOW)
    await shared.deliver(notification(receiver.url), NOW)
    assert "Cookie" not in receiver.requests[1].headers


async def test_a_name_is_looked_up_by_the_system(receiver: Receiver) -> None:
    result = await notifier().deliver(notification(receiver.url.replace("127.0.0.1", "localhost")), NOW)
    assert result.outcome is DeliveryOutcome.DELIVERED
