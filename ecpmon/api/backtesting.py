"""Trying a rule on a tenant's own history, without saving it (api.md §5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from aiohttp import web

from ecpmon.alerts.backtest import Backtest, Detection, evaluations_in, replay
from ecpmon.alerts.judgement import SLA_LOOKBACK, saved_condition
from ecpmon.alerts.past import History, Series
from ecpmon.alerts.policy import default_policies, flap_policy, parse_duration
from ecpmon.alerts.syntax import References, references
from ecpmon.api.alerts import checked_condition, seconds_of
from ecpmon.api.answers.trials import Detected, Trial, TrialBody, TrialBudget
from ecpmon.api.common import (
    apart,
    backend_of,
    bad_field,
    long_turn,
    minutes,
    now_of,
    percent,
    read_model,
    tenant_of,
)
from ecpmon.api.context import CONTEXT
from ecpmon.api.times import time_of
from ecpmon.model.alerts import AlertRule, FlapPolicy, RuleKind, Severity
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant, parse_percentage
from ecpmon.model.windows import ErrorBudget
from ecpmon.ports.samples import PackedPoints
from ecpmon.ports.sla import PackedSpans
from ecpmon.sla.burn import BurnPolicy, PolicyError, reachable
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.terms import off_between
from ecpmon.wire import dumps

MAX_RANGE: Final = timedelta(days=90)
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
# Guesses: a few seconds of one core. A month in steps of a minute has to fit for burn rates.
MAX_EVALUATIONS: Final = {RuleKind.BURN_RATE: 50_000, RuleKind.THRESHOLD: 20_000}
DEFAULT_RANGE: Final = {RuleKind.BURN_RATE: timedelta(days=30), RuleKind.THRESHOLD: timedelta(hours=1)}
# The live engine looks every 5 s; for a month that would be half a million evaluations.
_STEPS: Final = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600))
_FINEST: Final = {RuleKind.BURN_RATE: timedelta(minutes=1), RuleKind.THRESHOLD: timedelta(seconds=5)}
_LONGEST_STEP: Final = timedelta(hours=1)
# Up to here a condition reads single samples, beyond it the rollups: the longest window and the default hour.
SAMPLES_REACH: Final = timedelta(hours=25)
_ROLLUP: Final = timedelta(minutes=5)
_EVERY_SAMPLE: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be replayed. `width` None: single samples are read; else averages over that long."""

    tenant: Tenant
    rule: AlertRule
    start: datetime
    end: datetime
    step: timedelta
    wanted: References
    width: timedelta | None


@lru_cache(maxsize=1)
def policies() -> dict[str, BurnPolicy]:
    return default_policies()


async def backtested(request: web.Request) -> web.Response:
    """The answer to `api.backtest`. Raises ValidationFailed naming a field."""
    tenant, now = await tenant_of(request), now_of(request)
    body = await read_model(request, TrialBody)
    if body.objective is not None:
        from ecpmon.api.backtesting_objectives import backtested_objective

        return await backtested_objective(request, tenant, body, now)
    rule = await _rule(request, tenant, body)
    plan = _plan(body, _with_target(tenant, body, rule), rule, now)
    async with long_turn(request, tenant):
        read = await _read(request, plan, present=plan.end == now)
        flap = flap_policy(request.app[CONTEXT].settings)
        shown = await apart(request, tenant, _replayed, plan, read, flap, present=plan.end == now)
    return web.Response(body=shown, content_type="application/json")


def _replayed(plan: _Plan, read: _Read, flap: FlapPolicy | None, *, present: bool) -> bytes:
    history = read.history(plan)
    found = replay(plan.rule, history, plan.start, plan.end, plan.step, policies(), flap)
    return dumps(_document(plan, found, history, present=present))


