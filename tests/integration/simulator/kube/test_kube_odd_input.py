"""Whatever is sent, the API answers with a reason and never with a failure of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest

from tests.integration.simulator.kube.kube_objects import (
    autoscaler,
    budget,
    config_map,
    deployment,
    namespace,
    quota,
    service,
    service_monitor,
)
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE

SPACE = "odd"
ODD: tuple[Any, ...] = (
    None, 1, -1, 10**30, 1.5, True, "", "x", "5%", "1Gi", [], {}, [1], ["a"], [[]], [{}], {"a": 1}, {"a": "b"},
    [{"name": "a"}], "2026-01-01T00:00:00Z",
)  # fmt: skip
ADDED = (
    "status",
    "selector",
    "$patch",
    "labels",
    "managedFields",
    "finalizers",
    "metrics",
    "ports",
    "resourceVersion",
)
_CORE, _APPS = f"/api/v1/namespaces/{SPACE}", f"/apis/apps/v1/namespaces/{SPACE}"
OBJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (f"{_APPS}/deployments", deployment("web", SPACE)),
    (f"{_CORE}/services", service("web", SPACE)),
    (f"{_CORE}/configmaps", config_map("web", SPACE, a="1")),
    (f"{_CORE}/resourcequotas", quota(SPACE)),
    (f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets", budget("web", SPACE, at_least=1)),
    (f"/apis/autoscaling/v2/namespaces/{SPACE}/horizontalpodautoscalers", autoscaler("web", SPACE)),
    (f"/apis/monitoring.coreos.com/v1/namespaces/{SPACE}/servicemonitors", service_monitor("web", SPACE)),
)
PATCHES = ("merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a document."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        yield document, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _spoiled(dice: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    result = deepcopy(document)
    holder, key = dice.choice(list(_places(result)))
    if isinstance(holder, dict) and dice.random() < 0.25:
        holder[dice.choice(ADDED)] = deepcopy(dice.choice(ODD))
    else:
        holder[key] = deepcopy(dice.choice(ODD))
    return result


@pytest.mark.parametrize("seed", range(3))
async def test_no_document_makes_the_server_fail(simulator: Simulator, seed: int) -> None:
    dice = random.Random(seed)
    answers: set[int] = set()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        await session.post("/api/v1/namespaces", json=namespace(SPACE))
        for path, document in OBJECTS:
            await session.post(path, json=document)
        for _ in range(250):
            path, document = dice.choice(OBJECTS)
            spoiled, one = _spoiled(dice, document), f"{path}/{document['metadata']['name']}"
            kind = dice.choice(("POST", "PUT", *PATCHES))
            if kind in ("POST", "PUT"):
                request = session.request(kind, path if kind == "POST" else one, json=spoiled)
            else:
                headers = {"Content-Type": f"application/{kind}"}
                query = f"?fieldManager=me&force={dice.choice(('true', 'false'))}" if "apply" in kind else ""
                request = session.patch(one + query, json=spoiled, headers=headers)
            async with request as answer:
                assert answer.status < 500, (kind, path, spoiled, await answer.text())
                answers.add(answer.status)
        for path, _ in OBJECTS:
            for accept in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
                async with session.get(path, headers={"Accept": accept}) as answer:
                    assert answer.status == 200
    assert {200, 400, 422} <= answers  # the dice found both what is accepted and what is not


@pytest.mark.parametrize("odd", [1, True, "x", ["All"], [None], {"uid": 1}])
async def test_delete_options_of_the_wrong_type_are_a_bad_request(simulator: Simulator, odd: Any) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        await session.post("/api/v1/namespaces", json=namespace(SPACE))
        await session.post(f"{_CORE}/configmaps", json=config_map("odd", SPACE, a="1"))
        for path in (f"{_CORE}/configmaps/odd", f"{_CORE}/configmaps"):
            async with session.delete(path, json={"preconditions": odd}) as answer:
                assert answer.status == 400
        async with session.delete(f"{_CORE}/configmaps/odd", json={"gracePeriodSeconds": "x"}) as answer:
            assert answer.status == 400
            assert "gracePeriodSeconds" in await answer.text()
        eviction = {"deleteOptions": {"preconditions": odd}}
        async with session.post(f"{_CORE}/pods/none/eviction", json=eviction) as answer:
            assert answer.status == 400


async def test_keys_to_retain_are_a_list(simulator: Simulator) -> None:
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        await session.post("/api/v1/namespaces", json=namespace(SPACE))
        body = {"metadata": {"$retainKeys": True}}
        async with session.patch(f"/api/v1/namespaces/{SPACE}", json=body, headers=headers) as answer:
            assert answer.status == 400


_HOSTILE_YAML = {
    "values": "a:\n" + "- x\n" * 900_000,
    "flow": "[" + "{}," * 1_200_000 + "]",
    "depth": "[" * 4_000_000,
    "digits": "a: 0x" + "f" * 4_000_000,
    "aliases": "a: &a [x]\nb: *a",
    "tag": "a: !!bool maybe",
}


@pytest.mark.parametrize("name", [*_HOSTILE_YAML, "base 60"])
def test_hostile_yaml_does_not_hold_up_the_others(simulator: Simulator, name: str) -> None:
    text = _HOSTILE_YAML.get(name, "a: " + "1:" * 2_000_000 + "1")
    url = f"http://127.0.0.1:{simulator.port}/api/v1/namespaces?fieldValidation=Strict"
    request = Request(url, text.encode(), {"Content-Type": "application/yaml"}, method="POST")
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=PATIENCE)  # longer than that, when all of it is read as YAML
    with refused.value as error:
        assert error.code in (400, 413, 422)
        assert json.load(error)["kind"] == "Status"
    assert simulator.call("GET", "/health")[0] == 200


def test_a_path_that_is_not_served_has_details_that_kubectl_can_read(simulator: Simulator) -> None:
    for path in (f"{_CORE}/pods/x/ephemeralcontainers", "/apis/none.example/v1/things"):
        status, said = simulator.call("GET", path)
        assert (status, said["reason"]) == (404, "NotFound")
        assert isinstance(said["details"], dict)


@pytest.mark.parametrize("amount", ["1e99999999", "1e-99999999", "-1e99999999", "9e999998", "1e5000", "1e30"])
async def test_amounts_of_a_hundred_million_digits_are_amounts(simulator: Simulator, amount: str) -> None:
    space = f"huge-{amount}".replace("-", "m")
    path = f"/api/v1/namespaces/{space}"
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        await session.post("/api/v1/namespaces", json=namespace(space))
        limits = {"requests.cpu": "1e99999999", "limits.memory": amount, "pods": "50"}
        async with session.post(
            f"{path}/resourcequotas", json={"metadata": {"generateName": "q-"}, "spec": {"hard": limits}}
        ) as answer:
            assert answer.status in (201, 422)
        for name in ("cpu", "memory", "nvidia.com/gpu"):
            both = {"requests": {name: amount}, "limits": {name: amount}}
            pod = {"containers": [{"name": "a", "image": "b:1", "resources": both}]}
            async with session.post(
                f"{path}/pods", json={"metadata": {"generateName": "p-"}, "spec": pod}
            ) as answer:
                assert answer.status < 500, await answer.text()
        for plural in ("resourcequotas", "pods"):
            async with session.get(f"{path}/{plural}") as answer:
                assert answer.status == 200
        async with session.delete(path) as answer:
            assert answer.status == 200


async def test_a_selector_without_a_key_is_refused(simulator: Simulator) -> None:
    web = deployment("keyless", SPACE)
    web["spec"]["selector"]["matchExpressions"] = [{"operator": "In", "values": ["web"]}]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        await session.post("/api/v1/namespaces", json=namespace(SPACE))
        async with session.post(f"{_APPS}/deployments", json=web) as answer:
            assert answer.status == 422
