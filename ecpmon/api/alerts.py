"""Alert rules of a tenant (api.md §5)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictStr

from ecpmon.alerts.grammar import ConditionError, known_metrics, parse
from ecpmon.alerts.recipients import check_recipients
from ecpmon.alerts.targets import AddressGuard, check_headers, check_target
from ecpmon.api.alert_shown import MASK, around, masked, one_shown, rule_shown
from ecpmon.api.answers.alerts import AlertDelivery, Deliveries, ShownRule, ShownRules
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.paths import path_number, path_uuid
from ecpmon.api.queries import Limit
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Conflict, LimitReached, NotFound, ValidationFailed
from ecpmon.model.alerts import (
    Action,
    AlertRule,
    EmailAction,
    RuleKind,
    Severity,
    WebhookAction,
    action_to_dict,
)
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, optional, read_query
from ecpmon.ports.alerts import RuleWithState
from ecpmon.settings import Settings
from ecpmon.shapes import Model
from ecpmon.slices import in_slices
from ecpmon.wire import dumps

routes = Routes()
MAX_FOR_SECONDS: Final = 7 * 86_400
MAX_PLANNED_SECONDS: Final = 31 * 86_400
# Bytes of a rule's actions as they are stored: whoever asks for rules, and each evaluation, reads those of all of them.
MAX_ACTIONS: Final = 16_384
_ALL: Final = "/api/v1/tenants/{tenant_id}/alerts"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class ActionBody(Model):
    model_config = ConfigDict(extra="forbid")

    type: Literal["webhook", "email"]
    url: Annotated[StrictStr, Field(max_length=2000)] | None = None
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[StrictStr, StrictStr] = Field(default_factory=dict, max_length=20)
    recipients: Annotated[list[StrictStr], Field(max_length=50)] = Field(default_factory=list)


class RuleBody(Model):
    model_config = ConfigDict(extra="ignore")

    alert_name: Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    condition: StrictStr
    duration: StrictStr = "0s"
    severity: Severity = Severity.WARNING
    actions: Annotated[list[ActionBody], Field(max_length=100)] = Field(default_factory=list)


def seconds_of(duration: str) -> int:
    """`5m` in seconds. Raises ValidationFailed."""
    seconds = _seconds(duration)
    if not 0 <= seconds <= MAX_FOR_SECONDS:
        raise bad_field("duration", "must be a duration such as 30s, 5m or 2h, at most 7d")
    return seconds


def planned_seconds_of(duration: str) -> int:
    """The same of what is planned: a silence, or maintenance. Raises ValidationFailed."""
    seconds = _seconds(duration)
    if not 0 <= seconds <= MAX_PLANNED_SECONDS:
        raise bad_field("duration", "must be a duration such as 5m, 2h or 7d, at most 31d")
    return seconds


def _seconds(duration: str) -> int:
    """-1: it is none."""
    match = re.fullmatch(r"(\d{1,7})([smhd])", duration)
    return int(match[1]) * _UNITS[match[2]] if match else -1


def action_of(body: ActionBody, settings: Settings, index: int) -> Action:
    """A checked action. Raises ValidationFailed naming the field."""
    field = f"actions.{index}"
    try:
        if body.type == "email":
            return EmailAction(check_recipients(body.recipients))
        if not body.url:
            raise ValidationFailed("a webhook needs a url")
        guard = AddressGuard(settings.webhook_allow_loopback, settings.webhook_allow_private)
        return WebhookAction(check_target(body.url, guard), body.method, check_headers(body.headers))
    except ValidationFailed as error:
        raise bad_field(field, error.message) from error


def actions_of(request: web.Request, body: RuleBody, stored: Sequence[Action] = ()) -> tuple[Action, ...]:
    """The checked actions of a body; a masked header keeps the value that is stored for the same URL.

    Raises ValidationFailed naming the field, also for a mask with nothing behind it.
    """
    settings = request.app[CONTEXT].settings
    if len(body.actions) > settings.max_actions_per_rule:
        message = f"at most {settings.max_actions_per_rule}; let one webhook tell the others"
        refusal = bad_field("actions", message)
        refusal.details["limit"] = "actions_per_rule"
        raise refusal
    known = {a.url: dict(a.headers) for a in stored if isinstance(a, WebhookAction)}
    found = []
    for index, action in enumerate(body.actions):
        own = known.get(action.url or "", {})
        masked_names = [name for name, value in action.headers.items() if value == MASK]
        if lost := [name for name in masked_names if name not in own]:
            raise bad_field(f"actions.{index}.headers.{lost[0]}", f"{MASK} is no value; give it again")
        headers = {**action.headers, **{name: own[name] for name in masked_names}}
        found.append(action_of(action.model_copy(update={"headers": headers}), settings, index))
    if len(dumps([action_to_dict(action) for action in found])) > MAX_ACTIONS:
        message = f"hold more than {MAX_ACTIONS} bytes; let one webhook tell the others"
        refusal = bad_field("actions", message)
        refusal.details["limit"] = "actions_bytes"
        raise refusal
    return tuple(found)


async def checked_condition(request: web.Request, tenant: Tenant, text: str) -> str:
    own = await backend_of(request).monitoring.metric_names(tenant)
    try:
        parse(text, known_metrics(own))
    except ConditionError as error:
        failed = bad_field("condition", error.message)
        failed.details["position"] = error.position
        raise failed from error
    return text


@routes.post(
    _ALL,
    Permission.OPERATE,
    body=RuleBody,
    answers={201: ShownRule},
    refuses=(Conflict, LimitReached),
)
async def create(request: web.Request) -> web.Response:
    """Save a rule; its condition is parsed now, so that a typing error is found now."""
    tenant, backend = await tenant_of(request), backend_of(request)
    body = await read_model(request, RuleBody)
    rule = AlertRule(
        rule_id=str(uuid.uuid4()),
        tenant_id=tenant.tenant_id,
        alert_name=body.alert_name,
        kind=RuleKind.THRESHOLD,
        condition=await checked_condition(request, tenant, body.condition),
        for_seconds=seconds_of(body.duration),
        severity=body.severity,
        actions=actions_of(request, body),
    )
    most = request.app[CONTEXT].settings.max_alert_rules
    made = await backend.alerts.create(rule, now_of(request), most)
    return reply(await one_shown(request, tenant, made), 201)


@routes.get(_ALL, Permission.READ, answers={200: ShownRules})
async def list_rules(request: web.Request) -> web.Response:
    """Every rule with its state, the built-in SLA rules included."""
    tenant = await tenant_of(request)
    rules = await backend_of(request).alerts.rules(tenant)
    beside = await around(request, tenant)
    # With as many actions as they may have they are megabytes.
    shown = [rule_shown(request, r, beside) async for r in in_slices(rules)]
    answer: ShownRules = {"tenant_id": tenant.tenant_id, "alerts": shown}
    return reply(answer)


@routes.get(_ALL + "/active", Permission.READ, answers={200: ShownRules})
async def active(request: web.Request) -> web.Response:
    """Rules that are pending or firing, or flap; silenced ones too, and who has seen them."""
    tenant = await tenant_of(request)
    rules = await backend_of(request).alerts.rules(tenant)
    beside = await around(request, tenant)
    shown = [rule_shown(request, r, beside) async for r in in_slices([r for r in rules if r.state.stands])]
    answer: ShownRules = {"tenant_id": tenant.tenant_id, "alerts": shown}
    return reply(answer)


class DeliveriesAsked(Query):
    """The newest so many."""

    limit: Limit = 100


@routes.get(_ALL + "/deliveries", Permission.READ, query=DeliveriesAsked, answers={200: Deliveries})
async def deliveries(request: web.Request) -> web.Response:
    """Notifications, newest first: their tries and the last answer."""
    tenant = await tenant_of(request)
    limit = read_query(request, DeliveriesAsked).limit
    found = await backend_of(request).deliveries.recent(tenant, limit)
    answer: Deliveries = {
        "tenant_id": tenant.tenant_id,
        "deliveries": [delivery_document(d) for d in found],
    }
    return reply(answer)


def delivery_document(delivery: dict[str, Any]) -> AlertDelivery:
    """`delivery`: the columns of `deliveries` in queries/outbox.sql."""
    return cast("AlertDelivery", {**delivery, "action": masked(delivery["action"])})


class ResendBody(Model):
    model_config = ConfigDict(extra="forbid")

    note: Annotated[StrictStr, Field(max_length=500)] | None = None


@routes.post(
    _ALL + "/deliveries/{delivery_id}/resend",
    Permission.OPERATE,
    body=optional(ResendBody),
    answers={202: AlertDelivery},
    refuses=(NotFound, Conflict),
)
async def resend(request: web.Request) -> web.Response:
    """Send again what was given up, under its old id; who asked for it, and when, stays on record."""
    tenant = await tenant_of(request)
    body = await read_model(request, ResendBody, optional=True)
    number = path_number(request, "delivery_id", "there is no such delivery")
    caller, now = request[CALLER].name, now_of(request)
    found = await backend_of(request).deliveries.resend(tenant, number, caller, body.note, now)
    return reply(delivery_document(found), 202)


@routes.get(_ALL + "/{rule_id}", Permission.READ, answers={200: ShownRule}, refuses=(NotFound,))
async def get_rule(request: web.Request) -> web.Response:
    """One rule with its state."""
    tenant = await tenant_of(request)
    return reply(await one_shown(request, tenant, await _rule(request, tenant)))


@routes.put(
    _ALL + "/{rule_id}",
    Permission.OPERATE,
    body=RuleBody,
    answers={200: ShownRule},
    refuses=(NotFound, Conflict),
)
async def replace_rule(request: web.Request) -> web.Response:
    """Replace a rule as a whole: an alert that stands ends, and the rule starts anew. What was sent stays on record."""
    tenant, backend = await tenant_of(request), backend_of(request)
    before = (await _rule(request, tenant)).rule
    body = await read_model(request, RuleBody)
    seconds = seconds_of(body.duration)
    if before.kind is RuleKind.THRESHOLD:
        await checked_condition(request, tenant, body.condition)
    elif (body.alert_name, body.condition, seconds) != (
        before.alert_name, before.condition, before.for_seconds,
    ):  # fmt: skip
        raise _built_in(before, "only its severity and its actions can be changed")
    rule = replace(
        before,
        alert_name=body.alert_name,
        condition=body.condition,
        for_seconds=seconds,
        severity=body.severity,
        actions=actions_of(request, body, before.actions),
    )
    changed = await backend.rule_desk.replace(tenant, rule, now_of(request))
    return reply(await one_shown(request, tenant, changed))


@routes.delete(_ALL + "/{rule_id}", Permission.OPERATE, answers={204: None}, refuses=(NotFound, Conflict))
async def delete_rule(request: web.Request) -> web.Response:
    """Delete a rule; an alert that stands ends with it, and what it had sent stays on record."""
    tenant, backend = await tenant_of(request), backend_of(request)
    entry = await _rule(request, tenant)
    if entry.rule.kind is not RuleKind.THRESHOLD:
        what = "set `alerts` of the objective to false" if entry.rule.objective else "it cannot be deleted"
        raise _built_in(entry.rule, what)
    await backend.rule_desk.delete(tenant, entry.rule.rule_id, now_of(request))
    return web.Response(status=204)


async def _rule(request: web.Request, tenant: Tenant) -> RuleWithState:
    """The rule named in the path. Raises NotFound, also for another tenant's."""
    rule_id = path_uuid(request, "rule_id", "there is no such alert rule")
    return await backend_of(request).alerts.get(tenant, rule_id)


def _built_in(rule: AlertRule, what: str) -> Conflict:
    owner = f"the objective {rule.objective}" if rule.objective else "every tenant"
    text = f"this is one of the SLA rules {owner} has; {what}"
    return Conflict(text, details={"alert_name": rule.alert_name})
