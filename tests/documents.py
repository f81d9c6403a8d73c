"""What every OpenAPI document of ours is: valid, complete, and with examples that hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from ecpmon.openapi.facts import Declared


def faults(told: Any) -> list[str]:
    """Why it is no OpenAPI 3.1."""
    return [str(error) for error in OpenAPIV31SpecValidator(told).iter_errors()]


def name_of(route: Declared) -> str:
    return f"{route.method} {route.path}"


def routes_in(told: Any) -> set[str]:
    found = {f"{method.upper()} {path}" for path, of in told["paths"].items() for method in of}
    return found | {f"GET {path}" for path in told.get("x-websockets", ())}


def doubtful_names(told: Any) -> list[str]:
    """Operations of one name, and schemas whose names nobody chose."""
    names = [operation["operationId"] for _, operation in operations(told)]
    return [name for name in names if names.count(name) > 1] + [
        name for name in told["components"]["schemas"] if "__" in name or "-" in name
    ]


def untrue_examples(told: Any, *, most: Iterable[Declared]) -> list[str]:
    """Examples that their schema refuses. There are more of them than routes."""
    seen, found = 0, list[str]()
    for where, schema, example in _examples(told):
        seen += 1
        errors = Draft202012Validator({**schema, "components": told["components"]}).iter_errors(example)
        found += [f"{where}: {error.message} {list(error.absolute_path)}" for error in errors]
    assert seen > len(list(most))
    return found


def operations(told: Any) -> Iterator[tuple[str, Any]]:
    for path, of in told["paths"].items():
        for method, operation in of.items():
            yield f"{method.upper()} {path}", operation
    for path, operation in told.get("x-websockets", {}).items():
        yield f"WS {path}", operation


def _examples(told: Any) -> Iterator[tuple[str, Any, Any]]:
    for name, operation in operations(told):
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
