"""Whatever is sent, the API answers with a reason and never with a failure of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import aiohttp
import pytest
from kube_objects import (
    autoscaler,
    budget,
    config_map,
    deployment,
    namespace,
    quota,
    service,
    service_monitor,
)
from sim_process import Simulator

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
