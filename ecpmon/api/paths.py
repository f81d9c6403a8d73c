"""Parameters in paths, declared once by name for all routes: what the document says is what is checked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from ecpmon.errors import NotFound
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.openapi.described import FILE

# A bigint of PostgreSQL.
MAX_NUMBER: Final = 2**63 - 1
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
    "maintenance_id": _uuid("The window's `maintenance_id`."),
    "request_id": _uuid("The `request_id` with which the windows were entered."),
    "deployment_id": {
        "type": "string",
        "minLength": 1,
        "description": "The deployment's name, as the request for it was answered.",
        "examples": ["dep-0f3c1b2a4d5e"],
    },
    "objective": {
        "type": "string",
        "minLength": 1,
        "description": "The objective's name.",
        "examples": ["chat-latency"],
    },
    "profile": {
        "type": "string",
        "minLength": 1,
        "description": "An evidence profile's name.",
        "examples": ["vllm"],
    },
    "file": FILE,
}


def path_number(request: web.Request, name: str, missing: str) -> int:
    """A number from the path. Raises NotFound, which says `missing`, for what cannot be one."""
    text = request.match_info[name]
    if not _DIGITS.fullmatch(text) or int(text) > MAX_NUMBER:
        raise NotFound(missing, details={name: text[:100]})
    return int(text)


def path_uuid(request: web.Request, name: str, missing: str) -> str:
    """A UUID from the path, as it is stored. Raises NotFound, which says `missing`, for what cannot be one."""
    text = request.match_info[name]
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound(missing, details={name: text[:100]}) from None
