"""Acknowledging alerts (docs/alerts.md)."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field, StrictStr

from ecpmon.api.answers.silences import Acknowledged
from ecpmon.api.common import backend_of, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER
from ecpmon.api.paths import path_uuid
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Conflict, NotFound
from ecpmon.openapi.declaring import optional
from ecpmon.ports.acknowledging import Acknowledgement
from ecpmon.shapes import Model

routes = Routes()
_URL: Final = "/api/v1/tenants/{tenant_id}/alerts/{rule_id}/acknowledge"


class AcknowledgeBody(Model):
    """What there is to say about it."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[StrictStr, Field(min_length=1, max_length=1000)] | None = None


@routes.post(
    _URL,
    Permission.OPERATE,
    body=optional(AcknowledgeBody),
    answers={200: Acknowledged},
    refuses=(NotFound, Conflict),
)
async def acknowledge(request: web.Request) -> web.Response:
    """Say that the caller has seen the alert that a rule is in; until it is over. Who said so first stays on record."""
    tenant, now = await tenant_of(request), now_of(request)
    number = path_uuid(request, "rule_id", "there is no such alert rule")
    body = await read_model(request, AcknowledgeBody, optional=True)
    said = Acknowledgement(request[CALLER].name, now, body.note)
    found = await backend_of(request).acknowledging.acknowledge(tenant, number, said)
    answer: Acknowledged = {"by": found.said_by, "at": found.at, "note": found.note}
    return reply(answer)


@routes.delete(_URL, Permission.OPERATE, answers={204: None}, refuses=(NotFound, Conflict))
async def take_back(request: web.Request) -> web.Response:
    """Nobody looks after the alert any more; who did stays in the audit log."""
    tenant, now = await tenant_of(request), now_of(request)
    number = path_uuid(request, "rule_id", "there is no such alert rule")
    await backend_of(request).acknowledging.take_back(tenant, number, request[CALLER].name, now)
    return web.Response(status=204)
