"""Small things every handler needs: the tenant of the request, JSON in and out, numbers and percentages."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, ParamSpec, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ecpmon.api.answers.common import Bounded, Certainty, ShownState
from ecpmon.api.bodies import BODY, read_body
from ecpmon.api.context import BACKEND, CALLER, CONTEXT, TENANT, Backend
from ecpmon.api.limits import LIMITS
from ecpmon.api.texts import MAX_MEMBERS, check_document, check_width, mended, too_many
from ecpmon.errors import BadRequest, PayloadTooLarge, TenantNotFound, ValidationFailed, told
from ecpmon.model.availability import SpanState
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.openapi.declaring import field_errors
from ecpmon.wire import dumps, encodable

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
T = TypeVar("T")
_TENANT_ID: Final = re.compile(TENANT_ID_PATTERN)
MAX_VALUES: Final = 100_000
# Bytes of a document: taking it apart is one step of the event loop, a few milliseconds of this.
MAX_DOCUMENT: Final = 2**20
MAX_KEY: Final = 200
_SHOWN: Final[dict[SpanState | None, ShownState]] = {
    SpanState.UP: "up", SpanState.DOWN: "down", SpanState.GAP: "gap", None: "none",
}  # fmt: skip


def percent(fraction: float | None) -> float | None:
    """0–1 as 0–100, unrounded."""
    return None if fraction is None else fraction * 100


def minutes(seconds: float) -> float:
    return seconds / 60


def certainty(
    low: float | None, high: float | None, coverage: float | None, state: SpanState | None
) -> Certainty:
    """What goes with every availability that is shown: bounds and coverage in percent, and whether it is `stale`, as
    nobody knows what the tenant is now."""
    return {**bounded(low, high, coverage), "stale": is_stale(state)}


def bounded(low: float | None, high: float | None, coverage: float | None) -> Bounded:
    return {"bounds": {"low": percent(low), "high": percent(high)}, "coverage": percent(coverage)}


def is_stale(state: SpanState | None) -> bool:
    """Whether what was measured last does not hold any more, or nothing ever was."""
    return state is None or state is SpanState.GAP


def shown_state(state: SpanState | None) -> ShownState:
    """`none`: it was never observed."""
    return _SHOWN[state]


def reply(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer; datetimes become RFC 3339 with `Z`."""
    return web.Response(body=dumps(document), status=status, headers=headers, content_type="application/json")


def long_turn(request: web.Request, tenant: Tenant) -> AbstractAsyncContextManager[None]:
    """For what reads much at once: one of a tenant, a few in all. Raises RateLimited, Overloaded."""
    mode = "demo" if backend_of(request).demo else "live"
    return request.app[LIMITS].long.turn(f"{mode} {tenant.key}")


# So many occurrences of maintenance, or steps of a plot, are worked out where we are: a thread would cost more.
FEW: Final = 50


