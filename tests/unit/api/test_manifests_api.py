"""Manifests over real sockets (api.md §6)."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import OUTSIDER, FakeSimulator, World, ask, fields_of, make_app

from ecpmon.api import manifests

URL = "/api/v1/tenants/acme/manifest"
CHECK = "/api/v1/tenants/validate-manifest"


@pytest.fixture
def world() -> World:
    made = World()
    made.tenants.add("acme", service_requirements={"chatbot": 10})
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([manifests], world))


async def test_the_same_tenant_gives_the_same_bytes_and_they_are_valid(client: Any) -> None:
    async with client.get(URL) as first, client.post(URL) as second:
        assert first.status == second.status == 200
        assert first.content_type == "application/yaml"
        text = await first.text()
        assert text == await second.text()
    status, body = await ask(client, "POST", CHECK, {"tenant_id": "acme", "manifest_content": text})
    assert (status, body["valid"], body["simulator_compatible"]) == (200, True, True)
    assert body["resource_summary"]["deployments"] == 4


async def test_json_and_another_namespace(client: Any) -> None:
    status, body = await ask(client, "GET", URL + "?format=json&namespace=x&include_monitoring=false")
    assert (status, body["kind"], body["items"][0]["metadata"]["name"]) == (200, "List", "x")


@pytest.mark.parametrize("query", ["format=xml", "include_ingress=yes", "namespace=No%20way"])
async def test_bad_queries_name_their_field(client: Any, query: str) -> None:
    status, body = await ask(client, "GET", f"{URL}?{query}")
    assert (status, fields_of(body["error"])) == (422, [query.partition("=")[0]])


async def test_a_broken_manifest_is_an_answer_and_not_an_error(client: Any) -> None:
    status, body = await ask(client, "POST", CHECK, {"tenant_id": "acme", "manifest_content": "a: ["})
    assert (status, body["valid"], body["findings"][0]["code"]) == (200, False, "YAML_MALFORMED")


async def test_an_outsider_gets_nothing(world: World, aiohttp_client: Any) -> None:
    outside = await aiohttp_client(make_app([manifests], world, OUTSIDER))
    for method, path, body in (
        ("GET", URL, None),
        ("POST", URL, None),
        ("POST", CHECK, {"tenant_id": "acme", "manifest_content": ""}),
    ):
        status, answer = await ask(outside, method, path, body)
        assert (status, answer["error"]["code"]) == (404, "TENANT_NOT_FOUND")


@pytest.mark.parametrize("aimed", [True, False])
@pytest.mark.parametrize(
    ("gpus", "code"), [(1, "GPU_BEYOND_CLUSTER"), (3, "GPU_CAPACITY"), (100, None), (None, None)]
)
async def test_gpus_are_held_against_the_cluster_where_it_is_known(
    aiohttp_client: Any, gpus: int | None, code: str | None, aimed: bool
) -> None:
    document = {"capacity": {"gpu": gpus}, "nodes": [{"ready": True}]} if gpus else {}
    world = World(simulator=FakeSimulator(document))
    world.tenants.add("acme", service_requirements={"callbot": 50, "stt": 30}, preset="medium")
    client = await aiohttp_client(make_app([manifests], world))
    async with client.get(URL) as answer:
        text = await answer.text()
    body = {"tenant_id": "acme", "manifest_content": text, "target_simulator": aimed}
    status, found = await ask(client, "POST", CHECK, body)
    assert (status, found["valid"]) == (200, code != "GPU_BEYOND_CLUSTER")
    assert [f["code"] for f in found["findings"]] == ([code] if code else [])


async def test_reasons_are_texts_in_korean_when_asked(client: Any) -> None:
    body = {"tenant_id": "acme", "manifest_content": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}"}
    spoken = {"Accept-Language": "ko"}
    async with client.post(CHECK, json=body, headers=spoken) as answer:
        found = await answer.json()
    assert found["errors"] == [
        "테넌트의 네임스페이스 'ecp-ai-acme'이어야 하는데 'x'입니다 (Namespace/x, metadata.name, 문서 0)"
    ]
    assert found["findings"][0]["category"] == "policy"
    status, english = await ask(client, "POST", CHECK, body)
    assert (status, len(english["warnings"])) == (200, 1)
    assert english["errors"][0].startswith("expected the tenant's namespace 'ecp-ai-acme', found 'x'")


@pytest.mark.parametrize("where", ["query", "body"])
async def test_a_manifest_of_another_namespace_is_valid_there(client: Any, where: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: voice, labels: {ecp.ai/tenant: acme}}"
    body = {"tenant_id": "acme", "manifest_content": text}
    status, found = await ask(client, "POST", CHECK, body)
    assert (status, found["valid"]) == (200, False)
    query, more = ("?namespace=voice", {}) if where == "query" else ("", {"namespace": "voice"})
    status, found = await ask(client, "POST", CHECK + query, body | more)
    assert (status, found["valid"], found["findings"]) == (200, True, [])


async def test_what_another_namespace_was_rendered_for_is_valid_as_it_is(client: Any) -> None:
    async with client.get(URL + "?namespace=voice") as answer:
        text = await answer.text()
    status, found = await ask(client, "POST", CHECK, {"tenant_id": "acme", "manifest_content": text})
    assert (status, found["valid"], found["findings"]) == (200, True, [])
