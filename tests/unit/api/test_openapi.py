"""`/openapi.json`: every route, parameter, body, answer, error and example, and valid OpenAPI 3.1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from ecpmon import errors
from ecpmon.api.application import route_table
from ecpmon.api.messages import KOREAN
from ecpmon.api.openapi.document import document
from ecpmon.api.openapi.errors import REFUSALS
from ecpmon.api.openapi.refusals import PARAMETER, refusals_of
from ecpmon.api.paths import PATHS
from ecpmon.errors import EcpError
from ecpmon.wire import dumps

TABLE = route_table()
DECLARED = [route for route in TABLE if route.contract is not None]


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads(dumps(document(TABLE)))


def name_of(route: Any) -> str:
    return f"{route.method} {route.path}"


def test_every_route_declares_what_it_takes_and_gives() -> None:
    assert [name_of(route) for route in TABLE if route.contract is None] == []


def test_it_is_openapi(told: Any) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(told).iter_errors()] == []


def test_every_route_is_in_it(told: Any) -> None:
    found = {f"{method.upper()} {path}" for path, of in told["paths"].items() for method in of}
    found |= {f"GET {path}" for path in told["x-websockets"]}
    assert found == {name_of(route) for route in DECLARED}


def test_every_parameter_of_a_path_is_declared_and_none_else() -> None:
    assert {name for route in TABLE for name in PARAMETER.findall(route.path)} == PATHS.keys()


def test_names_are_unique_and_speak_for_themselves(told: Any) -> None:
    names = [operation["operationId"] for _, operation in _operations(told)]
    assert len(names) == len(set(names))
    assert not [name for name in told["components"]["schemas"] if "__" in name or "-" in name]


def test_every_error_of_the_tree_is_in_it_with_an_example_and_in_korean() -> None:
    ours = {cls.code for cls in _tree(EcpError) if cls.__module__ == errors.__name__} - {"LOCAL_STACK"}
    assert ours <= REFUSALS.keys()
    assert REFUSALS.keys() <= KOREAN.keys()


def test_every_answer_every_body_and_every_parameter_has_an_example_that_holds(told: Any) -> None:
    seen = 0
    for where, schema, example in _examples(told):
        seen += 1
        found = Draft202012Validator({**schema, "components": told["components"]}).iter_errors(example)
        assert [f"{where}: {error.message} {list(error.absolute_path)}" for error in found] == []
    assert seen > len(DECLARED)


def test_who_may_call_and_what_is_refused_stands_at_every_operation(told: Any) -> None:
    by_name = {name_of(route): route for route in DECLARED if not route.socket}
    for name, operation in _operations(told):
        if name not in by_name:
            continue
        route = by_name[name]
        assert ("security" in operation, operation["x-permission"]) == (True, route.permission.value)
        assert {str(status) for status in refusals_of(route)} <= operation["responses"].keys()


def _tree(cls: type[EcpError]) -> Iterator[type[EcpError]]:
    for each in cls.__subclasses__():
        yield each
        yield from _tree(each)


def _operations(told: Any) -> Iterator[tuple[str, Any]]:
    for path, of in told["paths"].items():
        for method, operation in of.items():
            yield f"{method.upper()} {path}", operation
    for path, operation in told["x-websockets"].items():
        yield f"WS {path}", operation


def _examples(told: Any) -> Iterator[tuple[str, Any, Any]]:
    for name, operation in _operations(told):
        for parameter in operation["parameters"]:
            if "$ref" not in parameter:
                yield f"{name} {parameter['name']}", parameter["schema"], parameter["example"]
        for message in (*_contents(operation), *operation.get("client", ()), *operation.get("server", ())):
            yield name, message["schema"], message["example"]
    for name, parameter in told["components"]["parameters"].items():
        yield name, parameter["schema"], parameter["example"]
    yield from _refusals(told)


def _contents(operation: Any) -> Iterator[Any]:
    """What is JSON of a body and of the answers that are no mere refusals."""
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation.get("responses", {}).values()]
    for content in contents:
        yield from (of for media_type, of in content.items() if media_type == "application/json")


def _refusals(told: Any) -> Iterator[tuple[str, Any, Any]]:
    for code, response in told["components"]["responses"].items():
        for media in response["content"].values():
            for example in media["examples"].values():
                value = told["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]
                yield code, media["schema"], value
