"""Every answer of every application that a test makes, the API's and the simulator's, is compared with what its route
declares.

`watch()` is begun once per session (`conftest.py`); whatever was not as declared is in `FOUND`, and fails the test in
which it was found. Routes that declare nothing yet are left alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

import pytest
from aiohttp import hdrs, web
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ecpmon.api import application, common, direct, direct_questions, pushing
from ecpmon.api.middleware import route_of
from ecpmon.api.openapi.refusals import refusals_of
from ecpmon.openapi import declaring
from ecpmon.openapi.declaring import Contract, Json
from ecpmon.openapi.details import details_of
from ecpmon.openapi.errors import ErrorDocument
from ecpmon.openapi.facts import Declared
from ecpmon.simulator import server as simulator
from ecpmon.simulator import web as simulator_web
from ecpmon.simulator.openapi import refusals_of as refusals_of_simulator
from ecpmon.wholes import Whole
from ecpmon.wire import dumps
from tests import declared_sockets

FOUND: Final[list[str]] = []
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
_asked: ContextVar[Declared | None] = ContextVar("route", default=None)
_OF_BODIES: Final = (408, 413, 415)
# Inherited by every TypedDict within: what is not declared is refused, and nothing is taken for something else.
_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """Applications that are made from now on are watched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "envelope", _watched(application.envelope, route_of, refusals_of))
        of_simulator = _watched(simulator.errors_and_ids, route_of_simulator, refusals_of_simulator)
        patch.setattr(simulator, "errors_and_ids", of_simulator)
        patch.setattr(simulator_web, "validated", _noting("body", simulator_web.validated))
        patch.setattr(common, "parse_model", _noting("body", common.parse_model))
        patch.setattr(declaring, "parse_query", _noting("query", declaring.parse_query))
        patch.setattr(direct, "as_written", _pushed(direct.as_written))
        asked = direct_questions.DirectQuestions
        patch.setattr(asked, "_written", _answered(asked._written))
        declared_sockets.watch(patch, FOUND.append)
        yield


def taken() -> list[str]:
    """What was found since the last time."""
    found = list(dict.fromkeys(FOUND))
    FOUND.clear()
    return found


Refused = Callable[[Any], Mapping[int, tuple[str, ...]]]


def route_of_simulator(request: web.Request) -> Declared | None:
    """None: it is unknown, or one of the Kubernetes API."""
    return _of_simulator().get(request.match_info.handler)


@cache
def _of_simulator() -> dict[Any, Declared]:
    return {route.handler: route for route in simulator.route_table()}


def _watched(
    envelope: Callable[[web.Request, Next], Awaitable[web.StreamResponse]],
    route_of: Callable[[web.Request], Declared | None],
    refused: Refused,
) -> Any:
    @web.middleware
    async def watched(request: web.Request, handler: Next) -> web.StreamResponse:
        route = route_of(request)
        token = _asked.set(route)
        try:
            response = await envelope(request, handler)
        finally:
            _asked.reset(token)
        if route is not None and route.contract is not None:
            FOUND.extend(
                f"{route.method} {route.path}: {p}" for p in problems(route, request, response, refused)
            )
        return response

    return watched


def _pushed(as_written: Callable[[int, bytes, str], bytes]) -> Any:
    """The short way of pushes, past the middlewares."""
    (route,) = pushing.routes.table
    assert route.contract is not None
    shape = route.contract.answers[202]

    def watched(status: int, body: bytes, request_id: str) -> bytes:
        wrong = f"status {status} is not declared" if status != 202 else _wrong(shape, body)
        if wrong is not None:
            FOUND.append(f"{route.method} {route.path}, the short way: {wrong}")
        return as_written(status, body, request_id)

    return watched


def _answered(write: Callable[..., bytes]) -> Any:
    """That of questions."""
    shapes = {
        route.path.rpartition("/")[2]: route.contract.answers[200]
        for route in application.route_table()
        if route.method == "GET"
        and route.path in {f"/api/v1/tenants/{{tenant_id}}/{name}" for name in direct_questions.QUESTIONS}
        and route.contract is not None
    }
    assert shapes.keys() == direct_questions.QUESTIONS.keys()

    def watched(questions: Any, request: Whole, body: bytes, own: str) -> bytes:
        path = request.place.partition("?")[0]
        wrong = _wrong(shapes[path.rpartition("/")[2]], body)
        if wrong is not None:
            FOUND.append(f"GET {path}, the short way: {wrong}")
        return write(questions, request, body, own)

    return watched


