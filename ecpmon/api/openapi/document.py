"""The document itself. Pure: from a table of routes to what `/openapi.json` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc
from typing import Any, Final

from ecpmon.api.contract import Contract, Json, Text
from ecpmon.api.openapi import headers
from ecpmon.api.openapi.closes import closes_of
from ecpmon.api.openapi.errors import REFUSALS
from ecpmon.api.openapi.examples import Examples
from ecpmon.api.openapi.recorded import recorded
from ecpmon.api.openapi.refusals import PARAMETER, refusals_of
from ecpmon.api.openapi.schemas import Schema, Schemas
from ecpmon.api.paths import PATHS
from ecpmon.api.routing import ROLES, Permission, Route

JSON: Final = "application/json"
_ALWAYS_TAKEN: Final = ("X-Demo-Mode", "X-Request-ID", "Accept-Language", "X-Debug")
_ALWAYS_GIVEN: Final = ("X-Request-ID", "X-Debug-Info")
# Beside `X-Request-ID`, by status.
_RATES: Final = ("RateLimit-Policy", "RateLimit")
_GIVEN_WITH: Final = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", *_RATES),
    503: ("Retry-After", *_RATES),
}
# Who asks these is counted by the request (docs/limits.md).
_UNCOUNTED: Final = (Permission.OPEN, Permission.INGEST)
# Modules that stand together.
_TAGS: Final = {
    "tenant_update": "tenants",
    "tenant_deletion": "tenants",
    "contracts": "tenants",
    "recommendations": "tenants",
    "pushing": "monitoring",
    "summary": "sla",
    "statement_mail": "statements",
    "exclusions": "maintenance",
    "backtest": "alerts",
    "webhook_keys": "webhooks",
    "recoveries": "webhooks",
    "health": "operations",
    "application": "operations",
    "described": "operations",
}
_DESCRIPTION: Final = """\
Monitors tenants of AI contact-centre services, computes their SLA and orchestrates their deployments.

- Times are RFC 3339 in UTC with `Z`; percentages are numbers from 0 to 100 unless the field is a string such as \
`99.9%`; CPU is in millicores (`45000m`), memory in Kubernetes quantities (`64Gi`).
- `HEAD` is answered wherever `GET` is. Of a query parameter that is given twice the first counts; unknown ones are \
left alone.
- Every error has the shape `ErrorDocument`, unknown paths (404 `NOT_FOUND`), wrong methods (405 `METHOD_NOT_ALLOWED`, \
with `Allow`) and an `Expect` that cannot be met (417 `EXPECTATION_FAILED`) included.
- Answers may get further fields; read over what you do not know.
- WebSockets are under `x-websockets`.
"""


def document(table: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of what these routes declare."""
    return _Document(table).made()


