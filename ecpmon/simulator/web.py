"""What every route shares: one error shape, request ids, JSON in and out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from ecpmon.errors import BadRequest, EcpError, UnsupportedEncoding, ValidationFailed
from ecpmon.korean.messages import details_in_korean, in_korean, prefers_korean
from ecpmon.openapi.declaring import field_errors
from ecpmon.serving import begun, code_of, request_id_of
from ecpmon.simulator.engine import Engine
from ecpmon.wire import dumps, error_document

log = logging.getLogger("ecpmon.simulator")

ENGINE: Final = web.AppKey("engine", Engine)

M = TypeVar("M", bound=BaseModel)


def engine_of(request: web.Request) -> Engine:
    return request.app[ENGINE]


def answer(document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=dumps(document), status=status, headers=headers, content_type="application/json")


async def read_body(request: web.Request, model: type[M], *, optional: bool = False) -> M:
    """The request's JSON as `model`: BadRequest when it is not JSON, ValidationFailed when it does not fit."""
    raw = await request.read()
    if not raw and optional:
        raw = b"{}"
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    return validated(document, model)


def validated(document: Any, model: type[M]) -> M:
    """`document` as `model`; ValidationFailed with one entry per bad field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ValidationFailed("the request has bad fields", fields=field_errors(error)) from None


@web.middleware
async def errors_and_ids(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes the one error shape; every answer carries its request id."""
    response = await _guarded(request, handler)
    if not response.prepared:
        response.headers["X-Request-ID"] = request_id_of(request)
    return response


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.headers.get("Content-Encoding", "").lower() not in ("", "identity"):
            raise UnsupportedEncoding("the simulator takes bodies without a Content-Encoding")
        return await handler(request)
    except web.RequestPayloadError:
        return _problem(request, 400, "BAD_REQUEST", "the body ended before it was complete", {}, {})
    except EcpError as error:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return _problem(request, error.status, error.code, error.message, error.details, headers)
    except web.HTTPException as error:
        code = code_of(error.status)
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        message = f"{request.method} {request.path}: {error.reason}"
        return _problem(request, error.status, code, message, {}, headers)
    except ConnectionError:
        raise
    except Exception:
        log.exception("request %s failed: %s %s", request_id_of(request), request.method, request.path)
        if begun(request):  # a second answer would be written into the first
            raise
        message = "the simulator failed to answer; its log has the details"
        return _problem(request, 500, "INTERNAL_ERROR", message, {}, {})


def _problem(
    request: web.Request,
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any],
    headers: Mapping[str, str],
) -> web.Response:
    if prefers_korean(request.headers.get("Accept-Language", "")):
        message, details = in_korean(code, message), details_in_korean(details)
    # Not simulated time: this is about the request, and helps to find it in logs.
    now = datetime.now(UTC)
    return answer(
        error_document(code, message, details, now, request_id_of(request)), status=status, headers=headers
    )
