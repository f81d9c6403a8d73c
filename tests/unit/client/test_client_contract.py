"""What the clients send and expect is what `/openapi.json` says, field by field.

The types of JavaScript and Go are written from those of Python (`clients/generate.py`), so they follow.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, is_typeddict

import pytest

from ecpmon.api.application import route_table
from ecpmon.api.openapi.document import document
from ecpmon.api.routing import Route
from ecpmon.client import evidence, operations, requests
from ecpmon.client import types as t
from ecpmon.client.calls import Call
from ecpmon.wire import dumps

sys.path.append(str(Path(__file__).parents[3] / "clients"))

import generate

TABLE = route_table()
MANIFEST = "metadata:\n  labels: {ecp.ai/tenant: acme}\n"
# One of each parameter that a request may take.
SAMPLES: Mapping[str, Any] = {
    "tenant_id": "acme", "rule_id": "r", "maintenance_id": "m", "skip": 1, "limit": 5, "preset": "small",
    "status": "completed", "force": True, "tenant": {}, "changes": {}, "etag": '"1"', "service_requirements": {},
    "sla_target": {}, "metrics": {"cpu": 1.0}, "timestamp": "2026-03-02T09:00:00Z", "entries": [{"metrics": {}}],
    "metric_type": "cpu", "hours": 1, "interval": "1m", "format": "json", "include_monitoring": False,
    "include_ingress": True, "namespace": "n", "manifest": MANIFEST, "strict_validation": True,
    "target_simulator": True, "kubernetes_version": "1.36", "method": "simulator", "dry_run": True, "reason": "why",
    "deployed_at": "2026-03-02T09:00:00Z", "message": "m", "windows": ["1h"], "at": "2026-03-02T09:00:00Z",
    "period": "24h", "month": "2026-10", "since": "2026-03-02T09:00:00Z", "until": "2026-03-02T10:00:00Z", "rule": {},
    "window": {}, "keep_past": True, "enable_sla_tracking": True, "failure_scenarios": True,
    "settings": {}, "actor": "kim", "action": "tenant.changed", "cursor": "c",
    "failure_type": "pod_crash", "duration_seconds": 5.0, "severity": 0.5,
}  # fmt: skip
MAKERS = {
    name: make
    for module in (requests, evidence, operations)
    for name, make in vars(module).items()
    if inspect.isfunction(make)
    and make.__module__ == module.__name__
    and name[0] != "_"
    and name != "request"
}
STREAMS = {
    "/ws/monitoring/{tenant_id}": t.MonitoringMessage,
    "/api/v1/simulator/realtime/{tenant_id}": t.RealtimeMessage,
    "/ws/alerts/{tenant_id}": t.AlertMessage,
    "/ws/deployment/{deployment_id}": t.DeploymentStep,
}


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads(dumps(document(TABLE)))


def call_of(name: str) -> Call[Any]:
    make = MAKERS[name]
    return make(**{parameter: SAMPLES[parameter] for parameter in inspect.signature(make).parameters})


def answer_of(name: str) -> Any:
    [promised] = get_args(typing.get_type_hints(MAKERS[name])["return"])
    return promised


def route_of(call: Call[Any]) -> Route:
    """A path that is written out comes before one with a name in it."""
    for route in sorted(TABLE, key=lambda r: r.path.count("{")):
        if route.method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), call.path):
            return route
    raise AssertionError(f"nothing is at {call.method} {call.path}")


@pytest.mark.parametrize("name", MAKERS)
def test_a_request_goes_to_a_route_and_asks_only_what_that_takes(name: str, told: Any) -> None:
    call = call_of(name)
    route = route_of(call)
    operation = told["paths"][route.path][route.method.lower()]
    taken = {p["name"] for p in operation["parameters"] if p.get("in") == "query"}
    assert call.query.keys() <= taken
    headers = {p["$ref"].rpartition("/")[2] for p in operation["parameters"] if "$ref" in p}
    assert call.headers.keys() <= headers


@pytest.mark.parametrize("name", [name for name in MAKERS if is_typeddict(answer_of(name))])
def test_an_answer_has_what_its_type_promises(name: str, told: Any) -> None:
    route = route_of(call_of(name))
    answers = told["paths"][route.path][route.method.lower()]["responses"]
    [success] = [answer for status, answer in answers.items() if status < "300"]
    schema = success["content"]["application/json"]["schema"]
    assert [*differences(answer_of(name), schema, told, name)] == []


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("create_tenant", "tenant"), ("update_tenant", "changes"), ("create_alert", "rule"),
     ("add_maintenance", "window")],
)  # fmt: skip
def test_a_body_has_every_field_that_there_is_and_no_other(name: str, parameter: str, told: Any) -> None:
    route = route_of(call_of(name))
    kind = typing.get_type_hints(MAKERS[name])[parameter]
    content = told["paths"][route.path][route.method.lower()]["requestBody"]["content"]
    schema = resolved(content["application/json"]["schema"], told)
    assert set(typing.get_type_hints(kind)) == schema["properties"].keys()
    assert kind.__required_keys__ == set(schema.get("required", ()))
    assert [*differences(kind, schema, told, name, sent=True)] == []


@pytest.mark.parametrize("name", [n for n in MAKERS if isinstance(call_of(n).body, dict) and call_of(n).body])
def test_what_is_sent_is_what_the_body_takes(name: str, told: Any) -> None:
    call = call_of(name)
    route = route_of(call)
    content = told["paths"][route.path][route.method.lower()]["requestBody"]["content"]
    [schema] = [s for s in options(content["application/json"]["schema"], told) if s["type"] == "object"]
    assert call.body.keys() <= schema["properties"].keys()


@pytest.mark.parametrize(("path", "kind"), STREAMS.items())
def test_a_message_has_what_its_type_promises(path: str, kind: Any, told: Any) -> None:
    said = [message["schema"] for message in told["x-websockets"][path]["server"]]
    assert [*differences(kind, said[0], told, path)] == []


def test_the_types_of_the_other_clients_are_written_from_these() -> None:
    told = "run `python clients/generate.py`"
    assert generate.TYPESCRIPT.read_text("utf-8") == generate.typescript(), told
    assert generate.GO.read_text("utf-8") == generate.go(), told


def test_a_type_that_promises_too_much_is_found(told: Any) -> None:
    class Wrong(typing.TypedDict):
        tenant_id: int
        missing: str
        preset: str | None

    schema = {"type": "object", "required": ["tenant_id", "preset"],
              "properties": {"tenant_id": {"type": "string"}, "preset": {"type": "string"}}}  # fmt: skip
    assert [*differences(Wrong, schema, told, "x")] == ["x.tenant_id: int", "x.missing: is not there"]


# --- comparing a type with a schema ---------------------------------------------------------------------------


def resolved(schema: Any, told: Any) -> Any:
    while "$ref" in schema:
        schema = told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def options(schema: Any, told: Any) -> Iterator[Any]:
    schema = resolved(schema, told)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives is None:
        yield schema
    for each in alternatives or ():
        yield from options(each, told)


def differences(hint: Any, schema: Any, told: Any, where: str, *, sent: bool = False) -> Iterator[str]:
    """Where a type of the client's does not hold for what the schema allows; `sent`: in the other direction."""
    found = [*options(schema, told)]
    kinds = [each for each in found if each.get("type") != "null"]
    hints = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    plain = [each for each in hints if each is not type(None)]
    if not sent and len(kinds) < len(found) and len(plain) == len(hints) and hint is not Any:
        yield f"{where}: may be null"
    if sent and len(plain) < len(hints) and len(kinds) == len(found) and _typed(found):
        yield f"{where}: null is not taken"
    for kind in kinds:
        problems = [[*_of_one(each, kind, told, where, sent=sent)] for each in plain]
        if all(problems):
            yield from min(problems, key=len)


