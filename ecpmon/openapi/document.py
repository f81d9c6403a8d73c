"""The document itself. Pure: from a table of routes, and the facts of the service that has them, to OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc
from typing import Any, Final, Generic

from ecpmon.openapi.declaring import Contract, Json, Text
from ecpmon.openapi.examples import Examples
from ecpmon.openapi.facts import PARAMETER, Declared, Facts, R
from ecpmon.openapi.schemas import Schema, Schemas

JSON: Final = "application/json"


def document(table: Sequence[R], facts: Facts[R]) -> dict[str, Any]:
    """OpenAPI 3.1 of what these routes declare."""
    return _Document(table, facts).made()


class _Document(Generic[R]):
    def __init__(self, table: Sequence[R], facts: Facts[R]) -> None:
        self._facts = facts
        self._table = [route for route in table if route.contract is not None]
        self._schemas = Schemas(self._table, facts.refusals)
        self._examples = Examples(self._schemas.resolved)
        self._refusals: dict[str, Any] = {}

    def made(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for route in sorted(self._table, key=lambda r: (r.path, r.method)):
            if not route.socket:
                paths.setdefault(route.path, {})[route.method.lower()] = self._operation(route)
        sockets = {r.path: self._socket(r) for r in sorted(self._table, key=lambda r: r.path) if r.socket}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._facts.title,
                "summary": self._facts.summary,
                "description": self._facts.description,
                "version": version("ecpmon"),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [dict(server) for server in self._facts.servers],
            "tags": [{"name": name} for name in sorted({self._tag(route) for route in self._table})],
            "paths": paths,
            **({"x-websockets": sockets} if sockets else {}),
            "components": self._components(),
        }

    def _components(self) -> dict[str, Any]:
        facts = self._facts
        return {
            "schemas": dict(sorted(self._schemas.components.items())),
            "responses": dict(sorted(self._refusals.items())),
            "parameters": {
                name: {"name": name, "in": "header", "required": False, **said}
                for name, said in facts.taken.items()
            },
            "headers": {name: dict(said) for name, said in facts.given.items()},
            "examples": {
                code: {"summary": refusal.meaning, "value": refusal.example}
                for code, refusal in sorted(facts.refusals.items())
            },
            **({"securitySchemes": dict(facts.schemes)} if facts.schemes else {}),
        }

    def _operation(self, route: R) -> dict[str, Any]:
        contract = _contract(route)
        told = {
            **self._told(route),
            "parameters": self._parameters(route),
            "responses": {str(status): answer for status, answer in sorted(self._answers(route).items())},
        }
        if contract.body is not None:
            told["requestBody"] = {
                "required": contract.needs_body,
                "content": self._as_recorded(
                    self._contents(contract.kinds_of_body, "validation"), route, "body"
                ),
            }
        return told

    def _told(self, route: R) -> dict[str, Any]:
        """What an operation and a socket have in common."""
        module, _, handler = _name(route).rpartition(".")
        _, _, more = cleandoc(route.handler.__doc__ or "").partition("\n")
        told: dict[str, Any] = {
            "operationId": f"{module}_{handler}",
            "tags": [self._tag(route)],
            "summary": route.summary,
            **self._facts.told(route),
        }
        if description := "\n\n".join(filter(None, (more.strip(), self._facts.note(route)))):
            told["description"] = description
        return told

    def _tag(self, route: R) -> str:
        module = _name(route).partition(".")[0]
        return self._facts.tags.get(module, module).replace("_", " ")

    def _parameters(self, route: R) -> list[dict[str, Any]]:
        contract = _contract(route)
        found = [_path_parameter(name, self._facts.paths[name]) for name in PARAMETER.findall(route.path)]
        if contract.query is not None:
            schema = self._schemas.query(contract.query)
            required = schema.get("required", ())
            for name, field in schema.get("properties", {}).items():
                found.append(self._query_parameter(name, field, required=name in required))
        return found + [_ref("parameters", name) for name in (*contract.takes, *self._facts.takes(route))]

    def _query_parameter(self, name: str, field: Schema, *, required: bool) -> dict[str, Any]:
        told = {"name": name, "in": "query", "required": required, "schema": _without_null(field)}
        if (described := field.get("description")) is not None:
            told["description"] = described
        told["example"] = self._examples.of(_without_null(field), name)
        return told

    def _answers(self, route: R) -> dict[int, dict[str, Any]]:
        contract, answers = _contract(route), dict[int, dict[str, Any]]()
        for status in contract.answers:
            kinds = contract.kinds_of_answer(status)
            given = (*self._facts.gives(status, route), *(h for k in kinds for h in k.headers))
            answers[status] = {
                "description": next(
                    (k.description for k in kinds if k.description), HTTPStatus(status).phrase
                ),
                "headers": {name: _ref("headers", name) for name in dict.fromkeys(given)},
            }
            if kinds:
                content = self._contents(kinds, "serialization")
                answers[status]["content"] = self._as_recorded(content, route, str(status))
        for status, codes in self._facts.refused(route).items():
            if status in answers:
                self._add_refusal(answers[status], codes)
            else:
                answers[status] = self._refusal(status, codes)
        return answers

    def _contents(self, kinds: Iterable[Json | Text], mode: Any) -> dict[str, Any]:
        """By media type; several shapes of JSON are one of them."""
        contents: dict[str, Any] = {}
        for kind in kinds:
            told = _text(kind) if isinstance(kind, Text) else self._json(kind, mode)
            known = contents.get(kind.media_type)
            if known is not None and isinstance(kind, Json):
                told = {"schema": {"anyOf": [known["schema"], told["schema"]]}, "example": known["example"]}
            contents[kind.media_type] = told
        return contents

    def _json(self, kind: Json, mode: Any) -> dict[str, Any]:
        schema = self._schemas.of(kind.shape, mode)
        return {"schema": schema, "example": kind.example or self._examples.of(schema)}

    def _add_refusal(self, answer: dict[str, Any], codes: tuple[str, ...]) -> None:
        """A status that is an answer of its own as well."""
        own = answer.setdefault("content", {}).get(JSON)
        error = self._error(codes)
        if own is None:
            answer["content"][JSON] = {"schema": error, "example": self._facts.refusals[codes[0]].example}
        else:
            own["schema"] = {"anyOf": [own["schema"], error]}

    def _refusal(self, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
        """Routes that are refused alike refer to one response."""
        name = ".".join(codes)
        if name not in self._refusals:
            self._refusals[name] = {
                "description": " ".join(f"`{code}`: {self._facts.refusals[code].meaning}" for code in codes),
                "headers": {header: _ref("headers", header) for header in self._facts.gives(status, None)},
                "content": {
                    JSON: {
                        "schema": self._error(codes),
                        "examples": {code: _ref("examples", code) for code in codes},
                    }
                },
            }
        return _ref("responses", name)

    def _error(self, codes: tuple[str, ...]) -> Schema:
        """An error with one of these codes."""
        kinds = [self._schemas.error_of(code) for code in codes]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}

    def _socket(self, route: R) -> dict[str, Any]:
        contract = _contract(route)
        refused = {
            status: codes
            for status, codes in self._facts.refused(route).items()
            if status not in (401, 403, 404)
        }
        return {
            **self._told(route),
            "parameters": self._parameters(route),
            "subprotocols": ["bearer"],
            "client": [self._message(shape, "validation") for shape in contract.hears],
            "server": self._said(route),
            "closes": {str(int(code)): why for code, why in self._facts.closes(contract).items()},
            "responses": {str(status): self._refusal(status, codes) for status, codes in refused.items()},
        }

    def _said(self, route: R) -> list[dict[str, Any]]:
        """What a client is told; of the first kind, which the socket is there for, as it was recorded."""
        first, *others = (self._message(s, "serialization") for s in (*_contract(route).says, *_ERRORS_SAID))
        if (example := self._facts.recorded(route.method, route.path, "says")) is not None:
            first["example"] = example
        return [first, *others]

    def _message(self, shape: Any, mode: Any) -> dict[str, Any]:
        if shape is None:
            return {"schema": self._schemas.error, "example": self._facts.refusals["BAD_REQUEST"].example}
        return self._json(Json(shape), mode)

    def _as_recorded(self, content: dict[str, Any], route: R, what: str) -> dict[str, Any]:
        """With the example that was recorded, where there is one."""
        example = self._facts.recorded(route.method, route.path, what)
        if example is not None and JSON in content:
            content[JSON]["example"] = example
        return content


# What is said of a message that is not understood.
_ERRORS_SAID: Final = (None,)


def _contract(route: Declared) -> Contract:
    assert route.contract is not None  # noqa: S101 - the table holds no others
    return route.contract


def _name(route: Declared) -> str:
    """Of the handler, with its module: `tokens.list_tokens`."""
    return f"{route.handler.__module__.rpartition('.')[2]}.{getattr(route.handler, '__name__', '')}"


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _text(kind: Text) -> dict[str, Any]:
    told: dict[str, Any] = {"schema": {} if kind.binary else {"type": "string"}}
    if kind.example is not None:
        told["example"] = kind.example
    return told


def _without_null(field: Schema) -> Schema:
    """An absent parameter is one that is not there; nobody can send null."""
    bare = {name: said for name, said in field.items() if name not in ("description", "default")}
    if field.get("default") is not None:
        bare["default"] = field["default"]
    options = [option for option in bare.pop("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:
        return {**options[0], **bare}
    return {"anyOf": options, **bare} if options else bare


def _path_parameter(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {key: value for key, value in said.items() if key not in ("description", "examples")},
        "description": said["description"],
        "example": said["examples"][0],
    }