def _noting(what: str, parse: Callable[..., Any]) -> Callable[..., Any]:
    def noted(document: Any, model: Any) -> Any:
        route = _asked.get()
        if route is not None and route.contract is not None and not _is_declared(what, model, route.contract):
            FOUND.append(
                f"{route.method} {route.path}: its {what} is read as {model.__name__}, which it does not declare"
            )
        return parse(document, model)

    return noted


def _is_declared(what: str, model: Any, declared: Contract) -> bool:
    if what == "query":
        return declared.query is model
    return any(isinstance(kind, Json) and _holds(kind.shape, model) for kind in declared.kinds_of_body)


def _holds(shape: Any, model: Any) -> bool:
    """Whether `model` is the shape, or one of those that it is a union of."""
    return shape is model or any(_holds(each, model) for each in getattr(shape, "__args__", ()))


def problems(
    route: Declared, request: web.Request, response: web.StreamResponse, refused: Refused
) -> Iterator[str]:
    """What of an answer is not as its route declares."""
    declared, status = route.contract, response.status
    assert declared is not None
    if route.socket and status < 400:
        return
    if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and request.body_exists and status in _OF_BODIES:
        return  # nobody's GET has one (docs/contract.md)
    codes = refused(route).get(status, ())
    if status not in declared.answers and not codes:
        yield f"status {status} is not declared"
        return
    if not isinstance(response, web.Response) or request.method == hdrs.METH_HEAD:
        return
    body = response.body
    if status >= 400 and (problem := _refusal(body, codes)) is None:
        return
    if status not in declared.answers:
        yield f"{status}: {problem}"
        return
    yield from _answer(declared, response, body)


def _refusal(body: Any, codes: tuple[str, ...]) -> str | None:
    """What is wrong with an error."""
    try:
        document = _strict(ErrorDocument).validate_json(body)
    except ValidationError as error:
        return f"is no error: {error}"
    code = document["error"]["code"]
    if code not in codes:
        return f"the code {code} is not declared"
    wrong = _wrong(details_of(code), dumps(document["error"]["details"]))
    return None if wrong is None else f"the details of {code} are not as declared: {wrong}"


def _answer(declared: Contract, response: web.Response, body: Any) -> Iterator[str]:
    status = response.status
    kinds = [k for k in declared.kinds_of_answer(status) if k.media_type == response.content_type]
    if not kinds:
        if body or declared.kinds_of_answer(status):
            yield f"{status}: {response.content_type} is not declared"
        return
    if not any(set(kind.headers) <= response.headers.keys() for kind in kinds):
        yield f"{status}: a declared header is missing: {dict(response.headers)}"
    shapes = [kind.shape for kind in kinds if isinstance(kind, Json)]
    if shapes and "Content-Encoding" not in response.headers:
        wrong = [wrong for shape in shapes if (wrong := _wrong(shape, body)) is not None]
        if len(wrong) == len(shapes):
            yield f"{status}: {' or '.join(wrong)}"


def _wrong(shape: Any, body: Any) -> str | None:
    try:
        _strict(shape).validate_json(body)
    except ValidationError as error:
        return str(error)
    return None


_KEPT: Final[dict[int, Any]] = {}


def _strict(shape: Any) -> TypeAdapter[Any]:
    _KEPT[id(shape)] = shape  # so that its id stays its own
    return _adapter(id(shape))


@cache
def _adapter(number: int) -> TypeAdapter[Any]:
    # A TypedDict's own adapter takes no settings; a tuple of one does.
    return _First(TypeAdapter(tuple[_KEPT[number]], config=_STRICT))  # type: ignore[return-value]


class _First:
    """The adapter of what stands in a tuple of one."""

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        self._adapter = adapter

    def validate_json(self, body: Any) -> Any:
        return self._adapter.validate_json(b"[" + (body or b"") + b"]")[0]
