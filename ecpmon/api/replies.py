"""Replies: JSON bodies and the one error shape (api.md §1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from aiohttp import web

from ecpmon.api.messages import in_korean, prefers_korean
from ecpmon.errors import EcpError

_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
DEFAULT_RETRY_AFTER: Final = 2


def _other(value: object) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return str(value)


def dumps(data: Any) -> bytes:
    """JSON with times as RFC 3339 `Z`."""
    return orjson.dumps(data, default=_other, option=_OPTIONS)


def reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=dumps(data), status=status, content_type="application/json", charset="utf-8", headers=headers
    )


def error_body(
    code: str, message: str, details: Mapping[str, Any], now: datetime, request_id: str
) -> dict[str, Any]:
    """The one error shape."""
    return {
        "error": {
            "code": code,
            "message": message,
            "details": dict(details),
            "timestamp": now.replace(microsecond=0),
            "request_id": request_id,
        }
    }


def error_reply(error: EcpError, language: str | None, now: datetime, request_id: str) -> web.Response:
    """`error` as a response; `language` is the Accept-Language header."""
    message = error.message
    if prefers_korean(language):
        message = in_korean(error.code, error.details) or message
    headers: dict[str, str] = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after or DEFAULT_RETRY_AFTER)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ecpmon"'
    return reply(
        error_body(error.code, message, error.details, now, request_id), status=error.status, headers=headers
    )