class _Document:
    def __init__(self, table: Sequence[Route]) -> None:
        self._table = [route for route in table if route.contract is not None]
        self._schemas = Schemas(self._table)
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
                "title": "ecpmon",
                "summary": "Multi-tenant SLA monitor and orchestrator",
                "description": _DESCRIPTION,
                "version": version("ecpmon"),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "Where this document comes from."}],
            "tags": [{"name": name} for name in sorted({_tag(route) for route in self._table})],
            "paths": paths,
            "x-websockets": sockets,
            "components": self._components(),
        }

    def _components(self) -> dict[str, Any]:
        return {
            "schemas": dict(sorted(self._schemas.components.items())),
            "responses": dict(sorted(self._refusals.items())),
            "parameters": {name: _header_parameter(name) for name in headers.TAKEN},
            "headers": {name: dict(said) for name, said in headers.GIVEN.items()},
            "examples": {
                code: {"summary": refusal.meaning, "value": refusal.example}
                for code, refusal in sorted(REFUSALS.items())
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer <token>`. A browser's WebSocket offers the sub-protocols "
                    "`bearer` and the token.",
                }
            },
        }

    def _operation(self, route: Route) -> dict[str, Any]:
        contract = _contract(route)
        told = {
            **self._told(route),
            "parameters": self._parameters(route),
            "responses": {str(status): answer for status, answer in sorted(self._answers(route).items())},
        }
        if contract.body is not None:
            told["requestBody"] = {
                "required": contract.needs_body,
                "content": _as_recorded(self._contents(contract.kinds_of_body, "validation"), route, "body"),
            }
        return told

    def _told(self, route: Route) -> dict[str, Any]:
        """What an operation and a socket have in common."""
        module, _, handler = _name(route).rpartition(".")
        _, _, more = cleandoc(route.handler.__doc__ or "").partition("\n")
        roles = sorted(ROLES[route.permission])
        told: dict[str, Any] = {
            "operationId": f"{module}_{handler}",
            "tags": [_tag(route)],
            "summary": route.summary,
            "security": _SECURITY.get(route.permission, [{"bearer": []}]),
            "x-permission": route.permission.value,
            "x-roles": roles,
        }
        needs = f"Needs one of the roles {', '.join(f'`{r}`' for r in roles)}." if roles else ""
        if description := "\n\n".join(filter(None, (more.strip(), needs))):
            told["description"] = description
        return told

    def _parameters(self, route: Route) -> list[dict[str, Any]]:
        contract = _contract(route)
        found = [_path_parameter(name) for name in PARAMETER.findall(route.path)]
        if contract.query is not None:
            schema = self._schemas.query(contract.query)
            required = schema.get("required", ())
            for name, field in schema.get("properties", {}).items():
                found.append(self._query_parameter(name, field, required=name in required))
        scraped = route.permission is Permission.SCRAPE
        always = [name for name in _ALWAYS_TAKEN if not (scraped and name == "X-Demo-Mode")]
        return found + [_ref("parameters", name) for name in (*contract.takes, *always)]

    def _query_parameter(self, name: str, field: Schema, *, required: bool) -> dict[str, Any]:
        told = {"name": name, "in": "query", "required": required, "schema": _without_null(field)}
        if (described := field.get("description")) is not None:
            told["description"] = described
        told["example"] = self._examples.of(_without_null(field), name)
        return told

    def _answers(self, route: Route) -> dict[int, dict[str, Any]]:
        contract, answers = _contract(route), dict[int, dict[str, Any]]()
        for status in contract.answers:
            kinds = contract.kinds_of_answer(status)
            rates = () if route.permission in _UNCOUNTED else _RATES
            given = (
                *_ALWAYS_GIVEN,
                *rates,
                *_GIVEN_WITH.get(status, ()),
                *(h for k in kinds for h in k.headers),
            )
            answers[status] = {
                "description": next(
                    (k.description for k in kinds if k.description), HTTPStatus(status).phrase
                ),
                "headers": {name: _ref("headers", name) for name in dict.fromkeys(given)},
            }
            if kinds:
                content = self._contents(kinds, "serialization")
                answers[status]["content"] = _as_recorded(content, route, str(status))
        for status, codes in refusals_of(route).items():
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
        error = {"allOf": [self._schemas.error, _only(codes)]}
        if own is None:
            answer["content"][JSON] = {"schema": error, "example": REFUSALS[codes[0]].example}
        else:
            own["schema"] = {"anyOf": [own["schema"], error]}

    def _refusal(self, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
        """Routes that are refused alike refer to one response."""
        name = ".".join(codes)
        if name not in self._refusals:
            given = (*_ALWAYS_GIVEN, *_GIVEN_WITH.get(status, ()))
            self._refusals[name] = {
                "description": " ".join(f"`{code}`: {REFUSALS[code].meaning}" for code in codes),
                "headers": {header: _ref("headers", header) for header in given},
                "content": {
                    JSON: {
                        "schema": {"allOf": [self._schemas.error, _only(codes)]},
                        "examples": {code: _ref("examples", code) for code in codes},
                    }
                },
            }
        return _ref("responses", name)

    def _socket(self, route: Route) -> dict[str, Any]:
        contract = _contract(route)
        refused = {
            status: codes for status, codes in refusals_of(route).items() if status not in (401, 403, 404)
        }
        return {
            **self._told(route),
            "parameters": self._parameters(route),
            "subprotocols": ["bearer"],
            "client": [self._message(shape, "validation") for shape in contract.hears],
            "server": [self._message(shape, "serialization") for shape in (*contract.says, *_ERRORS_SAID)],
            "closes": {str(int(code)): why for code, why in closes_of(contract).items()},
            "responses": {str(status): self._refusal(status, codes) for status, codes in refused.items()},
        }

    def _message(self, shape: Any, mode: Any) -> dict[str, Any]:
        if shape is None:
            return {"schema": self._schemas.error, "example": REFUSALS["BAD_REQUEST"].example}
        return self._json(Json(shape), mode)


# What is said of a message that is not understood.
_ERRORS_SAID: Final = (None,)
_SECURITY: Final[Mapping[Permission, list[dict[str, Any]]]] = {
    Permission.OPEN: [],
    Permission.SCRAPE: [{}, {"bearer": []}],
}


def _contract(route: Route) -> Contract:
    assert route.contract is not None  # noqa: S101 - the table holds no others
    return route.contract


def _name(route: Route) -> str:
    """Of the handler, with its module: `tokens.list_tokens`."""
    return f"{route.handler.__module__.rpartition('.')[2]}.{getattr(route.handler, '__name__', '')}"


def _tag(route: Route) -> str:
    module = _name(route).partition(".")[0]
    return _TAGS.get(module, module).replace("_", " ")


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _as_recorded(content: dict[str, Any], route: Route, what: str) -> dict[str, Any]:
    """With the example that was recorded, where there is one."""
    example = recorded(route.method, route.path, what)
    if example is not None and JSON in content:
        content[JSON]["example"] = example
    return content


def _only(codes: tuple[str, ...]) -> Schema:
    return {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}


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


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {key: value for key, value in PATHS[name].items() if key not in ("description", "examples")}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": PATHS[name]["description"],
        "example": PATHS[name]["examples"][0],
    }


def _header_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, **headers.TAKEN[name]}