async def worked_out(
    request: web.Request,
    tenant: Tenant,
    much: int,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """`function`, and `apart` when there is much of what it costs by (`sla.maintenance.effort`). Raises Overloaded."""
    return await worked_out_for(backend_of(request), tenant, much, function, *args, **kwargs)


async def worked_out_for(
    backend: Backend,
    tenant: Tenant,
    much: int,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """As `worked_out`, for what no single request asks for."""
    if much <= FEW:
        return function(*args, **kwargs)
    return await backend.workers.run(tenant.key, function, *args, **kwargs)


async def apart(
    request: web.Request, tenant: Tenant, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`function` in a thread, when it is the tenant's turn: for what may hold the event loop. Raises Overloaded."""
    return await backend_of(request).workers.run(tenant.key, function, *args, **kwargs)


def now_of(request: web.Request) -> datetime:
    return request.app[CONTEXT].clock.now()


def backend_of(request: web.Request) -> Backend:
    return request[BACKEND]


async def known_tenant(request: web.Request) -> Tenant:
    """The tenant named in the path, if the caller may see it, as it was up to a second ago: from memory.

    For questions, and for who is decided about again in a commit. Raises TenantNotFound.
    """
    return await _seen(request, request.match_info["tenant_id"], backend_of(request).tenants.known)


async def stored_tenant(request: web.Request) -> Tenant:
    """The same as it is now: for who changes it, or shows what it is changed by. Raises TenantNotFound."""
    return await _seen(request, request.match_info["tenant_id"], backend_of(request).tenants.get)


async def tenant_of(request: web.Request, *, with_deleted: bool = False) -> Tenant:
    """`known_tenant` for a question, else `stored_tenant`. Raises TenantNotFound: 404, not 403.

    `with_deleted`: if there is no live one of that name that is the caller's, the one of his that was deleted last.
    """
    find = known_tenant if request.method == "GET" else stored_tenant
    if not with_deleted:
        return await find(request)
    try:
        return await find(request)
    except TenantNotFound:
        check_name(request)
    store, name = backend_of(request).tenants, request.match_info["tenant_id"]
    return await store.get_with_deleted(name, among=request[CALLER].tenants)


async def tenant_named(request: web.Request, tenant_id: str) -> Tenant:
    """As `stored_tenant`, for a name from elsewhere."""
    return await _seen(request, tenant_id, backend_of(request).tenants.get)


def check_name(request: web.Request) -> None:
    """The name in the path may be a tenant's. Raises TenantNotFound."""
    _check_name(request.match_info["tenant_id"])


def _check_name(tenant_id: str) -> None:
    """Nothing but a possible name reaches the database. Raises TenantNotFound."""
    if not _TENANT_ID.fullmatch(tenant_id):
        raise TenantNotFound(tenant_id[:100])


async def _seen(request: web.Request, tenant_id: str, find: Callable[[str], Awaitable[Tenant]]) -> Tenant:
    _check_name(tenant_id)
    tenant = await find(tenant_id)
    if not request[CALLER].may_see(tenant):
        raise TenantNotFound(tenant_id)
    request[TENANT] = tenant
    return tenant


async def seen_tenants(request: web.Request) -> list[str] | None:
    """Names of the live tenants that the caller may see; None: every tenant there is."""
    caller = request[CALLER]
    if caller.tenants is None:
        return None
    found = await backend_of(request).tenants.live_of(caller.names) if caller.names else ()
    return sorted(t.tenant_id for t in found if caller.may_see(t))


async def read_document(request: web.Request, most: int = MAX_DOCUMENT) -> bytes:
    """The body, when it has `most` bytes at most. Raises PayloadTooLarge, and what `read_body` raises."""
    raw = await read_body(request)
    if len(raw) > most:
        raise PayloadTooLarge(f"a document has at most {most} bytes here, and this one {len(raw)}")
    return raw


async def read_json(request: web.Request, *, last_counts: bool = False, most: int = MAX_DOCUMENT) -> Any:
    """The body as JSON. `NaN` and infinities come out as floats, so that they can be refused one by one.

    For documents; pushed samples come through `entries_of`. `last_counts`: of a key that stands twice in an object.
    Raises what `read_document` raises, BadRequest (not JSON, too deep), PayloadTooLarge (so many values that taking
    them apart would hold the event loop), ValidationFailed (a key stands twice).
    """
    raw = await read_document(request, most)
    if raw.count(b",") + raw.count(b":") > MAX_VALUES:
        raise PayloadTooLarge(f"the body holds more than {MAX_VALUES} values; send it in parts")
    try:
        return json.loads(raw, object_pairs_hook=None if last_counts else _Objects())
    except RecursionError:
        raise BadRequest("the body is not JSON: nested too deep") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not JSON: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    except ValueError:  # a whole number of too many digits
        raise BadRequest("the body is not JSON: a number has too many digits") from None


class _Objects:
    """What objects of a document become. Called with each one's members, as soon as they are read."""

    def __init__(self) -> None:
        self._left = MAX_MEMBERS

    def __call__(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        """Raises ValidationFailed when a key stands twice: whoever wrote it meant both. And when all objects together
        have more members than any document may: the rest need not be read.
        """
        made = dict(members)
        if len(made) < len(members):
            twice = next(key for key, count in Counter(key for key, _ in members).items() if count > 1)
            raise bad_field(encodable(twice)[:MAX_KEY], "stands twice in one object")
        self._left -= max(1, len(members))  # an empty one costs a call as well
        if self._left < 0:
            raise too_many()
        return made


async def read_model(
    request: web.Request,
    model: type[M],
    *,
    optional: bool = False,
    mend: bool = False,
    most: int = MAX_DOCUMENT,
) -> M:
    """The body as `model`. Raises ValidationFailed with one entry per bad field.

    `mend`: what is no text (NUL, half a surrogate pair) is replaced and not refused, and of a key that stands twice the
    last one counts.
    """
    if optional and BODY not in request and not request.can_read_body:
        return parse_model({}, model)
    document = await read_json(request, last_counts=mend, most=most)
    return parse_model(mended(document) if mend else document, model)


def parse_model(document: Any, model: type[M]) -> M:
    if not isinstance(document, dict):
        raise ValidationFailed(
            "the body must be a JSON object", fields=[{"field": "", "message": "not an object"}]
        )
    check_width(document)
    check_document(document)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ValidationFailed("some fields are not as they should be", fields=field_errors(error)) from error


def bad_field(field: str, message: str) -> ValidationFailed:
    fields = [{"field": field, "message": message}]
    return ValidationFailed(told(fields), fields=fields)
