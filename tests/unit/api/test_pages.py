"""Pages in browsers: only those of configured origins read answers, and only those and our own open sockets."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError
from socket_world import MONITORING, World, api_of

from ecpmon.api.application import route_table
from ecpmon.pathwords import words_beside_names
from ecpmon.settings import Settings
from tests.waiting import PATIENCE

PAGE, STRANGER = "http://localhost:3000", "http://evil.example"
SUM = "/api/v1/tenants/calculate-resources"
BODY = {"service_requirements": {"chatbot": 10}}
VIEWER = {"Authorization": "Bearer viewer"}


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    world.client = await aiohttp_client(
        api_of(
            world, cors_origins=f"{PAGE}, https://ops.example.com:443", external_url="https://mon.example.com"
        )
    )
    return world.client


def cors(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("Access-Control-")}


async def test_a_configured_page_reads_answers_and_errors(client: Any) -> None:
    for path, body, headers, status in (
        (SUM, BODY, VIEWER, 200), (SUM, {}, VIEWER, 422), (SUM, BODY, {}, 401), ("/nothing", {}, VIEWER, 404),
    ):  # fmt: skip
        for origin in (PAGE, "https://ops.example.com"):
            answer = await client.post(path, json=body, headers={**headers, "Origin": origin})
            assert answer.status == status
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert answer.headers["Vary"] == "Origin"
            exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
            assert {"X-Request-ID", "Retry-After", "ETag", "RateLimit", "RateLimit-Policy"} <= set(exposed)
            # Nothing that the browser keeps is sent along.
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        "null",
        "*",
        "",
        f"{PAGE}.evil.example",
        f"{PAGE}/",
        "HTTP://LOCALHOST:3000",
        "http://localhost",
    ],
)
async def test_any_other_page_gets_no_header_but_a_cache_knows_that_others_do(
    client: Any, origin: str
) -> None:
    answer = await client.post(SUM, json=BODY, headers={**VIEWER, "Origin": origin})
    assert (answer.status, cors(answer), answer.headers["Vary"]) == (200, {}, "Origin")
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await client.options(SUM, headers=asked)
    assert (answer.status, cors(answer)) == (405, {})


async def test_a_browser_may_ask_before_it_asks(client: Any) -> None:
    asked = {
        "Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization",
    }  # fmt: skip
    answer = await client.options("/api/v1/tenants/acme", headers=asked)
    assert (answer.status, await answer.read()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, PUT"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-demo-mode", "if-match", "x-request-id"} <= set(allowed)
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Vary"].split(", ") == [
        "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers",
    ]  # fmt: skip
    assert (await client.options("/nothing", headers=asked)).status == 404
    plain = await client.options(SUM, headers={"Origin": PAGE})  # no question of a browser
    assert plain.status == 405


async def test_a_browser_may_ask_before_it_asks_for_a_word_beside_a_name(client: Any) -> None:
    for path in sorted(words_beside_names({route.path for route in route_table()})):
        own = {route.method for route in route_table() if route.path == path}
        asked = {"Origin": PAGE, "Access-Control-Request-Method": min(own)}
        answer = await client.options(path.replace("{tenant_id}", "acme"), headers=asked)
        assert answer.status == 204, path
        allowed = sorted(own | ({"HEAD"} if "GET" in own else set()))
        assert answer.headers["Access-Control-Allow-Methods"] == ", ".join(allowed)


async def test_without_configured_origins_nothing_is_said(world: World) -> None:
    answer = await world.client.post(SUM, json=BODY, headers={**VIEWER, "Origin": PAGE})
    assert (answer.status, cors(answer), "Vary" in answer.headers) == (200, {}, False)


async def opens(client: Any, **headers: str) -> bool:
    async with client.ws_connect(MONITORING, headers={**VIEWER, **headers}) as socket:
        message = await socket.receive(timeout=PATIENCE)
        if message.type is aiohttp.WSMsgType.CLOSE:
            assert (message.data, "origin" in message.extra) == (4403, True)
            return False
        return True


async def test_a_socket_opens_for_configured_pages_our_own_and_who_is_no_browser(client: Any) -> None:
    host = f"{client.host}:{client.port}"
    for origin in (
        PAGE,
        "https://ops.example.com",
        f"http://{host}",
        f"https://{host}",
        "https://mon.example.com",
    ):
        assert await opens(client, Origin=origin), origin
    assert await opens(client)
    assert await opens(client, Host="mon.internal", Origin="https://mon.internal")


@pytest.mark.parametrize(
    "origin",
    [STRANGER, "null", "", "http://127.0.0.1:1", "https://mon.example.com.evil.example", "http://[", "x"],
)
async def test_a_socket_of_any_other_page_is_closed_before_anything_is_asked(
    client: Any, origin: str
) -> None:
    assert not await opens(client, Origin=origin)
    assert not await opens(client, Origin=origin, Authorization="Bearer guess")


async def test_without_configured_origins_our_own_pages_open_sockets_all_the_same(world: World) -> None:
    own = f"http://{world.client.host}:{world.client.port}"
    assert [await opens(world.client, Origin=origin) for origin in (own, PAGE)] == [True, False]


async def test_where_no_token_is_asked_for_a_strangers_page_changes_nothing(
    world: World, aiohttp_client: Any
) -> None:
    """What it sends as text its browser sends without asking."""
    client = await aiohttp_client(api_of(world, auth="none", cors_origins=PAGE))
    for path in (SUM, "/api/v1/tenants/acme/monitoring"):
        for origin, known in ((STRANGER, False), ("null", False), (PAGE, True), (None, True)):
            headers = {"Content-Type": "text/plain", **({"Origin": origin} if origin else {})}
            answer = await client.post(path, data=b"{}", headers=headers)
            assert (answer.status == 403) is not known, (path, origin)
    answer = await client.get("/health", headers={"Origin": STRANGER})
    assert answer.status != 403


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""), ("http://localhost:3000", PAGE), (" HTTPS://Ops.Example.com:443 ,http://a", "https://ops.example.com,http://a"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)  # fmt: skip
def test_origins_are_kept_as_browsers_write_them(given: str, kept: str) -> None:
    assert Settings(cors_origins=given).cors_origins == kept


@pytest.mark.parametrize(
    "given",
    ["*", "null", "localhost:3000", "http://*.example.com", "http://a/b", "http://a/", "ftp://a", "http://u@a",
     "http://a:x"],
)  # fmt: skip
def test_what_is_no_origin_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=given)
