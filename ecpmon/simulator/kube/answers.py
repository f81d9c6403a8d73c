"""Documents and failures as HTTP answers: every failure is a `Status`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from ecpmon.errors import EcpError
from ecpmon.simulator.kube.checking import Write
from ecpmon.simulator.kube.negotiation import JSON, Wish, encode
from ecpmon.simulator.kube.status import INTERNAL, ApiError, bad_request
from ecpmon.simulator.model import kube as cluster
from ecpmon.wire import dumps

log = logging.getLogger("ecpmon.simulator")


def respond(document: object, wish: Wish, status: int = 200) -> web.Response:
    """The document in the form that the client takes."""
    body = encode(document, wish.media)
    return web.Response(body=body, status=status, headers={"Content-Type": wish.media})


def warned(response: web.Response, write: Write) -> web.Response:
    """Tell the client what was ignored."""
    for text in write.warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


async def answered(
    request: web.Request, dispatch: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every failure of `dispatch` as a `Status`; a broken connection passes through."""
    try:
        return await dispatch(request)
    except ApiError as error:
        return refused(error)
    except cluster.Refused as error:
        return refused(_translated(error))
    except EcpError as error:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        reason = "ServiceUnavailable" if error.status == 503 else "InternalError"
        return refused(ApiError(error.status, reason, error.message, headers=headers))
    except web.RequestPayloadError:
        return refused(bad_request("the body ended before it was complete"))
    except RecursionError:
        return refused(bad_request("the object is nested too deeply"))
    except ConnectionError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refused(INTERNAL)


def _translated(error: cluster.Refused) -> ApiError:
    details = {"causes": error.causes} if error.causes else {}
    return ApiError(error.code, error.reason, error.message, details=details)


def refused(error: ApiError) -> web.Response:
    """An `ApiError` as its answer; always JSON, which every client reads."""
    body = dumps(error.as_document())
    return web.Response(body=body, status=error.code, headers={"Content-Type": JSON, **error.headers})
