"""What Alertmanager tells us (api.md §5). The same alert delivered twice counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Final, Literal, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.alertmanager import AlertmanagerBody, Message, message_of
from ecpmon.api.auth import caller_key
from ecpmon.api.bodies import read_body
from ecpmon.api.common import backend_of, now_of, reply, seen_tenants
from ecpmon.api.context import CONTEXT
from ecpmon.api.limits import LARGE_BODY, LIMITS, SHARES
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Overloaded
from ecpmon.openapi.declaring import TypedDict
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.slices import Slices

routes = Routes()
# Alerts that are committed together.
ALERTS_PER_COMMIT: Final = 200
# What a delivery seen before costs, in new ones.
REPEATED: Final = 0.1


class Refused(TypedDict):
    """An alert that could not be taken."""

    field: Annotated[str, Field(examples=["alerts.3.startsAt"])]
    message: str


class Ignored(TypedDict):
    no_tenant: Annotated[int, Field(description="Alerts that name no tenant.")]
    unknown_tenant: Annotated[int, Field(description="Of tenants that are not there, or not the caller's.")]


class Told(TypedDict):
    """What became of the alerts."""

    received: int
    new: int
    duplicates: int
    firing: int
    resolved: int
    ignored: int
    ignored_reasons: Ignored
    rejected: list[Refused]
    rejected_count: int
    left: Annotated[int, Field(description="Not looked at yet; then the answer is 503, to be sent again.")]
    truncated: Annotated[int, Field(description="What Alertmanager left out itself.")]
    recoveries: Annotated[int, Field(description="Recoveries that were begun.")]


class Processed(Told):
    status: Literal["processed"]


@routes.post(
    "/api/v1/webhooks/tenant-alert",
    Permission.OPERATE,
    drops_4xx=True,
    body=AlertmanagerBody,
    answers={200: Processed},
)
async def tenant_alert(request: web.Request) -> web.Response:
    """Record alerts from Alertmanager, tell the sockets, and restart tenants that are down once."""
    share = request.get(SHARES, (caller_key(request),))[0]
    limits, settings = request.app[LIMITS], request.app[CONTEXT].settings
    limits.alerts.check(share, now_of(request))
    body = await read_body(request)
    async with AsyncExitStack() as stack:
        if len(body) > LARGE_BODY:
            await stack.enter_async_context(limits.large.turn(share))
        message = await message_of(body)
        del body
        receipt = Receipt(request, message, share)
        await receipt.take(settings.max_alerts)
    receipt.count()
    if receipt.left:
        raise Overloaded(
            f"{receipt.left} of {len(message.alerts)} alerts are still to be taken; send the message again",
            details=receipt.told(),
        )
    processed: Processed = {"status": "processed", **receipt.told()}
    return reply(processed)


class Receipt:
    """What became of a message's alerts; `left` were not looked at."""

    def __init__(self, request: web.Request, message: Message, share: str) -> None:
        self._request = request
        self._message = message
        self._share = share
        self._bucket = request.app[LIMITS].alerts
        self._recoveries = 0
        self.left = 0
        # firing, resolved; duplicates; no_tenant, unknown_tenant
        self._counts: Counter[str] = Counter()

    @property
    def new(self) -> int:
        return self._counts["firing"] + self._counts["resolved"]

    async def take(self, most: int) -> None:
        """Take alerts until `most` new ones are stored, or some and the sender's share is used up.

        Those seen before do not count, so that the message is through after some repetitions.
        """
        own = await seen_tenants(self._request)
        self._charge(REPEATED * self._message.refused_count)
        self.left = len(self._message.alerts)
        while self.left and self.new < most and (not self.new or self._has_some()):
            begin = len(self._message.alerts) - self.left
            part = self._message.alerts[begin : begin + min(ALERTS_PER_COMMIT, most - self.new)]
            before = self.new
            await self._take(part, None if own is None else frozenset(own))
            self.left -= len(part)
            fresh = self.new - before
            self._charge(fresh + REPEATED * (len(part) - fresh))

    def _has_some(self) -> bool:
        return self._bucket.has_some(self._share, now_of(self._request))

    def _charge(self, amount: float) -> None:
        self._bucket.charge(self._share, amount, now_of(self._request))

    async def _take(self, part: Sequence[ExternalAlert], own: frozenset[str] | None) -> None:
        backend, now = backend_of(self._request), now_of(self._request)
        mine = part if own is None else self._of(own, part)
        recorded = await backend.external_alerts.record(mine, now, of_tenants_only=own is not None)
        slices = Slices()
        for alert in recorded.fresh:
            self._counts[alert.status] += 1
            backend.hub.external(alert)
            await slices.pause()
        self._counts["unknown_tenant"] += len(recorded.unknown)
        self._counts["duplicates"] += len(mine) - len(recorded.fresh) - len(recorded.unknown)
        # Not only the fresh ones: a crash between recording an alert and acting on it must not lose the act.
        self._recoveries += await backend.recoveries.alerted(mine, now)

    def _of(self, own: frozenset[str], part: Sequence[ExternalAlert]) -> list[ExternalAlert]:
        """The alerts of the caller's tenants. One that names none is that of the only tenant the caller has."""
        mine = []
        for alert in part:
            if alert.tenant_id is None and len(own) == 1:
                mine.append(replace(alert, tenant_id=next(iter(own))))
            elif alert.tenant_id in own:
                mine.append(alert)
            else:
                self._counts["no_tenant" if alert.tenant_id is None else "unknown_tenant"] += 1
        return mine

    def told(self) -> Told:
        counts, message = self._counts, self._message
        return {
            "received": len(message.alerts) + message.refused_count,
            "new": self.new,
            "duplicates": counts["duplicates"],
            "firing": counts["firing"],
            "resolved": counts["resolved"],
            "ignored": counts["no_tenant"] + counts["unknown_tenant"],
            "ignored_reasons": {
                "no_tenant": counts["no_tenant"],
                "unknown_tenant": counts["unknown_tenant"],
            },
            "rejected": cast(list[Refused], message.refused),
            "rejected_count": message.refused_count,
            "left": self.left,
            "truncated": message.truncated,
            "recoveries": self._recoveries,
        }

    def count(self) -> None:
        """Into the metrics of the process, unless it was only a demonstration."""
        if backend_of(self._request).demo:
            return
        told, alerts = self.told(), self._request.app[CONTEXT].telemetry.external_alerts
        for outcome, number in (
            ("new", told["new"]),
            ("duplicates", told["duplicates"]),
            ("left", told["left"]),
            ("truncated", told["truncated"]),
            ("rejected", told["rejected_count"]),
            ("no_tenant", told["ignored_reasons"]["no_tenant"]),
            ("unknown_tenant", told["ignored_reasons"]["unknown_tenant"]),
        ):
            alerts.labels(outcome).inc(number)