async def _rule(request: web.Request, tenant: Tenant, body: TrialBody) -> AlertRule:
    """The rule as the engine would see it. Raises ValidationFailed naming the field."""
    if (body.condition is None) == (body.policy is None):
        raise bad_field("condition", "give either a condition or the name of a burn-rate policy")
    name = tenant.tenant_id
    if body.policy is not None:
        if body.duration is not None:
            raise bad_field("duration", "a burn-rate policy waits by its windows, not by a duration")
        return AlertRule("", name, "backtest", RuleKind.BURN_RATE, "", 0, Severity.INFO, policy=body.policy)
    condition = await checked_condition(request, tenant, body.condition or "")
    wait = seconds_of(body.duration or "0s")
    return AlertRule("", name, "backtest", RuleKind.THRESHOLD, condition, wait, Severity.INFO)


def _with_target(tenant: Tenant, body: TrialBody, rule: AlertRule) -> Tenant:
    """The tenant with the target to try. Raises ValidationFailed when the policy could never fire at it."""
    if body.target is not None:
        try:
            parse_percentage(body.target)
        except ValueError as error:
            raise bad_field("target", str(error)) from error
        tried = tenant.sla_target.model_copy(update={"availability": body.target})
        tenant = tenant.model_copy(update={"sla_target": tried})
    if rule.kind is RuleKind.BURN_RATE:
        try:
            reachable(policies()[rule.policy or "page"], tenant.sla_target.fraction)
        except PolicyError as error:
            raise bad_field("target", error.message) from error
    return tenant


def _plan(body: TrialBody, tenant: Tenant, rule: AlertRule, now: datetime) -> _Plan:
    """Raises ValidationFailed naming the field when the period cannot be replayed, or not at that step."""
    start, end = range_of(body, DEFAULT_RANGE[rule.kind], now)
    threshold = rule.kind is RuleKind.THRESHOLD
    wanted = references(saved_condition(rule)) if threshold else References()
    rollups = bool(wanted.names) and end - start + wanted.longest_window > SAMPLES_REACH
    finest = _ROLLUP if rollups else timedelta(seconds=1)
    step = step_of(body.step, end - start, rule.kind, finest)
    return _Plan(tenant, rule, start, end, step, wanted, _width(step, wanted) if rollups else None)


def range_of(body: TrialBody, usual: timedelta, now: datetime) -> tuple[datetime, datetime]:
    """From when to when; `usual`: how long when it is not said. Raises ValidationFailed naming the field."""
    end = now if body.to is None else time_of(body.to, "to")
    if not _EARLIEST <= end <= now:
        raise bad_field("to", "lies in the future" if end > now else "lies before anything was measured")
    start = end - usual if body.from_ is None else time_of(body.from_, "from")
    if not timedelta(0) < end - start <= MAX_RANGE:
        raise bad_field("from", f"must lie before `to`, by at most {MAX_RANGE.days} days")
    return start, end


def step_of(text: str | None, lasting: timedelta, kind: RuleKind, finest: timedelta) -> timedelta:
    """The step asked for, or the shortest usual one that the limit allows. Raises ValidationFailed."""
    limit = MAX_EVALUATIONS[kind]
    if text is None:
        usual = (s for s in _STEPS if s >= max(finest, _FINEST[kind]))
        return next(s for s in usual if evaluations_in(lasting, s) <= limit)
    try:
        step = parse_duration(text, "step")
    except PolicyError:
        raise bad_field("step", "must be a duration such as 30s, 1m or 1h") from None
    if not timedelta(seconds=1) <= step <= _LONGEST_STEP:
        raise bad_field("step", "must lie between 1s and 1h")
    if step < finest:
        reach = f"{SAMPLES_REACH // timedelta(hours=1)} h"
        raise bad_field("step", f"must be 5m or more where samples of more than {reach} are read")
    if (count := evaluations_in(lasting, step)) > limit:
        raise bad_field("step", f"gives {count} evaluations, more than {limit}; take a longer step")
    return step


def _width(step: timedelta, wanted: References) -> timedelta:
    """How long the averages that are read last: no window may be shorter, no rollup cut. Raises ValidationFailed."""
    shortest = min((a.window for a in wanted.aggregates), default=step)
    if shortest < _ROLLUP:
        raise bad_field(
            "from", "windows under 5m can be tried on a day at most; of older history we keep averages"
        )
    width = min(step, shortest)
    return width - width % _ROLLUP


