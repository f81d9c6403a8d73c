"""What Alertmanager tells us (api.md §5). The same alert delivered twice counts once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ecpmon.api.common import backend_of, now_of, read_model, reply
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import nearest, parse_time
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.ports.tokens import Caller

routes = Routes()
MAX_ALERTS: Final = 10_000
# How Alertmanager writes "not over yet".
_OPEN_END: Final = datetime(1, 1, 1, tzinfo=UTC)


def go_time(value: Any) -> datetime:
    """RFC 3339 as Go prints it, with up to nine digits after the second."""
    if not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time")  # noqa: TRY004 - pydantic turns ValueError into a field error
    return parse_time(re.sub(r"(\.\d{6})\d+", r"\1", value))


GoTime = Annotated[datetime, BeforeValidator(go_time)]


class AlertBody(BaseModel):
    """Newer Alertmanagers add fields; what is not known is ignored."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: GoTime
    endsAt: GoTime = _OPEN_END
    fingerprint: Annotated[str, Field(max_length=64, pattern=r"^[!-~]+$")]


class WebhookBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    alerts: Annotated[list[AlertBody], Field(max_length=MAX_ALERTS)]


@routes.post("/api/v1/webhooks/tenant-alert", Permission.OPERATE)
async def tenant_alert(request: web.Request) -> web.Response:
    """Record alerts from Alertmanager, tell the sockets, and restart tenants that are down once."""
    backend, caller = backend_of(request), request[CALLER]
    # A text that cannot be stored must not lose every other alert of the message.
    body = await read_model(request, WebhookBody, mend=True)
    told = [_external(a) for a in body.alerts]
    visible = await _visible(backend, caller, told)
    recorded = await backend.external_alerts.record(visible, now_of(request), of_tenants_only=False)
    fresh = recorded.fresh
    for alert in fresh:
        backend.hub.external(alert)
    # Not only the fresh ones: a crash between recording an alert and acting on it must not lose the act.
    recoveries = await backend.recoveries.alerted(visible, now_of(request))
    return reply(
        {
            "status": "processed",
            "received": len(told),
            "new": len(fresh),
            "duplicates": len(visible) - len(fresh),
            "ignored": len(told) - len(visible),
            "firing": sum(a.status == "firing" for a in fresh),
            "resolved": sum(a.status == "resolved" for a in fresh),
            "recoveries": recoveries,
        }
    )


async def _visible(backend: Backend, caller: Caller, told: list[ExternalAlert]) -> list[ExternalAlert]:
    """The alerts of tenants that are the caller's, and those of no tenant."""
    if caller.tenants is None:
        return told
    names = {a.tenant_id for a in told if a.tenant_id is not None and caller.may_know(a.tenant_id)}
    own = {t.tenant_id for t in await backend.tenants.live_of(names) if caller.may_see(t)}
    return [a for a in told if a.tenant_id is None or a.tenant_id in own]


def _external(alert: AlertBody) -> ExternalAlert:
    return ExternalAlert(
        tenant_id=alert.labels.get("tenant_id"),
        fingerprint=alert.fingerprint,
        starts_at=nearest(alert.startsAt),
        ends_at=None if alert.endsAt <= _OPEN_END else nearest(alert.endsAt),
        status=alert.status,
        alert_name=alert.labels.get("alertname", ""),
        severity=alert.labels.get("severity", "none"),
        labels=alert.labels,
        annotations=alert.annotations,
    )
