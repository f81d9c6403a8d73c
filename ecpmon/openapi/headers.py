"""Headers that requests may carry and answers do, by name, as OpenAPI describes them; a service takes its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TEXT: Final = {"type": "string"}

# Of requests.
TAKEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Demo-Mode": {
        "description": "Which database and which deployer serve the request; absent: the configured default.",
        "schema": {"type": "string", "enum": ["true", "false"]},
        "example": "false",
    },
    "X-Request-ID": {
        "description": "Comes back in the answer and stands in every line of the log, if it is 1 to 128 printable "
        "characters of ASCII; else one is made.",
        "schema": _TEXT,
        "example": "req-0f3c1b2a4d5e",
    },
    "X-Debug": {
        "description": "`true` adds the header `X-Debug-Info` to the answer.",
        "schema": _TEXT,
        "example": "true",
    },
    "Accept-Language": {
        "description": "The language of messages of errors: `ko` or `en`.",
        "schema": _TEXT,
        "example": "ko",
    },
    "If-Match": {
        "description": "The `ETag` of the state that is to be changed; another one is answered 409.",
        "schema": _TEXT,
        "example": '"7-1768919400000000"',
    },
    "If-None-Match": {
        "description": "The `ETag` of what is here already; the same one is answered 304.",
        "schema": _TEXT,
        "example": '"0f3c1b2a4d5e"',
    },
    "X-Scope-OrgID": {
        "description": "The tenant that all of the body is for; absent: labels name it, or the token does.",
        "schema": _TEXT,
        "example": "acme",
    },
    "Content-Encoding": {
        "description": "How the body is packed.",
        "schema": _TEXT,
        "example": "gzip",
    },
}

# Of answers.
GIVEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Request-ID": {
        "description": "The request's own, or one that was made for it.",
        "schema": _TEXT,
        "required": True,
        "example": "req-0f3c1b2a4d5e",
    },
    "X-Debug-Info": {
        "description": "With `X-Debug: true`: JSON with route, mode, database milliseconds and query count.",
        "schema": _TEXT,
    },
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
        "example": 2,
    },
    "RateLimit-Policy": {
        "description": "What the caller is counted by: `q` at once, which are whole again after `w` seconds "
        "(draft-ietf-httpapi-ratelimit-headers-10).",
        "schema": _TEXT,
        "example": '"requests";q=1000;w=5',
    },
    "RateLimit": {
        "description": "What is left of it (`r`), and in how many seconds there is more (`t`).",
        "schema": _TEXT,
        "example": '"requests";r=998;t=1',
    },
    "WWW-Authenticate": {
        "description": "How to say who you are.",
        "schema": _TEXT,
        "required": True,
        "example": "Bearer",
    },
    "Allow": {
        "description": "The methods that are possible here.",
        "schema": _TEXT,
        "required": True,
        "example": "GET,HEAD",
    },
    "ETag": {
        "description": "Changes with every change of what is shown.",
        "schema": _TEXT,
        "required": True,
        "example": '"7-1768919400000000"',
    },
    "Cache-Control": {
        "description": "`no-store`: it holds a secret.",
        "schema": _TEXT,
        "required": True,
        "example": "no-store",
    },
    "Content-Disposition": {
        "description": "The name under which it is to be kept.",
        "schema": _TEXT,
        "example": 'attachment; filename="statement.csv"',
    },
    "Content-Security-Policy": {
        "description": "Where the page may load from.",
        "schema": _TEXT,
        "required": True,
        "example": "default-src 'none'; script-src 'self'",
    },
    "Vary": {"description": "What of the request the answer depends on.", "schema": _TEXT},
}
