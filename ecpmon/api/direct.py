"""The short way of pushes, past router and middlewares, for those that have nothing unusual about them.

A push is what is answered most often by far, and what is around its handler costs more than the handler. So a small,
plain push of a sender who is known goes straight to it. Invariants, of every short way (`ShortWays`):

- What is done and refused here is done by the functions of the long way (`middleware`), in their order: turn of the
  loop, caller, tenant, what is left of its shares, memory, turn of pushes.
- Whatever is not plain takes the long way, before anything but a turn of the loop was spent on it: another path or
  method, a header that asks for something, a body that has to be waited for or decoded, a token or tenant that is not
  in memory, a caller who may not. So no one is refused here for who he is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

from aiohttp import HttpVersion11, web

from ecpmon.api.addresses import Asking
from ecpmon.api.auth import EVERYBODY, bearer_token, group_of, held_caller, share_of, tenant_share
from ecpmon.api.bodies import at_hand
from ecpmon.api.context import BACKEND, CALLER, CONTEXT, TENANT, Backend
from ecpmon.api.limits import LIMITS
from ecpmon.api.middleware import begin, count, error_answer, finish
from ecpmon.api.origins import ORIGINS
from ecpmon.api.pushing import Desk, Pushed
from ecpmon.api.routing import ROLES, Permission
from ecpmon.api.written import as_written, written
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.ports.tokens import Caller
from ecpmon.serving import new_request_id
from ecpmon.wholes import Answer, ShortWay, Whole, WholeRequests

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OF_TENANT: Final = f"/api/v1/tenants/({TENANT_ID_PATTERN.strip('^$').replace('(', '(?:')})"
_NAMED: Final = f"{OF_TENANT}/monitoring"
_PATH: Final = re.compile(_NAMED)
_LINE: Final = re.compile(f"POST {_NAMED} HTTP/1\\.1")
# Who sends one of these wants something that is looked at on the long way.
_ASKING: Final = ("Expect", "Content-Encoding", "Transfer-Encoding", "Upgrade", "X-Debug")
_MAY_PUSH: Final = ROLES[Permission.INGEST]


def _in_vain(request: web.Request) -> bool:
    """Whether it came whole, and was tried already."""
    return isinstance(request.protocol, WholeRequests) and request.protocol.given_back


class ShortWays:
    """What every short way does as the long one does it."""

    def __init__(self, app: web.Application, backend: Backend) -> None:
        """`backend`: of whoever does not choose one."""
        self._app = app
        self._context = app[CONTEXT]
        self._settings = self._context.settings
        self._limits = app[LIMITS]
        self._backend = backend
        # Who names the mode that he has anyway asks for nothing: clients send it with every request.
        self._usual_mode = "true" if backend.demo else "false"

    def _caller(self, token: str | None, now: datetime) -> Caller | None:
        """None: he has to be looked up."""
        return EVERYBODY if token is None else held_caller(self._context, self._backend, token, now)

    def _sender(self, token: str | None, tenant_id: str) -> tuple[str | None, str] | None:
        """His token, and whose turn of the loop it is (`auth.sender_of`); None: he is not known yet."""
        if self._settings.auth == "none":
            return None, tenant_id
        group = self._limits.good_tokens.group_of(token) if token else None
        return None if group is None else (token, group)

    def _sender_of(self, request: Whole, tenant_id: str) -> tuple[str | None, str] | None:
        """The same of one that came whole, unless it chooses a mode."""
        given = request.headers
        if given.get("X-Demo-Mode", self._usual_mode) != self._usual_mode:
            return None
        scheme, _, token = given.get("Authorization", "").partition(" ")
        return self._sender(token.strip() if scheme.lower() == "bearer" else None, tenant_id)

    async def _refused(
        self, error: Exception, known: Mapping[Any, Any], asked: web.BaseRequest
    ) -> web.StreamResponse:
        """As the long way refuses, which wants to know where the request was going. `known`: of it, so far."""
        request = cast(web.Request, asked)
        request._match_info = await self._app.router.resolve(request)
        request.match_info.add_app(self._app)
        request[BACKEND] = self._backend
        for key, value in known.items():
            request[key] = value
        begin(request)
        return finish(request, await error_answer(request, error))


class DirectPushes(ShortWays):
    """`way(handler)`: the handler of an application, with the short way before it."""

    def __init__(self, app: web.Application, backend: Backend) -> None:
        super().__init__(app, backend)
        # A page may have to be told that it may read the answer, or that it may not push.
        pages_matter = app[ORIGINS] or self._settings.auth == "none"
        self._asking = (*_ASKING, "Origin") if pages_matter else _ASKING
        self._desk = Desk.of(app, backend)

    def way(self, long_way: Handler) -> Handler:
        """For a request as aiohttp has it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            tenant_id = None if _in_vain(request) else self._plain(request)
            sender = None if tenant_id is None else self._sender(bearer_token(request), tenant_id)
            if tenant_id is None or sender is None:
                return await long_way(request)
            answer = await self._pushed(request, tenant_id, sender, request.content.read_nowait)
            if answer is None:
                return await long_way(request)
            return written(202, answer) if isinstance(answer, bytes) else await answer(request)

        return handle

    @property
    def short(self) -> ShortWay:
        """For one that came whole, which need not be aiohttp's."""
        return ShortWay(_LINE, self._taken_whole)

    def _taken_whole(self, request: Whole) -> Coroutine[Any, Any, Answer] | None:
        if len(request.body) > self._settings.max_body_bytes:
            return None
        sender = self._sender_of(request, request.place)
        return None if sender is None else self._pushed(request, request.place, sender, lambda: request.body)

    def _plain(self, request: web.Request) -> str | None:
        """The tenant's name when the request is a push without anything unusual."""
        if request.method != "POST" or (path := _PATH.fullmatch(request.raw_path)) is None:
            return None
        headers = request.headers
        for name in self._asking:
            if name in headers:
                return None
        if headers.get("X-Demo-Mode", self._usual_mode) != self._usual_mode:
            return None
        plain = request.version == HttpVersion11 and request.keep_alive
        return path[1] if plain and at_hand(request, self._settings.max_body_bytes) else None

    async def _pushed(
        self, request: Asking, tenant_id: str, sender: tuple[str | None, str], body: Callable[[], bytes]
    ) -> Answer:
        """What becomes of it. `sender` as `_sender` has it."""
        backend, (token, turn) = self._backend, sender
        await self._limits.loop.wait(turn)
        now = self._context.clock.now()
        caller = self._caller(token, now)
        tenant = backend.tenants.held(tenant_id)
        if caller is None or tenant is None or not (caller.may_see(tenant) and caller.roles & _MAY_PUSH):
            return None
        own = share_of(caller, request, self._app)
        shares = (own, tenant_share(caller, tenant_id, demo=backend.demo))
        try:
            self._limits.check_push(shares, now)
            key = turn if token is not None else group_of(caller, own)
            pushed = Pushed(self._desk, tenant, shares, now)
            accepted = await self._taken(body, pushed, key)
        except Exception as error:  # noqa: BLE001 - the long way answers all of them as well
            return partial(self._refused, error, {CALLER: caller, TENANT: tenant})
        count(self._context, tenant_id, "POST", 202, demo=backend.demo)
        headers = request.headers
        return as_written(
            202, pushed.told(accepted, headers), new_request_id(headers.get("X-Request-ID", ""))
        )

    async def _taken(self, body: Callable[[], bytes], pushed: Pushed, key: str) -> int:
        """The number of samples that were committed."""
        limits, sent = self._limits, body()
        size = len(sent)
        if not limits.pushes.take_free(key):
            await limits.pushes.wait(key)
        try:
            limits.memory.take(key, size)
            try:
                limits.charge_body(pushed.shares, size, pushed.now)
                await pushed.take_apart(sent)
                return await pushed.commit()
            finally:
                limits.memory.give(key, size)
        finally:
            limits.pushes.leave(key)
