"""Parameters in paths, declared once by name for all routes: what the document says is what is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from aiohttp import web

from ecpmon.errors import NotFound
from ecpmon.model.deployments import DEPLOYMENT_ID_PATTERN
from ecpmon.model.objectives import OBJECTIVE_PATTERN
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.openapi.described import FILE
from ecpmon.ports.profiles import PROFILE_PATTERN

# A bigint of PostgreSQL.
MAX_NUMBER: Final = 2**63 - 1
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


def _number(what: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER, "description": what, "examples": [7]}


def _uuid(what: str) -> dict[str, Any]:
    return {
        "type": "string",
        "format": "uuid",
        "description": what,
        "examples": ["6f1c2a52-0000-4000-8000-000000000000"],
    }


def _name(what: str, pattern: str, example: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "description": what, "examples": [example]}


# By name, as JSON Schema. What cannot be such a value names nothing: 404, as everything else that is not there.
PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tenant_id": {
        "type": "string",
        "pattern": TENANT_ID_PATTERN,
        "description": "The tenant's name.",
        "examples": ["my-ai-service"],
    },
    "token_id": _number("The token's number."),
    "delivery_id": _number("The delivery's number, as the list of deliveries shows it."),
    "sending_id": _number("The sending's number, as the list of sendings shows it."),
    "rule_id": _uuid("The alert rule's `rule_id`."),
    "silence_id": _uuid("The silence's `silence_id`."),
    "maintenance_id": _uuid("The window's `maintenance_id`."),
    "request_id": _uuid("The `request_id` with which the windows were entered."),
    "deployment_id": _name(
        "The deployment's name, as the request for it was answered.",
        DEPLOYMENT_ID_PATTERN,
        "dep-0f3c1b2a4d5e",
    ),
    "objective": _name("The objective's name.", OBJECTIVE_PATTERN, "chat-latency"),
    "profile": _name("An evidence profile's name.", PROFILE_PATTERN, "vllm"),
    "link_id": _number("The link's number, as the list of links shows it."),
    "page": {
        "type": "string",
        "minLength": 1,
        "description": "The tenant's name, where its page is public, or what stands there in a link.",
        "examples": ["my-ai-service"],
    },
    "statement": {
        "type": "string",
        "minLength": 5,
        "description": "A period and a format, `pdf` or `csv`.",
        "examples": ["2026-10.pdf"],
    },
    "file": FILE,
}


def path_number(request: web.Request, name: str, missing: str) -> int:
    """A number from the path. Raises NotFound, which says `missing`, for what cannot be one."""
    text = request.match_info[name]
    if not _DIGITS.fullmatch(text) or int(text) > MAX_NUMBER:
        raise NotFound(missing, details={name: text[:100]})
    return int(text)


def path_name(request: web.Request, name: str, missing: str) -> str:
    """A name from the path, of the form that is declared. Raises NotFound, which says `missing`, for any other."""
    text = request.match_info[name]
    if not _pattern(name).fullmatch(text):
        raise NotFound(missing, details={name: text[:100]})
    return text


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(PATHS[name]["pattern"])


def path_uuid(request: web.Request, name: str, missing: str) -> str:
    """A UUID from the path, as it is stored. Raises NotFound, which says `missing`, for what cannot be one."""
    text = request.match_info[name]
    if not _UUID.fullmatch(text):
        raise NotFound(missing, details={name: text[:100]})
    return text.lower()
