"""The one error shape (api.md §1), for everything that can go wrong."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web

from ecpmon.api.common import rfc3339
from ecpmon.api.context import CONTEXT, REQUEST_ID
from ecpmon.api.messages import KOREAN, prefers_korean
from ecpmon.errors import EcpError

_HTTP_CODES: Final = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}


def request_id_of(request: web.Request) -> str:
    """The caller's `X-Request-ID` when it is sane, else a new one."""
    if REQUEST_ID in request:
        return request[REQUEST_ID]
    given = request.headers.get("X-Request-ID", "")
    sane = 0 < len(given) <= 128 and given.isascii() and given.isprintable()
    request[REQUEST_ID] = given if sane else f"req-{uuid.uuid4().hex[:12]}"
    return request[REQUEST_ID]


def error_document(request: web.Request, code: str, message: str, details: dict[str, Any]) -> dict[str, Any]:
    """The body of an error answer, in the caller's language."""
    if prefers_korean(request.headers.get("Accept-Language", "")):
        message = KOREAN.get(code, message)
    return {
        "error": {
            "code": code,
            "message": message,
            "details": details,
            "timestamp": rfc3339(request.app[CONTEXT].clock.now()),
            "request_id": request_id_of(request),
        }
    }


def error_response(request: web.Request, error: EcpError) -> web.Response:
    """An error of ours as an answer, with `Retry-After` and `WWW-Authenticate` where they belong."""
    headers: dict[str, str] = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after or 1)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(request, error.status, error.code, error.message, error.details, headers)


def http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own errors (unknown path, wrong method, body too large) in our shape."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = _HTTP_CODES.get(error.status, "HTTP_ERROR")
    message = {
        404: f"there is nothing at {request.path}; GET /docs lists what there is",
        405: f"{request.method} is not possible here; allowed: {headers.get('Allow', '')}",
        413: "the body is too large; send it in parts",
    }.get(error.status, HTTPStatus(error.status).phrase)
    return _response(request, error.status, code, message, {}, headers)


def internal_error_response(request: web.Request) -> web.Response:
    """A bug of ours: the details are in the log, under the request id."""
    return _response(
        request, 500, "INTERNAL_ERROR", "this is a fault of the server; it has been logged", {}, {}
    )


def _response(
    request: web.Request,
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
    headers: dict[str, str],
) -> web.Response:
    body = orjson.dumps(error_document(request, code, message, details), default=str)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