def _typed(found: list[Any]) -> bool:
    return all("type" in each for each in found)


_NAMES: Mapping[Any, tuple[str, ...]] = {
    str: ("string",), int: ("integer",), float: ("number", "integer"), bool: ("boolean",),
}  # fmt: skip


def _of_one(hint: Any, schema: Any, told: Any, where: str, *, sent: bool) -> Iterator[str]:
    kind, origin = schema.get("type"), get_origin(hint)
    if hint is Any or (kind is None and "enum" not in schema and "const" not in schema):
        return
    if is_typeddict(hint):
        yield from _of_members(hint, schema, told, where, sent=sent)
    elif origin in _INNER:
        name, member, place = _INNER[origin]
        inner = schema.get(member)
        if kind != name:
            yield f"{where}: {name}"
        elif isinstance(inner, dict):
            yield from differences(get_args(hint)[place], inner, told, f"{where}.*", sent=sent)
    elif origin is Literal:
        yield from _of_words(set(get_args(hint)), schema, where, sent=sent)
    elif kind not in _NAMES[hint] and not (sent and hint is int and kind == "number"):
        yield f"{where}: {hint.__name__}"


# By what it is written in Python: the type, where its members are described, and which of its arguments they are.
_INNER: Mapping[Any, tuple[str, str, int]] = {
    dict: ("object", "additionalProperties", 1), Mapping: ("object", "additionalProperties", 1),
    list: ("array", "items", 0),
}  # fmt: skip


def _of_words(ours: set[Any], schema: Any, where: str, *, sent: bool) -> Iterator[str]:
    theirs = set(schema.get("enum", ())) or {schema.get("const")} - {None}
    if theirs and not (ours <= theirs if sent else theirs <= ours):
        yield f"{where}: {sorted(theirs)}"


def _of_members(hint: Any, schema: Any, told: Any, where: str, *, sent: bool) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name, of in typing.get_type_hints(hint).items():
        if name not in properties:
            # What the client adds itself.
            if name != "etag":
                yield f"{where}.{name}: is not there"
        elif name in hint.__required_keys__ and name not in schema.get("required", ()) and not sent:
            yield f"{where}.{name}: may be absent"
        else:
            yield from differences(of, properties[name], told, f"{where}.{name}", sent=sent)
