"""A reply is always the one error shape, whatever was sent; what was stored once stays readable."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
import structlog

from ecpmon.api.application import route_table
from ecpmon.api.routing import Route
from ecpmon.openapi.facts import PARAMETER
from tests.integration.api.conftest import Service
from tests.raw_http import Answer, request_bytes, talk

pytestmark = pytest.mark.demo

HALF = "\ud800"


def shaped(answer: Answer | None) -> dict[str, Any]:
    assert answer is not None
    assert answer.headers["content-type"].startswith("application/json"), answer
    document = json.loads(answer.body)
    error = document["error"]
    assert document.keys() == {"error"}
    assert error.keys() == {"code", "message", "details", "timestamp", "request_id"}
    assert answer.headers["x-request-id"] == error["request_id"]
    return {"status": answer.status, **error}


async def raw(
    service: Service, method: str, target: bytes, *headers: tuple[bytes, bytes], body: bytes = b""
) -> Any:
    token = (b"Authorization", b"Bearer " + service.tokens["admin"].encode())
    named = {name.lower() for name, _ in headers}
    sent = [*headers] if b"authorization" in named else [token, *headers]
    return await talk(service.url, request_bytes(method.encode(), target, sent, body))


HEADERS = (
    b"X-Demo-Mode", b"Authorization", b"Accept-Language", b"X-Request-ID", b"If-Match", b"Cookie", b"Content-Type",
    b"Accept", b"X-Debug", b"Sec-WebSocket-Protocol",
)  # fmt: skip


@pytest.mark.parametrize("path", [b"/health", b"/api/v1/tenants/", b"/ws/monitoring/x", b"/nowhere"])
async def test_no_header_byte_breaks_an_answer(service: Service, path: bytes) -> None:
    for name in HEADERS:
        for value in (b"\xff\xfe", b"true\x80", b"Bearer \xed\xa0\x80", "Bearer é".encode("latin-1")):
            answer = await raw(service, "GET", path, (name, value))
            assert answer is not None
            if answer.status >= 400:
                assert shaped(answer)["status"] < 500


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\n\r\n", 417),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: \xff\r\n\r\n", 417),
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(200)) + b"\r\n", 400),
        (b"POST /api/v1/tenants/ HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /api/v1/tenants/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"BREW /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PATCH /health HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /ws/monitoring/x HTTP/1.1\r\nHost: x\r\n\r\n", 401),
        (b"GET /ws/monitoring/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    ],
)  # fmt: skip
async def test_what_is_not_http_is_refused_in_our_shape(service: Service, sent: bytes, status: int) -> None:
    assert shaped(await talk(service.url, sent))["status"] == status


async def test_a_chunk_that_is_none_is_refused_in_our_shape(service: Service) -> None:
    token = (b"Authorization", b"Bearer " + service.tokens["admin"].encode())
    head = request_bytes(b"POST", b"/api/v1/tenants/", [token, (b"Transfer-Encoding", b"chunked")])
    assert shaped(await talk(service.url, head + b"this is no length\r\nabc\r\n0\r\n\r\n"))["status"] == 400


@pytest.mark.parametrize("path", ["/api/v1/tenants/%ff", "/api/v1/tenants/a%00b", "/api/v1/tenants/?preset=%ed%a0%80",
                                  "/api/v1/tenants/?status=%00", "/ws/deployment/%00"])  # fmt: skip
async def test_addresses_that_are_no_text_are_refused(service: Service, path: str) -> None:
    assert 400 <= shaped(await raw(service, "GET", path.encode()))["status"] < 500


@pytest.mark.parametrize(
    "path", [b"/api/v1/tenants/\xff", b"/\x80\xed\xa0\x80", b"/api/v1/tenants/?preset=\xff"]
)
async def test_addresses_in_raw_bytes_are_refused(service: Service, path: bytes) -> None:
    assert 400 <= shaped(await raw(service, "GET", path))["status"] < 500


# What customers look at is a page, also when there is none.
PAGES = ("/status/",)
NAMED = [
    r
    for r in route_table()
    if not r.socket
    and set(PARAMETER.findall(r.path)) - {"tenant_id", "file"}
    and not r.path.startswith(PAGES)
]


@pytest.mark.parametrize("route", NAMED, ids=lambda route: f"{route.method} {route.path}")
async def test_what_is_of_another_form_than_its_name_in_a_path_names_nothing(
    service: Service, route: Route
) -> None:
    path = route.path.replace("{tenant_id}", await service.tenant())
    (name,) = PARAMETER.findall(path)
    body = {} if route.method == "PUT" else None
    for text in ("Not%20a%20name", "-1", "urn:uuid:6f1c2a52-0000-4000-8000-000000000000", "%EA%B0%80"):
        status, answer, _ = await service.ask(route.method, path.replace(f"{{{name}}}", text), body)
        if (route.method, name) == ("PUT", "objective"):  # which would be made
            assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, "name")
        else:
            assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")
            assert answer["error"]["details"] == {name: unquote(text)}


@pytest.mark.parametrize("text", [HALF, "a\x00b", "\udcff"])
async def test_a_text_that_is_none_is_refused_with_its_field(service: Service, text: str) -> None:
    name = await service.tenant()
    tenant = {"tenant_id": "fresh", "name": "fresh", "service_requirements": {"chatbot": 10}}
    rule = {"alert_name": "a", "condition": "cpu_usage > 1"}
    objective = {"kind": "latency", "target": 0.9, "threshold_ms": 100}
    for method, path, body, field in (
        ("POST", "/api/v1/tenants/", {**tenant, "preset": text}, "preset"),
        ("POST", "/api/v1/tenants/", {**tenant, "name": text}, "name"),
        (
            "POST",
            "/api/v1/tenants/",
            {**tenant, "service_requirements": {text: 1}},
            "service_requirements.\ufffd",
        ),
        ("PUT", f"/api/v1/tenants/{name}", {"description": text}, "description"),
        ("POST", f"/api/v1/tenants/{name}/alerts", {**rule, "alert_name": text}, "alert_name"),
        (
            "POST",
            f"/api/v1/tenants/{name}/maintenance",
            {"start": text, "duration": "1h", "reason": "r"},
            "start",
        ),
        (
            "POST",
            f"/api/v1/tenants/{name}/deployment-status",
            {"status": "failed", "message": text},
            "message",
        ),
        ("PUT", f"/api/v1/tenants/{name}/objectives/o", {**objective, "description": text}, "description"),
    ):
        answer = await raw(service, method, path.encode(), body=json.dumps(body).encode())
        error = shaped(answer)
        assert (error["status"], error["code"]) == (422, "VALIDATION_FAILED"), (path, error)
        assert error["details"]["fields"][0]["field"].startswith(field[:6]), error


async def test_one_alert_with_a_text_that_is_none_loses_no_other(service: Service) -> None:
    name = await service.tenant()
    alert = {"status": "firing", "startsAt": "2026-03-02T08:59:00Z", "fingerprint": f"{name}-1"}
    odd = {
        **alert,
        "labels": {"tenant_id": name, "team\x00": HALF},
        "annotations": {"summary": f"it {HALF} is"},
    }
    year = {
        **alert,
        "labels": {"tenant_id": name},
        "startsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{name}-2",
    }
    far = {**year, "startsAt": "9999-12-31T23:59:59-10:00", "fingerprint": f"{name}-3"}
    fine = {**alert, "labels": {"tenant_id": name}, "fingerprint": f"{name}-4"}
    path = "/api/v1/webhooks/tenant-alert"
    status, body, _ = await service.ask("POST", path, {"version": "4", "alerts": [odd, year, far, fine]})
    assert (status, body["received"], body["new"]) == (200, 4, 4)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
                                "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", 10**18, -(10**18)])  # fmt: skip
async def test_a_time_that_cannot_be_is_refused_with_its_field(service: Service, at: Any) -> None:
    name = await service.tenant()
    status, body, _ = await service.ask(
        "POST", f"/api/v1/tenants/{name}/deployment-status", {"status": "completed", "deployed_at": at}
    )
    assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, "deployed_at")
    rule = {"condition": "cpu_usage > 1"}
    for field in ("from", "to"):
        status, body, _ = await service.ask(
            "POST", f"/api/v1/tenants/{name}/alerts/test", {**rule, field: str(at)}
        )
        assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, field)
        status, body, _ = await service.ask(
            "GET", f"/api/v1/tenants/{name}/incidents?{field}={at}".replace("+", "%2B")
        )
        assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, field)
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?at={at}".replace("+", "%2B"))
    assert status == 422
    for plan in ({"start": str(at), "duration": "1h"}, {"start": "2026-03-03T00:00:00Z", "end": str(at)}):
        status, body, _ = await service.ask(
            "POST", f"/api/v1/tenants/{name}/maintenance", {**plan, "reason": "r"}
        )
        assert status == 422


@pytest.mark.parametrize("at", ["0001-01-01 00:00:00+00", "1969-01-01 00:00:00+00", "9999-12-31 00:00:00+00"])
async def test_a_deployment_whose_time_cannot_be_stays_readable(service: Service, at: str) -> None:
    name = await service.tenant()
    status, told, _ = await service.ask(
        "POST", f"/api/v1/tenants/{name}/deployment-status", {"status": "failed", "message": "m"}
    )
    assert status == 200
    changed = await service.runtime.database.execute(
        f"UPDATE deployments SET requested_at = '{at}', created_at = '{at}', finished_at = '{at}'"
        " WHERE deployment_id = $1",
        told["deployment_id"],
    )
    assert changed == "UPDATE 1"
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/deployments")
    assert status == 200, body
    assert told["deployment_id"] in [d["deployment_id"] for d in body["deployments"]]


async def test_an_answer_is_given_though_the_log_cannot_be_written(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __getattr__(self, _: str) -> Any:
            raise OSError(28, "No space left on device")

    async def broken(_: Any) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr("ecpmon.api.middleware._log", structlog.wrap_logger(Full(), processors=[]))
    monkeypatch.setattr(service.runtime.availability, "current_30d", broken)
    answer = shaped(await raw(service, "GET", b"/api/v1/tenants/"))
    assert (answer["status"], answer["code"]) == (500, "INTERNAL_ERROR")


async def test_what_the_database_says_of_a_fault_of_ours_is_for_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any, **__: Any) -> Any:
        return await service.runtime.database.fetch("SELECT secret_column FROM tenants")

    monkeypatch.setattr(service.runtime.availability, "current_30d", refused)
    with structlog.testing.capture_logs() as logged:
        answer = shaped(await raw(service, "GET", b"/api/v1/tenants/"))
    assert (answer["status"], answer["code"]) == (500, "INTERNAL_ERROR")
    assert "secret_column" not in answer["message"]
    assert any("secret_column" in str(line.get("exc_info")) for line in logged)


async def test_a_request_without_an_upgrade_is_told_what_a_socket_needs(service: Service) -> None:
    name = (await service.tenant()).encode()
    for headers in ((), ((b"Upgrade", b"websocket"),)):
        error = shaped(await raw(service, "GET", b"/ws/monitoring/" + name, *headers))
        assert (error["status"], error["code"]) == (400, "BAD_REQUEST")
        assert error["message"].startswith("this is a WebSocket: send ")
