"""`/openapi.json`: every route, parameter, body, answer, error and example, and valid OpenAPI 3.1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ecpmon import errors
from ecpmon.api.application import route_table
from ecpmon.api.openapi.document import document
from ecpmon.api.openapi.refusals import refusals_of
from ecpmon.api.paths import PATHS
from ecpmon.errors import EcpError
from ecpmon.korean.messages import KOREAN
from ecpmon.openapi.errors import REFUSALS
from ecpmon.openapi.facts import PARAMETER
from ecpmon.wire import dumps
from tests.documents import doubtful_names, faults, name_of, operations, routes_in, untrue_examples

TABLE = route_table()
DECLARED = [route for route in TABLE if route.contract is not None]


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads(dumps(document(TABLE)))


def test_every_route_declares_what_it_takes_and_gives() -> None:
    assert [name_of(route) for route in TABLE if route.contract is None] == []


def test_it_is_openapi(told: Any) -> None:
    assert faults(told) == []


def test_every_route_is_in_it(told: Any) -> None:
    assert routes_in(told) == {name_of(route) for route in DECLARED}


def test_every_parameter_of_a_path_is_declared_and_none_else() -> None:
    assert {name for route in TABLE for name in PARAMETER.findall(route.path)} == PATHS.keys()


def test_names_are_unique_and_speak_for_themselves(told: Any) -> None:
    assert doubtful_names(told) == []


def test_every_error_of_the_tree_is_in_it_with_an_example_and_in_korean() -> None:
    ours = {cls.code for cls in _tree(EcpError) if cls.__module__ == errors.__name__} - {"LOCAL_STACK"}
    assert ours <= REFUSALS.keys()
    assert REFUSALS.keys() <= KOREAN.keys()


def test_each_error_is_a_shape_of_its_own_which_generators_of_clients_take_and_its_code_tells_it(
    told: Any,
) -> None:
    for response in told["components"]["responses"].values():
        schema = response["content"]["application/json"]["schema"]
        shapes = [of["$ref"] for of in schema.get("anyOf", [schema])]
        assert shapes == [
            f"#/components/schemas/{camel(code)}Error"
            for code in response["content"]["application/json"]["examples"]
        ]
    for code in REFUSALS:
        body = told["components"]["schemas"][f"{camel(code)}Body"]
        assert body["properties"]["code"]["const"] == code
        assert body["properties"]["details"].keys() == {"$ref"}


def camel(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))


def test_every_answer_every_body_and_every_parameter_has_an_example_that_holds(told: Any) -> None:
    assert untrue_examples(told, most=DECLARED) == []


def test_who_may_call_and_what_is_refused_stands_at_every_operation(told: Any) -> None:
    by_name = {name_of(route): route for route in DECLARED if not route.socket}
    for name, operation in operations(told):
        if name not in by_name:
            continue
        route = by_name[name]
        assert ("security" in operation, operation["x-permission"]) == (True, route.permission.value)
        assert {str(status) for status in refusals_of(route)} <= operation["responses"].keys()


def _tree(cls: type[EcpError]) -> Iterator[type[EcpError]]:
    for each in cls.__subclasses__():
        yield each
        yield from _tree(each)
