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
    assert (status, body["valid"], body["errors"][0]["code"]) == (200, False, "YAML_MALFORMED")


async def test_an_outsider_gets_nothing(world: World, aiohttp_client: Any) -> None:
    outside = await aiohttp_client(make_app([manifests], world, OUTSIDER))
    for method, path, body in (
        ("GET", URL, None),
        ("POST", URL, None),
        ("POST", CHECK, {"tenant_id": "acme", "manifest_content": ""}),
    ):
        status, answer = await ask(outside, method, path, body)
        assert (status, answer["error"]["code"]) == (404, "TENANT_NOT_FOUND")


@pytest.mark.parametrize(("gpus", "warned"), [(1, True), (100, False), (None, False)])
async def test_more_than_the_clusters_gpus_is_a_warning_where_the_cluster_is_known(
    aiohttp_client: Any, gpus: int | None, warned: bool
) -> None:
    document = {"capacity": {"gpu": gpus}} if gpus else {}
    world = World(simulator=FakeSimulator(document))
    world.tenants.add("acme", service_requirements={"callbot": 50, "stt": 30}, preset="medium")
    client = await aiohttp_client(make_app([manifests], world))
    async with client.get(URL) as answer:
        text = await answer.text()
    body = {"tenant_id": "acme", "manifest_content": text, "target_simulator": True}
    status, found = await ask(client, "POST", CHECK, body)
    assert (status, found["valid"]) == (200, True)
    assert ("GPU_CAPACITY" in {w["code"] for w in found["warnings"]}) is warned