@dataclass(frozen=True, slots=True)
class _Read:
    """What a history is made of, as it was read: `samples` are those of the evidence source first."""

    spans: PackedSpans
    planned: Sequence[Maintenance]
    intervals: Intervals
    samples: Sequence[tuple[str, PackedPoints]]

    def history(self, plan: _Plan) -> History:
        found: dict[str, list[Series]] = {}
        for source, packed in self.samples:
            for (_, name), points in packed.open().items():
                if name in plan.wanted.names:
                    found.setdefault(name, []).append(Series(source, points, plan.width))
        off = off_between(plan.tenant, self.planned, plan.start - SLA_LOOKBACK, plan.end)
        return History(
            plan.tenant, self.intervals, self.spans.open(), off.maintenance, found, outside=off.outside
        )


async def _read(request: web.Request, plan: _Plan, *, present: bool) -> _Read:
    backend = backend_of(request)
    intervals = backend.intervals
    spans = await backend.availability.packed(
        plan.tenant, plan.start - SLA_LOOKBACK, plan.end, present=present
    )
    planned = await backend.maintenance.of_tenant(plan.tenant)
    lookback = max(intervals.stalest(plan.tenant), plan.wanted.longest_window)
    samples = await _samples(request, plan, plan.start - lookback) if plan.wanted.names else ()
    return _Read(spans, planned, intervals, samples)


async def _samples(request: web.Request, plan: _Plan, since: datetime) -> list[tuple[str, PackedPoints]]:
    evidence, monitoring = plan.tenant.evidence_source, backend_of(request).monitoring
    step, end = plan.width or _EVERY_SAMPLE, plan.end + _EVERY_SAMPLE
    sources = await monitoring.sources(plan.tenant)
    return [
        (
            source,
            await monitoring.packed(plan.tenant, since, end, step, source=source, names=plan.wanted.names),
        )
        for source in sorted(sources, key=lambda s: (s != evidence, s))
    ]


def _document(plan: _Plan, found: Backtest, history: History, *, present: bool) -> Trial:
    rule = plan.rule
    answer: Trial = {
        "tenant_id": plan.tenant.tenant_id,
        "duration": f"{rule.for_seconds}s",
        "target": float(plan.tenant.sla_target.percent),
        "from": plan.start,
        "to": plan.end,
        "step_seconds": plan.step.total_seconds(),
        # None: single samples (or none at all) were read.
        "resolution_seconds": plan.width.total_seconds() if plan.width else None,
        "evaluations": found.evaluations,
        "unknown_evaluations": found.unknown,
        "firings": [
            {"fired_at": f.fired_at, "resolved_at": f.resolved_at, "value": f.value} for f in found.firings
        ],
        "incidents": [_incident(d, present=present) for d in found.detections],
        "messages": found.messages,
        "suppressed": found.suppressed,
        "missed_incidents": found.missed,
        "false_alarms": found.false_alarms,
        "budget": _budget(history.budget(plan.end)),
    }
    if rule.policy:
        answer["policy"] = rule.policy
    else:
        answer["condition"] = rule.condition
    return answer


def _incident(d: Detection, *, present: bool) -> Detected:
    left = d.budget_left
    return {
        "start": d.incident.start,
        "end": None if d.incident.ongoing and present else d.incident.end,
        "detected_at": d.detected_at,
        "detection_delay_seconds": None if d.delay is None else d.delay.total_seconds(),
        "budget_left_minutes_at_detection": None if left is None else minutes(left.remaining),
    }


def _budget(left: ErrorBudget) -> TrialBudget:
    return {
        "window": "30d",
        "total_minutes": minutes(left.total),
        "consumed_minutes": minutes(left.consumed),
        "remaining_minutes": minutes(left.remaining),
        "remaining_percent": percent(left.remaining_fraction),
    }
