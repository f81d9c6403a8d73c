"""The one error shape (api.md §1), for everything that can go wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from aiohttp import web

from ecpmon import wire
from ecpmon.api.context import CONTEXT
from ecpmon.errors import EcpError
from ecpmon.korean.messages import details_in_korean, in_korean, prefers_korean
from ecpmon.serving import BROKEN, code_of, reason_of, request_id_of

# draft-ietf-httpapi-ratelimit-headers-10 (docs/limits.md).
POLICY: Final = "RateLimit-Policy"
LEFT: Final = "RateLimit"
_NO_HANDSHAKE: Final = (
    "No WebSocket UPGRADE",
    "No CONNECTION upgrade",
    "Unsupported version",
    "Handshake error",
)


def error_document(request: web.Request, code: str, message: str, details: dict[str, Any]) -> dict[str, Any]:
    """The body of an error answer, in the caller's language."""
    if speaks_korean(request):
        message, details = in_korean(code, message), details_in_korean(details)
    now = request.app[CONTEXT].clock.now()
    return wire.error_document(code, message, details, now, request_id_of(request))


def speaks_korean(request: web.Request) -> bool:
    return prefers_korean(request.headers.get("Accept-Language", ""))


def described(error: EcpError, *, korean: bool, now: datetime, request_id: str) -> dict[str, Any]:
    """The same to a socket, whose request is long over."""
    message, details = error.message, error.details
    if korean:
        message, details = in_korean(error.code, message), details_in_korean(details)
    return wire.error_document(error.code, message, details, now, request_id)


def error_response(request: web.Request, error: EcpError) -> web.Response:
    """An error of ours as an answer, with `Retry-After` and `WWW-Authenticate` where they belong."""
    headers: dict[str, str] = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after or 1)
    if error.limits is not None:
        headers[POLICY], headers[LEFT] = error.limits
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(request, error.status, error.code, error.message, error.details, headers)


def http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own errors (unknown path, wrong method, body too large) in our shape."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = code_of(error.status)
    message = {
        404: f"there is nothing at {request.path}; GET /openapi.json says what there is, /docs shows it",
        405: f"{request.method} is not possible here; allowed: {headers.get('Allow', '')}",
        413: "the body is too large; send it in parts",
    }.get(error.status, _own_words(reason_of(error)))
    return _response(request, error.status, code, message, {}, headers)


def _own_words(reason: str) -> str:
    """aiohttp says of a handshake what its code compared."""
    if reason.startswith(_NO_HANDSHAKE):
        return "this is a WebSocket: send Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Version: 13 and a key"
    return reason


def internal_error_response(request: web.Request) -> web.Response:
    """A bug of ours: the details are in the log, under the request id."""
    return _response(request, 500, code_of(500), BROKEN, {}, {})


def _response(
    request: web.Request,
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
    headers: dict[str, str],
) -> web.Response:
    body = wire.dumps(error_document(request, code, message, details))
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
