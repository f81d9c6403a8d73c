"""What was meant and not understood is refused, not left alone: names in query strings, keys that stand twice, methods
of paths that could be taken for a name.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from fakes import fields_of
from socket_world import MONITORING, World

from ecpmon.api.application import route_table
from ecpmon.api.common import MAX_DOCUMENT
from ecpmon.api.manifests import MAX_MANIFEST
from ecpmon.api.tenant_bodies import WORDS
from ecpmon.pathwords import words_beside_names

VIEWER = {"Authorization": "Bearer viewer"}
SUM = "/api/v1/tenants/calculate-resources"
ANALYSIS = "/api/v1/simulator/sla/acme/analysis"


async def said(world: World, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
    given = (
        {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    )
    answer = await world.client.request(method, path, headers=VIEWER, **given)
    text = await answer.json() if answer.content_type == "application/json" else None
    return answer.status, text, answer.headers.get("Allow", "")


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ("perod=7d", {"perod": "is no parameter here (did you mean `period`?)"}),
        ("zzz=7d", {"zzz": "is no parameter here (known: `period`)"}),
        ("period=1h&period=7d", {"period": "is given more than once"}),
        ("a=1&a=2&period=7d", {"a": "is no parameter here (known: `period`)"}),
    ],
)
async def test_a_name_that_a_query_does_not_have_is_refused_and_the_nearest_is_named(
    world: World, asked: str, wrong: dict[str, str]
) -> None:
    status, told, _ = await said(world, "GET", f"{ANALYSIS}?{asked}")
    assert (status, told["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert {f["field"]: f["message"] for f in told["error"]["details"]["fields"]} == wrong
    assert next(iter(wrong)) in told["error"]["message"]


async def test_a_route_without_a_query_takes_none(world: World) -> None:
    body = {"service_requirements": {"chatbot": 10}}
    assert (await said(world, "POST", SUM, body))[0] == 200
    status, told, _ = await said(world, "POST", f"{SUM}?preset=small", body)
    assert (status, fields_of(told["error"])) == (422, ["preset"])


async def test_a_socket_takes_its_mode_and_nothing_else(world: World) -> None:
    async with world.client.ws_connect(f"{MONITORING}?demo=false", headers=VIEWER) as socket:
        assert (await socket.receive_json())["tenant_id"] == "acme"
    answer = await world.client.get(
        f"{MONITORING}?dmeo=true", headers={**VIEWER, "Upgrade": "websocket", "Connection": "Upgrade"}
    )
    told = await answer.json()
    assert (answer.status, fields_of(told["error"])) == (422, ["dmeo"])
    assert "did you mean `demo`?" in told["error"]["message"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/ui/docs.js"])
async def test_what_probes_and_pages_add_is_left_alone(world: World, path: str) -> None:
    answer = await world.client.get(f"{path}?_=1764331000")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "who"),
    [("/api/v1/tenants/acme/monitoring", "agent"), ("/api/v1/webhooks/tenant-alert", "outsider")],
)
async def test_what_senders_add_costs_nothing_of_what_they_send(world: World, path: str, who: str) -> None:
    """It is looked at, and only then found to be no JSON."""
    headers = {"Authorization": f"Bearer {who}"}
    answer = await world.client.post(f"{path}?from=here", data=b"{", headers=headers)
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, "BAD_REQUEST")


async def test_very_many_names_are_refused_in_little(world: World) -> None:
    query = "&".join(f"n{number}=1" for number in range(700))
    status, told, _ = await said(world, "GET", f"{ANALYSIS}?{query}")
    assert (status, len(told["error"]["details"]["fields"])) == (422, 10)


@pytest.mark.parametrize(
    "body",
    [
        b'{"service_requirements": {"chatbot": 1, "callbot": 2, "chatbot": 10}}',
        b'{"service_requirements": {"chatbot": 1}, "chatbot": 1, "chatbot": 1}',
    ],
)
async def test_a_key_that_stands_twice_is_refused(world: World, body: bytes) -> None:
    status, told, _ = await said(world, "POST", SUM, body)
    assert (status, fields_of(told["error"])) == (422, ["chatbot"])
    assert told["error"]["details"]["fields"][0]["message"] == "stands twice in one object"


async def test_a_body_with_more_members_than_any_may_have_is_not_read_to_its_end(world: World) -> None:
    """What follows is no JSON, and nobody comes that far."""
    body = b'{"service_requirements": [' + b'{"a": 1, "b": 2},' * 5_001 + b"!"
    status, told, _ = await said(world, "POST", SUM, body)
    assert (status, fields_of(told["error"])) == (422, [""])
    assert "more than 10000 members" in told["error"]["message"]


async def test_empty_objects_count_as_members(world: World) -> None:
    """Each costs a call, and there may be a hundred thousand in a small body."""
    body = b'{"service_requirements": [' + b"{}," * 10_001 + b"!"
    status, told, _ = await said(world, "POST", SUM, body)
    assert (status, fields_of(told["error"])) == (422, [""])
    assert "more than 10000 members" in told["error"]["message"]


async def test_a_document_that_would_hold_the_loop_is_not_taken_apart(world: World) -> None:
    for path, most in ((SUM, MAX_DOCUMENT), ("/api/v1/tenants/validate-manifest", MAX_MANIFEST)):
        body = b'{"a": "' + b"x" * (most - 8) + b'"'
        assert (await said(world, "POST", path, body))[0] == 400, "what fits is read: it has no end"
        status, told, _ = await said(world, "POST", path, body + b"}")
        assert (status, told["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_word_of_a_path_is_no_name_of_what_is_beside_it(world: World) -> None:
    found = words_beside_names({route.path for route in route_table()})
    assert {path.removeprefix("/api/v1/") for path in found} == {
        "simulator/failures/types", "tenants/calculate-resources", "tenants/preview-manifest",
            "tenants/validate-manifest",
        "tenants/{tenant_id}/alerts/active", "tenants/{tenant_id}/alerts/deliveries",
        "tenants/{tenant_id}/alerts/received", "tenants/{tenant_id}/alerts/test",
        "tenants/{tenant_id}/maintenance/preview",
    }  # fmt: skip
    for path in sorted(found):
        own = {route.method for route in route_table() if route.path == path}
        allowed = sorted(own | ({"HEAD"} if "GET" in own else set()))
        for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - own:
            status, told, allow = await said(world, method, path.replace("{tenant_id}", "acme"))
            assert (status, told["error"]["code"], allow) == (405, "METHOD_NOT_ALLOWED", ",".join(allowed))


async def test_no_tenant_gets_a_word_of_a_path_as_its_name(world: World) -> None:
    paths = {route.path for route in route_table()}
    beside = {p for p in words_beside_names(paths) if f"{p.rpartition('/')[0]}/{{tenant_id}}" in paths}
    assert {path.rpartition("/")[2] for path in beside} == WORDS
    for name in sorted(WORDS):
        body = {"tenant_id": name, "name": "x", "service_requirements": {"chatbot": 1}}
        answer = await world.client.post(
            "/api/v1/tenants/", json=body, headers={"Authorization": "Bearer outsider"}
        )
        told = await answer.json()
        assert (answer.status, fields_of(told["error"])) == (422, ["tenant_id"])
