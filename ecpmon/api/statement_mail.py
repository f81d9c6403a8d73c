"""Whom a tenant's statements are e-mailed to when a month is closed, and what became of each message."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.alerts.recipients import MAX_RECIPIENTS, check_recipients
from ecpmon.api.alert_shown import no_mail_server
from ecpmon.api.answers.statements import Period, Sending, Sendings, StatementRecipients
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.paths import path_number
from ecpmon.api.queries import Limit
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Conflict, NotFound
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.ports.statements import Recipients
from ecpmon.shapes import Model

routes = Routes()
_RECIPIENTS: Final = "/api/v1/tenants/{tenant_id}/sla/report/recipients"
_SENDINGS: Final = "/api/v1/tenants/{tenant_id}/sla/report/sendings"


class RecipientsBody(Model):
    """Replaces whom there were. `periods`: of what; with `restatements` later revisions are sent as well."""

    model_config = ConfigDict(extra="forbid")

    recipients: Annotated[list[StrictStr], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    periods: Annotated[list[Literal["month", "quarter", "year"]], Field(min_length=1, max_length=3)] = Field(
        default=["month"]
    )
    restatements: StrictBool = False


@routes.get(_RECIPIENTS, Permission.READ, answers={200: StatementRecipients})
async def get_recipients(request: web.Request) -> web.Response:
    """Whom statements are sent to."""
    tenant = await tenant_of(request)
    return reply(_shown(request, tenant, await backend_of(request).statement_mail.recipients(tenant)))


@routes.put(_RECIPIENTS, Permission.OPERATE, body=RecipientsBody, answers={200: StatementRecipients})
async def set_recipients(request: web.Request) -> web.Response:
    """Send the statement of whatever is closed from now on, with its PDF."""
    tenant = await tenant_of(request)
    body = await read_model(request, RecipientsBody)
    addresses = check_recipients(dict.fromkeys(body.recipients))
    if len({a.lower() for a in addresses}) < len(addresses):
        raise bad_field("recipients", "one address is there twice, in small and in capital letters")
    periods, by = tuple(dict.fromkeys(body.periods)), request[CALLER].name
    wanted = Recipients(addresses, periods, body.restatements, now_of(request), by)
    await backend_of(request).statement_mail.set_recipients(tenant, wanted)
    return reply(_shown(request, tenant, wanted))


@routes.delete(_RECIPIENTS, Permission.OPERATE, answers={204: None}, refuses=(NotFound,))
async def drop_recipients(request: web.Request) -> web.Response:
    """Send nothing any more; what is under way is still sent."""
    await backend_of(request).statement_mail.drop_recipients(await tenant_of(request), now_of(request))
    return web.Response(status=204)


class SendingsAsked(Query):
    """The newest so many."""

    limit: Limit = 100


@routes.get(_SENDINGS, Permission.READ, query=SendingsAsked, answers={200: Sendings})
async def sendings(request: web.Request) -> web.Response:
    """What was sent, newest first: one entry per revision and recipient."""
    tenant = await tenant_of(request, with_deleted=True)
    limit = read_query(request, SendingsAsked).limit
    found = await backend_of(request).statement_mail.sendings(tenant, limit)
    answer: Sendings = {"tenant_id": tenant.tenant_id, "sendings": [_sending(request, s) for s in found]}
    return reply(answer)


@routes.post(
    _SENDINGS + "/{sending_id}/resend",
    Permission.OPERATE,
    answers={202: Sending},
    refuses=(NotFound, Conflict),
)
async def resend(request: web.Request) -> web.Response:
    """Send again what was given up, under its old Message-ID."""
    tenant = await tenant_of(request)
    number = path_number(request, "sending_id", "there is no such sending")
    caller, now = request[CALLER].name, now_of(request)
    found = await backend_of(request).statement_mail.resend(tenant, number, caller, now)
    return reply(_sending(request, found), 202)


def _shown(request: web.Request, tenant: Tenant, found: Recipients | None) -> StatementRecipients:
    without = found is not None and request.app[CONTEXT].settings.smtp_host is None
    return {
        "tenant_id": tenant.tenant_id,
        "recipients": list(found.addresses) if found else [],
        "periods": cast("list[Period]", list(found.periods)) if found else [],
        "restatements": found.restatements if found else False,
        "changed_at": found.changed_at if found else None,
        "changed_by": found.changed_by if found else None,
        "hints": [no_mail_server(request)] if without else [],
    }


def _sending(request: web.Request, row: dict[str, Any]) -> Sending:
    """`outcome_unknown`: the server was given it, and whether it took it is not known."""
    key = row["message_key"].hex
    domain = request.app[CONTEXT].settings.smtp_from.rpartition("@")[2]
    shown = {k: v for k, v in row.items() if k not in ("message_key", "handed_at")}
    more = {"message_id": f"<{key}@{domain}>", "outcome_unknown": row["handed_at"] is not None}
    return cast("Sending", {**shown, **more})  # the columns of `sendings` in queries/statement_mail.sql
