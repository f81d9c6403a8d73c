"""Trying a burn-rate policy on what was counted for an objective, without saving anything (api.md §5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from ecpmon.alerts.backtest import Backtest, replay_counted
from ecpmon.alerts.counted import LONGEST_READ, fitting
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.api.answers.trials import Trial, TrialBody
from ecpmon.api.backtesting import DEFAULT_RANGE, policies, range_of, step_of
from ecpmon.api.common import apart, backend_of, bad_field, long_turn, percent
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.objectives import Promised, StoredObjective
from ecpmon.model.tenants import Tenant, parse_percentage
from ecpmon.sla.burn import PolicyError, reachable
from ecpmon.sla.counters import MINUTE, minute_of
from ecpmon.sla.maintenance import zone
from ecpmon.sla.periods import LONGEST_WINDOW
from ecpmon.sla.ratios import planned_minutes, whole_minutes
from ecpmon.sla.terms import off_between
from ecpmon.wire import dumps

_REACH: Final = max(LONGEST_READ, LONGEST_WINDOW)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is to be replayed, at whole minutes."""

    tenant_id: str
    objective: str
    rule: AlertRule
    start: datetime
    end: datetime
    step: timedelta


async def backtested_objective(
    request: web.Request, tenant: Tenant, body: TrialBody, now: datetime
) -> web.Response:
    """The answer to `api.backtest` for a policy about an objective. Raises ValidationFailed naming a field."""
    stored = await _objective(request, tenant, body)
    promised = _promised(tenant, stored, body)
    trial = _trial(tenant, body, now)
    backend = backend_of(request)
    async with long_turn(request, tenant):
        hours = await backend.objectives.hours(tenant, stored.key, trial.start - _REACH, trial.end)
        planned = await backend.maintenance.of_tenant(tenant)
        off = off_between(tenant, planned, trial.start - _REACH, trial.end)
        history = CountedHistory(
            promised,
            hours,
            planned_minutes(off.maintenance, trial.start - _REACH, trial.end),
            zone(tenant.time_zone),
            backend.intervals.of(tenant.evidence_source, tenant),
            whole_minutes(off.outside, trial.start - _REACH, trial.end),
        )
        shown = await apart(request, tenant, _replayed, trial, history)
    return web.Response(body=shown, content_type="application/json")


def _replayed(trial: _Trial, history: CountedHistory) -> bytes:
    found = replay_counted(trial.rule, history, trial.start, trial.end, trial.step, policies())
    return dumps(_document(trial, found, history))


async def _objective(request: web.Request, tenant: Tenant, body: TrialBody) -> StoredObjective:
    """Raises ValidationFailed when there is none of that name, or no policy to try on it."""
    if body.policy is None or body.condition is not None or body.duration is not None:
        raise bad_field(
            "policy", "an objective is tried with the name of a burn-rate policy, and nothing else"
        )
    for stored in await backend_of(request).objectives.of_tenant(tenant):
        if stored.objective.name == body.objective:
            return stored
    raise bad_field("objective", "there is no such objective")


def _promised(tenant: Tenant, stored: StoredObjective, body: TrialBody) -> Promised:
    """The promise to try. Raises ValidationFailed when the policy could never fire on it."""
    promised = stored.promised(tenant.key)
    if body.target is not None:
        try:
            promised = replace(promised, target=float(parse_percentage(body.target) / 100))
        except ValueError as error:
            raise bad_field("target", str(error)) from error
    try:
        policy = fitting(policies()[body.policy or "page"], promised.window, events=promised.events)
        reachable(policy, promised.target)
    except PolicyError as error:
        raise bad_field("target" if policy.pairs else "policy", error.message) from error
    return promised


def _trial(tenant: Tenant, body: TrialBody, now: datetime) -> _Trial:
    """Raises ValidationFailed naming the field when the period cannot be replayed, or not at that step."""
    kind = RuleKind.BURN_RATE
    start, end = range_of(body, DEFAULT_RANGE[kind], now)
    first, last = minute_of(start), minute_of(end)
    first = first if first == start else first + MINUTE
    if last < first:
        raise bad_field("from", "there is no whole minute before `to`")
    step = step_of(body.step, last - first, kind, timedelta(seconds=1))
    if step % MINUTE:
        raise bad_field("step", "must be whole minutes for an objective")
    rule = AlertRule(
        "", tenant.tenant_id, "backtest", kind, "", 0, Severity.INFO, (), body.policy, body.objective
    )
    return _Trial(tenant.tenant_id, body.objective or "", rule, first, last, step)


def _document(trial: _Trial, found: Backtest, history: CountedHistory) -> Trial:
    """As for availability; counts know no outages, so nothing is missed and nothing a false alarm."""
    left = history.at(trial.end).budget_remaining
    return {
        "tenant_id": trial.tenant_id,
        "objective": trial.objective,
        "policy": trial.rule.policy,
        "duration": "0s",
        "target": percent(history.promised.target),
        "from": trial.start,
        "to": trial.end,
        "step_seconds": trial.step.total_seconds(),
        "resolution_seconds": MINUTE.total_seconds(),
        "evaluations": found.evaluations,
        "unknown_evaluations": found.unknown,
        "firings": [
            {"fired_at": f.fired_at, "resolved_at": f.resolved_at, "value": f.value} for f in found.firings
        ],
        "incidents": [],
        "messages": found.messages,
        "suppressed": found.suppressed,
        "missed_incidents": found.missed,
        "false_alarms": found.false_alarms,
        "budget": {"window": history.promised.window, "remaining_percent": left},
    }
