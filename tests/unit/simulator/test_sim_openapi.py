"""The simulator's `/openapi.json`: every route, parameter, body, answer, error and example, and valid OpenAPI 3.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ecpmon.openapi.facts import PARAMETER
from ecpmon.pathwords import words_beside_names
from ecpmon.simulator import documents, routes_reading
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.kube.routes import add_kube_routes
from ecpmon.simulator.openapi import PATHS, document, refusals_of
from ecpmon.simulator.routing import DEMO_PATH
from ecpmon.simulator.server import create_app, route_table
from ecpmon.simulator.snapshot import SnapshotStore
from ecpmon.wire import dumps
from tests import declared
from tests.documents import doubtful_names, faults, name_of, operations, routes_in, untrue_examples

TABLE = route_table()


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads(dumps(document(TABLE, demo=True)))


def made(folder: Path) -> web.Application:
    options = EngineOptions(seed=5, manual_clock=True)
    engines = [open_engine(SnapshotStore(folder / name), options) for name in ("one", "demo")]
    return create_app(*engines)


def test_it_is_openapi(told: Any) -> None:
    assert faults(told) == []


def test_every_route_is_in_it(told: Any) -> None:
    assert routes_in(told) == {name_of(route) for route in TABLE}
    assert len(TABLE) >= 29


async def test_nothing_is_served_that_is_not_in_it_but_the_kubernetes_api(told: Any, tmp_path: Path) -> None:
    app = made(tmp_path)
    kubernetes = web.Application()
    add_kube_routes(kubernetes, open_engine(SnapshotStore(tmp_path / "kubernetes"), EngineOptions()))
    # HEAD is answered wherever GET is, and what Kubernetes' own documents say is theirs.
    known = {(method, path) for method, _, path in (name.partition(" ") for name in routes_in(told))}
    known |= {("HEAD", path) for method, path in known if method == "GET"}
    theirs = {(r.method, r.resource.canonical) for r in kubernetes.router.routes() if r.resource is not None}
    served = {(r.method, r.resource.canonical) for r in app.router.routes() if r.resource is not None}
    # Of a word of a path every other method is refused.
    words = words_beside_names({route.path for route in TABLE})
    theirs |= {("*", before + path) for path in words for before in ("", DEMO_PATH)}
    assert {(m, p) for m, p in served - theirs if not p.startswith(DEMO_PATH)} == known
    under = {(m, p.removeprefix(DEMO_PATH)) for m, p in served - theirs if p.startswith(DEMO_PATH)}
    assert under < known


def test_every_parameter_of_a_path_is_declared_and_none_else() -> None:
    assert {name for route in TABLE for name in PARAMETER.findall(route.path)} == PATHS.keys()


def test_names_are_unique_and_speak_for_themselves(told: Any) -> None:
    assert doubtful_names(told) == []


def test_every_answer_every_body_and_every_parameter_has_an_example_that_holds(told: Any) -> None:
    assert untrue_examples(told, most=TABLE) == []


def test_what_is_refused_stands_at_every_operation(told: Any) -> None:
    by_name = {name_of(route): route for route in TABLE}
    for name, operation in operations(told):
        assert {str(status) for status in refusals_of(by_name[name])} <= operation["responses"].keys()
        assert operation["security"] == []


def test_every_operation_says_where_it_is(told: Any) -> None:
    """Pages are there once; what is of a cluster is of both."""
    assert [server["url"] for server in told["servers"]] == ["/", DEMO_PATH]
    once = {name for name, operation in operations(told) if "servers" in operation}
    assert once == {
        f"GET {path}" for path in ("/openapi.json", "/docs", "/redoc", "/ui/{file}", "/kubeconfig")
    }
    assert len(document(TABLE, demo=False)["servers"]) == 1


async def test_an_answer_that_is_not_as_declared_fails_the_test_it_was_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = documents.system_document
    monkeypatch.setattr(routes_reading, "system_document", lambda *given: {**plain(*given), "more": 1})
    async with TestClient(TestServer(made(tmp_path))) as client:
        for path in ("/api/v1/metrics/system", f"{DEMO_PATH}/api/v1/metrics/system"):
            async with client.get(path) as answer:
                assert (await answer.json())["more"] == 1
            (found,) = declared.taken()
            assert found.startswith("GET /api/v1/metrics/system: 200: ")
            assert "more" in found
