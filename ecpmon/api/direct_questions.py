"""The short way of questions that are asked all the time, as `direct` is that of pushes and with the same invariants.

What a tenant's plots and its SLA are asked for costs less than what is around the handlers. A question takes the long
way also when its query string is not plain, or refused, and when there is none but a deleted tenant to tell of. What
was counted for it until then is given back.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final

from aiohttp import hdrs, web

from ecpmon.api import monitoring, sla
from ecpmon.api.auth import group_of, share_of, tenant_share
from ecpmon.api.context import CALLER, TENANT, Backend
from ecpmon.api.direct import OF_TENANT, ShortWays
from ecpmon.api.errors import LEFT, POLICY
from ecpmon.api.limits import COUNTED
from ecpmon.api.middleware import count
from ecpmon.api.origins import ORIGINS
from ecpmon.api.routing import ROLES, Permission
from ecpmon.api.written import as_written
from ecpmon.errors import ValidationFailed
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, names_of, parse_query
from ecpmon.ports.lanes import question as asked_by
from ecpmon.ports.tokens import Caller
from ecpmon.serving import new_request_id
from ecpmon.wholes import Answer, ShortWay, Whole

_MAY_READ: Final = ROLES[Permission.READ]
# Of a query string in which nothing is encoded.
_PAIR: Final = "[a-z_]{1,40}=[A-Za-z0-9_.,:-]{0,100}"


@dataclass(frozen=True, slots=True)
class Question:
    """`query`: what it may ask for; `answer`: JSON, or None for the long way."""

    query: type[Query]
    answer: Callable[[Backend, Caller, Tenant, Any, datetime], Awaitable[bytes | None]]


QUESTIONS: Final = {
    "monitoring": Question(monitoring.Asked, monitoring.told),
    "sla": Question(sla.Asked, sla.told),
}
# Any question's: after one that is not taken the next one may be.
_LINE: Final = re.compile(r"GET (/[!-~]*) HTTP/1\.1")
_PATH: Final = re.compile(rf"{OF_TENANT}/({'|'.join(QUESTIONS)})(?:\?({_PAIR}(?:&{_PAIR}){{0,9}}))?")


@lru_cache(maxsize=256)
def _asked(text: str, name: str) -> Query:
    """What a query string that is plain asks of the question of that name. Raises ValidationFailed."""
    query = QUESTIONS[name].query
    pairs = [pair.partition("=")[::2] for pair in text.split("&") if pair]
    given = dict(pairs)
    if len(given) < len(pairs) or not names_of(query).issuperset(given):
        raise ValidationFailed("not as it should be", fields=[])
    return parse_query(given, query)


class DirectQuestions(ShortWays):
    """For those that came whole; one that did not is answered no faster."""

    def __init__(self, app: web.Application, backend: Backend) -> None:
        super().__init__(app, backend)
        self._more = ((hdrs.VARY, hdrs.ORIGIN),) if app[ORIGINS] else ()

    @property
    def short(self) -> ShortWay:
        return ShortWay(_LINE, self._taken_whole, question=True)

    def _taken_whole(self, request: Whole) -> Coroutine[Any, Any, Answer] | None:
        if (path := _PATH.fullmatch(request.place)) is None:
            return None
        question, sender = QUESTIONS[path[2]], self._sender_of(request, path[1])
        if sender is None:
            return None
        try:
            asked = _asked(path[3] or "", path[2])
        except ValidationFailed:
            return None
        return self._answered(request, path[1], question, asked, sender)

    async def _answered(
        self, request: Whole, tenant_id: str, question: Question, asked: Query, sender: tuple[str | None, str]
    ) -> Answer:
        """`sender` as `_sender` has it."""
        limits, backend, (token, turn) = self._limits, self._backend, sender
        await limits.loop.wait(turn)
        now = self._context.clock.now()
        caller, tenant = self._caller(token, now), backend.tenants.held(tenant_id)
        if caller is None or tenant is None or not (caller.may_see(tenant) and caller.roles & _MAY_READ):
            return None
        own = share_of(caller, request, self._app)
        try:
            limits.requests.take(own, now)
        except Exception as error:  # noqa: BLE001 - as the long way answers it, which knows nobody by then
            return partial(self._refused, error, {COUNTED: own})
        try:
            limits.check_body((own, tenant_share(caller, tenant_id, demo=backend.demo)), now)
            with asked_by(turn):
                async with limits.questions.turn(group_of(caller, own)):
                    body = await question.answer(backend, caller, tenant, asked, self._context.clock.now())
        except Exception as error:  # noqa: BLE001 - the long way answers all of them as well
            return partial(self._refused, error, {COUNTED: own, CALLER: caller, TENANT: tenant})
        if body is None:
            limits.requests.charge(own, -1, now)
            return None
        count(self._context, tenant_id, "GET", 200, demo=backend.demo)
        return self._written(request, body, own)

    def _written(self, request: Whole, body: bytes, own: str) -> bytes:
        requests, request_id = self._limits.requests, new_request_id(request.headers.get("X-Request-ID", ""))
        left = requests.left(own, self._context.clock.now())
        return as_written(200, body, request_id, (POLICY, requests.policy), (LEFT, left), *self._more)
