"""What a client sends, what it makes of answers, and what it sends again."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta, timezone

import pytest
from aiohttp import web
from scripted_service import HANG_UP, QUICK, Service, later, pushed, said

from ecpmon.client import (
    NEVER,
    AsyncECPClient,
    Conflict,
    ECPError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Retries,
    ServerFault,
    Unavailable,
    Unreachable,
)
from ecpmon.client.calls import instant, segment
from ecpmon.client.errors import error_of
from ecpmon.client.requests import validate_manifest
from ecpmon.client.retries import retry_after_of
from ecpmon.client.transport import root_of

TENANT = {"tenant_id": "acme", "name": "Acme", "service_requirements": {"chatbot": 1}}
CREATED = web.json_response({"tenant_id": "acme"}, status=201)
FOUND = web.json_response({"tenant_id": "acme"})


async def test_every_request_says_the_mode_the_token_the_language_and_its_own_id(scripted: Service) -> None:
    scripted.answers = [FOUND]
    client = scripted.client(is_demo=True, token=lambda: "secret", language="ko")
    await client.get_tenant("acme")
    seen = scripted.seen[0]
    assert (seen.method, seen.path) == ("GET", "/api/v1/tenants/acme")
    headers = seen.headers
    assert headers["x-demo-mode"] == "true"
    assert headers["authorization"] == "Bearer secret"
    assert headers["accept-language"] == "ko"
    assert headers["x-request-id"].startswith("req-")


async def test_without_a_choice_of_mode_the_service_chooses(scripted: Service) -> None:
    scripted.answers = [FOUND]
    await scripted.client(is_demo=None).get_tenant("acme")
    assert "X-Demo-Mode" not in scripted.seen[0].headers


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "BAD_REQUEST", InvalidRequest),
        (404, "TENANT_NOT_FOUND", NotFound),
        (409, "CONFLICT", Conflict),
        (422, "VALIDATION_FAILED", InvalidRequest),
        (429, "RATE_LIMITED", RateLimited),
        (500, "INTERNAL_ERROR", ServerFault),
        (503, "DATABASE_ERROR", Unavailable),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind_with_all_that_was_said(
    scripted: Service, status: int, code: str, kind: type[ECPError]
) -> None:
    scripted.answers = [said(status, code, "because", fields=[{"field": "name", "message": "is missing"}])]
    with pytest.raises(kind) as error:
        await scripted.client(retries=NEVER).get_tenant("acme")
    told = error.value
    assert (told.code, told.message, told.request_id) == (code, "because", "req-of-the-service")
    assert told.details["fields"][0]["field"] == "name"
    assert getattr(told, "status", None) == status


async def test_a_page_of_a_proxy_is_an_error_too(scripted: Service) -> None:
    scripted.answers = [web.Response(text="<h1>Bad gateway</h1>", status=502)]
    with pytest.raises(Unavailable) as error:
        await scripted.client(retries=NEVER).get_tenant("acme")
    assert error.value.code == "HTTP_502"
    assert error.value.request_id == scripted.seen[0].headers["x-request-id"]


async def test_what_may_be_repeated_is_repeated_under_one_id(scripted: Service) -> None:
    scripted.answers = [said(503, "DATABASE_ERROR"), HANG_UP, FOUND]
    assert await scripted.client().get_tenant("acme") == {"tenant_id": "acme"}
    assert len({seen.headers["x-request-id"] for seen in scripted.seen}) == 1
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("failure", [said(503, "DATABASE_ERROR"), HANG_UP])
async def test_what_may_have_been_done_is_not_done_twice(scripted: Service, failure: object) -> None:
    scripted.answers = [failure, CREATED]
    with pytest.raises(ECPError):
        await scripted.client().create_tenant(TENANT)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("code", ["RATE_LIMITED", "OVERLOADED"])
async def test_what_was_refused_before_anything_was_done_is_repeated_whatever_it_is(
    scripted: Service, code: str
) -> None:
    scripted.answers = [later(429 if code == "RATE_LIMITED" else 503, code, 0), CREATED]
    assert (await scripted.client().create_tenant(TENANT))["tenant_id"] == "acme"


async def test_what_never_left_is_repeated_whatever_it_is() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with AsyncECPClient(f"http://127.0.0.1:{port}", retries=QUICK) as client:
        with pytest.raises(Unreachable) as error:
            await client.create_tenant(TENANT)
    assert (error.value.code, error.value.sent) == ("UNREACHABLE", False)


async def test_it_waits_as_long_as_it_was_asked_to(
    scripted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    scripted.answers = [later(429, "RATE_LIMITED", 7), FOUND]
    monkeypatch.setattr(asyncio, "sleep", at_once)
    await scripted.client().get_tenant("acme")
    assert [wait for wait in waits if 7 <= wait <= 7.7] == waits[:1]


async def test_a_wait_that_is_longer_than_its_patience_is_not_begun(scripted: Service) -> None:
    scripted.answers = [later(503, "DATABASE_NOT_WRITABLE", 3600), FOUND]
    with pytest.raises(Unavailable) as error:
        await scripted.client(retries=Retries(seconds=60)).get_tenant("acme")
    assert error.value.retry_after == 3600
    assert len(scripted.seen) == 1


async def test_attempts_end(scripted: Service) -> None:
    scripted.answers = [said(503, "DATABASE_ERROR")]
    with pytest.raises(Unavailable):
        await scripted.client().get_tenant("acme")
    assert len(scripted.seen) == QUICK.attempts


async def test_what_is_gone_after_a_try_of_unknown_fate_was_taken_away_by_it(scripted: Service) -> None:
    scripted.answers = [HANG_UP, said(404, "NOT_FOUND")]
    await scripted.client().delete_alert("acme", "r1")
    scripted.answers = [said(404, "NOT_FOUND")]
    with pytest.raises(NotFound):
        await scripted.client().delete_alert("acme", "r1")


async def test_one_attempt_takes_no_longer_than_its_timeout(scripted: Service) -> None:
    async def silent(_: object) -> web.Response:
        await asyncio.sleep(30)
        return FOUND

    scripted.answers = [silent]
    with pytest.raises(Unreachable) as error:
        await scripted.client(timeout=0.1, retries=NEVER).get_tenant("acme")
    assert error.value.code == "TIMEOUT"


async def test_a_push_carries_the_time_at_which_it_was_made_so_that_it_may_be_repeated(
    scripted: Service,
) -> None:
    scripted.answers = [HANG_UP, pushed()]
    before = datetime.now(UTC)
    await scripted.client().send_metrics("acme", {"cpu": 65.5})
    first, second = (seen.body for seen in scripted.seen)
    assert first == second
    assert before <= datetime.fromisoformat(first["timestamp"]) <= datetime.now(UTC)
    assert first["metrics"] == {"cpu": 65.5}


async def test_a_change_that_names_a_version_is_made_once(scripted: Service) -> None:
    scripted.answers = [web.json_response({"tenant_id": "acme"}, headers={"ETag": '"7"'}), HANG_UP, FOUND]
    client = scripted.client()
    tenant = await client.get_tenant("acme")
    with pytest.raises(Unreachable):
        await client.update_tenant("acme", {"name": "New"}, etag=tenant["etag"])
    assert scripted.seen[1].headers["If-Match"] == '"7"'


async def test_any_other_request_can_be_made(scripted: Service) -> None:
    scripted.answers = [web.json_response({"rows": []}), web.Response(text="a,b"), web.Response(status=204)]
    client = scripted.client()
    assert await client.request("GET", "/api/v1/audit", query={"limit": "5"}) == {"rows": []}
    assert await client.request("get", "/metrics") == "a,b"
    assert await client.request("DELETE", "/api/v1/tokens/7") is None
    assert scripted.seen[0].path == "/api/v1/audit?limit=5"


async def test_a_closed_client_says_so(scripted: Service) -> None:
    client = scripted.client()
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get_tenants()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        segment(name)


def test_a_name_with_a_slash_stays_one_part_of_the_path() -> None:
    assert segment("a/b ü") == "a%2Fb%20%C3%BC"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://localhost:8001/api/v1", "http://localhost:8001"),
        ("https://ecp.example.com/", "https://ecp.example.com"),
        ("https://example.com/ecp/api/v1/", "https://example.com/ecp"),
    ],
)
def test_the_base_is_taken_with_and_without_the_api(given: str, root: str) -> None:
    assert root_of(given) == root


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no http"):
        AsyncECPClient("localhost:8001")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("Mon, 02 Mar 2026 09:01:00 GMT", 60.0), ("Mon, 02 Mar 2026 08:00:00 GMT", 0.0),
     ("soon", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_of(header, datetime(2026, 3, 2, 9, tzinfo=UTC)) == seconds


def test_times_are_told_in_utc() -> None:
    seoul = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=9)))
    assert instant(seoul) == "2026-03-02T00:00:00Z"
    assert instant(datetime(2026, 3, 2, 9)) == "2026-03-02T09:00:00Z"  # noqa: DTZ001 - what people write
    assert instant("2026-03-02T09:00:00+09:00") == "2026-03-02T09:00:00+09:00"


def test_the_tenant_of_a_manifest_is_the_one_its_labels_name() -> None:
    manifest = "metadata:\n  labels: {ecp.ai/tenant: acme}\n---\nmetadata:\n  labels: {ecp.ai/tenant: %s}\n"
    assert validate_manifest(manifest % "acme").body["tenant_id"] == "acme"
    for unclear in (manifest % "other", "kind: Namespace", ": : not yaml"):
        with pytest.raises(ValueError, match="name the tenant_id"):
            validate_manifest(unclear)


def test_an_error_shows_its_code_and_the_id_to_ask_for() -> None:
    error = error_of(500, {"error": {"code": "INTERNAL_ERROR", "message": "a fault"}}, request_id="req-1")
    assert str(error) == "INTERNAL_ERROR: a fault [req-1]"
