"""How alert rules and what they send are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from aiohttp import web

from ecpmon.api.answers.alerts import RuleHint, ShownAction, ShownRule
from ecpmon.api.answers.common import Hint
from ecpmon.api.answers.silences import SilencedBy
from ecpmon.api.common import backend_of, now_of
from ecpmon.api.context import CONTEXT
from ecpmon.korean.messages import said_to
from ecpmon.model.alerts import Action, AlertRule, EmailAction, action_to_dict
from ecpmon.model.silences import Silence
from ecpmon.model.tenants import Tenant
from ecpmon.ports.acknowledging import Acknowledgement
from ecpmon.ports.alerts import RuleWithState
from ecpmon.sla.silences import counts, on_until, silencing
from ecpmon.slices import in_slices

MASK: Final = "***"
NO_MAIL_SERVER: Final[Hint] = {
    "code": "NO_MAIL_SERVER",
    "message": "this installation has no mail server, so its e-mail actions are kept and send nothing; set "
    "ECPMON_SMTP_HOST",
}


def hints_of(request: web.Request, actions: Sequence[Action]) -> list[RuleHint]:
    """What the rule has and this installation cannot do: it is kept, and the rest of the rule is done."""
    mails = [index for index, action in enumerate(actions) if isinstance(action, EmailAction)]
    without = request.app[CONTEXT].settings.smtp_host is None
    return [{**no_mail_server(request), "actions": mails}] if mails and without else []


@dataclass(frozen=True, slots=True)
class Around:
    """What is shown beside the rules of a tenant: its silences that are on, and by alert who has seen it."""

    now: datetime
    silences: Sequence[Silence]
    acknowledged: Mapping[str, Acknowledgement]


async def around(request: web.Request, tenant: Tenant) -> Around:
    backend, now = backend_of(request), now_of(request)
    live = (await backend.silences.live([tenant.key], now)).get(tenant.tenant_id, ())
    on = [s async for s in in_slices(live) if counts(s, now)]
    return Around(now, on, await backend.acknowledgements.of_standing_alerts(tenant))


def rule_shown(request: web.Request, entry: RuleWithState, around: Around) -> ShownRule:
    seen = around.acknowledged.get(entry.alert_id or "")
    return {
        **rule_document(entry, hints_of(request, entry.rule.actions)),
        "silenced": silenced_by(around.silences, entry.rule, around.now),
        "acknowledged": None if seen is None else {"by": seen.said_by, "at": seen.at, "note": seen.note},
    }


async def one_shown(request: web.Request, tenant: Tenant, entry: RuleWithState) -> ShownRule:
    return rule_shown(request, entry, await around(request, tenant))


def silenced_by(silences: Sequence[Silence], rule: AlertRule, now: datetime) -> SilencedBy | None:
    found = silencing(silences, rule)
    until = None if found is None else on_until(found, now)
    if found is None or until is None:
        return None
    return {
        "silence_id": found.silence_id,
        "until": until,
        "reason": found.reason,
        "created_by": found.created_by,
    }


def no_mail_server(request: web.Request) -> Hint:
    """In the caller's language."""
    return {**NO_MAIL_SERVER, "message": said_to(request.headers, NO_MAIL_SERVER["message"])}


def rule_document(entry: RuleWithState, hints: list[RuleHint]) -> ShownRule:
    rule, state = entry.rule, entry.state
    answer: ShownRule = {
        "rule_id": rule.rule_id,
        "tenant_id": rule.tenant_id,
        "alert_name": rule.alert_name,
        "kind": rule.kind,
        "condition": rule.condition,
        "duration": f"{rule.for_seconds}s",
        "severity": rule.severity,
        "actions": [masked(action_to_dict(a)) for a in rule.actions],
        "state": state.status,
        "since": state.since,
        "value": state.value,
        "frozen": state.frozen,
        "flapping": state.flapping,
        "alert_id": entry.alert_id,
        "silenced": None,
        "acknowledged": None,
        "created_at": entry.created_at,
        "hints": hints,
    }
    if state.flapping:
        answer["flapping_since"] = state.flaps.since
        answer["suppressed"] = state.flaps.untold
    if rule.objective:
        answer["objective"] = rule.objective
    if rule.policy:
        answer["policy"] = rule.policy
    return answer


def masked(action: dict[str, Any]) -> ShownAction:
    """Header values may be secrets: their names are shown, they are not."""
    shown = cast("ShownAction", dict(action))  # what `model.alerts.action_to_dict` gives
    if "headers" in shown:
        shown["headers"] = dict.fromkeys(shown["headers"], MASK)
    return shown
