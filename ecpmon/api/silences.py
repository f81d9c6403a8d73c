"""Silences: times at which nobody is told what some alerts do (docs/alerts.md)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field, StrictStr

from ecpmon.api.alerts import planned_seconds_of
from ecpmon.api.answers.silences import (
    EndedSilence,
    OneSilence,
    ShownSilence,
    ShownSilences,
)
from ecpmon.api.auth import caller_key
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER
from ecpmon.api.paths import path_uuid
from ecpmon.api.received_alerts import MAX_SKIP
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.selecting import SelectorBody, chosen_tenants, own_tenants
from ecpmon.api.times import is_skipped, time_of
from ecpmon.errors import InvalidPreset, LimitReached, NotFound
from ecpmon.model.alerts import Severity
from ecpmon.model.silences import Matcher, Silence
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.openapi.declaring import Flag, Query, read_query
from ecpmon.ports.silences import Silenced
from ecpmon.shapes import Model
from ecpmon.sla.maintenance import zone
from ecpmon.sla.silences import SHOWN, SHOWN_AHEAD, checked, state_of, times

routes = Routes()
# Of one silence: they are stored in one transaction.
MOST: Final = 1_000
_ALL: Final = "/api/v1/silences"
AlertPattern = Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class WhenBody(Model):
    """When: from `start` (now) to `end`, or for `duration`; with `rrule` (RFC 5545) again and again."""

    model_config = ConfigDict(extra="forbid")

    start: StrictStr | None = None
    end: StrictStr | None = None
    duration: Annotated[StrictStr, Field(examples=["2h"])] | None = None
    rrule: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    time_zone: Annotated[StrictStr, Field(max_length=60)] = "UTC"
    reason: Annotated[StrictStr, Field(min_length=1, max_length=1000, pattern=r"\S")]


class SilenceBody(WhenBody):
    """Which alerts of which tenants: all that is said must hold. `alerts`: names, in which `*` is any text."""

    tenants: SelectorBody
    alerts: Annotated[list[AlertPattern], Field(max_length=20)] = Field(default_factory=list)
    severities: Annotated[list[Severity], Field(max_length=5)] = Field(default_factory=list)


def _silence(request: web.Request, body: WhenBody, matcher: Matcher, now: datetime) -> Silence:
    """What was asked for. Raises ValidationFailed."""
    local = zone(body.time_zone)
    start = now if body.start is None else time_of(body.start, "start", local)
    if body.rrule is not None and body.start is not None and is_skipped(body.start, local):
        raise bad_field(
            "start", f"the clock skips this time in {body.time_zone}; a rule needs one that there is"
        )
    if (body.end is None) == (body.duration is None):
        raise bad_field("end", "give either end or duration")
    duration = (
        time_of(body.end, "end", local) - start
        if body.end is not None
        else timedelta(seconds=planned_seconds_of(body.duration or ""))
    )
    return Silence(
        str(uuid.uuid4()), matcher, start, duration, body.reason.strip(), request[CALLER].name, now, body.time_zone,
        body.rrule, None if body.rrule else start + duration,
    )  # fmt: skip


async def _checked(request: web.Request, silence: Silence, now: datetime) -> Silence:
    """Whether a rule ever happens is worked out where that holds nobody."""
    if silence.rrule is None:
        return checked(silence, now)
    return await backend_of(request).workers.run_for(caller_key(request), checked, silence, now)


def silence_document(found: Silenced, now: datetime) -> ShownSilence:
    silence = found.silence
    return {
        "silence_id": silence.silence_id,
        "tenants": list(found.tenant_ids),
        "matcher": {
            "rule_id": silence.matcher.rule_id,
            "alerts": list(silence.matcher.alerts),
            "severities": list(silence.matcher.severities),
        },
        "state": state_of(silence, now),
        "start": silence.start,
        "end": silence.start + silence.duration,
        "duration_seconds": silence.duration.total_seconds(),
        "rrule": silence.rrule,
        "time_zone": silence.time_zone,
        "reason": silence.reason,
        "created_by": silence.created_by,
        "created_at": silence.created_at,
        "ends_at": silence.ends_at,
        "ended_by": silence.ended_by,
        "next_times": [
            {"start": i.start, "end": i.end} for i in times(silence, now, now + SHOWN_AHEAD)[:SHOWN]
        ],
    }


async def _documents(request: web.Request, found: Sequence[Silenced], now: datetime) -> list[ShownSilence]:
    def made() -> list[ShownSilence]:
        return [silence_document(each, now) for each in found]

    if not any(each.silence.rrule for each in found):
        return made()
    return await backend_of(request).threads.run_for(caller_key(request), made)


@routes.post(
    "/api/v1/tenants/{tenant_id}/alerts/{rule_id}/silence",
    Permission.OPERATE,
    body=WhenBody,
    answers={201: ShownSilence},
    refuses=(NotFound, LimitReached),
)
async def silence_rule(request: web.Request) -> web.Response:
    """Tell nobody for a while what one rule does; its changes are on record, and what fires then still is told."""
    tenant, now, backend = await tenant_of(request), now_of(request), backend_of(request)
    number = path_uuid(request, "rule_id", "there is no such alert rule")
    rule = (await backend.alerts.get(tenant, number)).rule
    body = await read_model(request, WhenBody)
    silence = await _checked(request, _silence(request, body, Matcher(rule.rule_id), now), now)
    names = await backend.silences.add([tenant.key], silence)
    [answer] = await _documents(request, [Silenced(silence, names)], now)
    return reply(answer, 201)


@routes.post(
    _ALL,
    Permission.OPERATE,
    body=SilenceBody,
    answers={201: ShownSilence},
    refuses=(InvalidPreset, LimitReached),
)
async def create(request: web.Request) -> web.Response:
    """Tell nobody for a while what some alerts of some tenants do; all of it or, for an error, nothing."""
    now, backend = now_of(request), backend_of(request)
    body = await read_model(request, SilenceBody)
    chosen, unknown = await chosen_tenants(request, body.tenants, "silence_tenants", MOST)
    if unknown:
        raise bad_field("tenants.tenant_ids", f"there is no tenant {unknown[0][:100]!r}")
    if not chosen:
        raise bad_field("tenants", "this chooses no tenant")
    matcher = Matcher(None, tuple(dict.fromkeys(body.alerts)), tuple(dict.fromkeys(body.severities)))
    silence = await _checked(request, _silence(request, body, matcher, now), now)
    names = await backend.silences.add([t.key for t in chosen], silence)
    [answer] = await _documents(request, [Silenced(silence, sorted(names))], now)
    return reply(answer, 201)


class SilencesAsked(Query):
    """Those that have not ended; `ended`: the others too. `tenant_id`: those that are for this tenant."""

    tenant_id: Annotated[str, Field(pattern=TENANT_ID_PATTERN)] | None = None
    ended: Flag = False
    skip: Annotated[int, Field(ge=0, le=MAX_SKIP)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50


@routes.get(_ALL, Permission.READ, query=SilencesAsked, answers={200: ShownSilences})
async def list_silences(request: web.Request) -> web.Response:
    """Silences for tenants of the caller's, the newest first; of each only these tenants are named."""
    query, now = read_query(request, SilencesAsked), now_of(request)
    own = [t.key for t in await own_tenants(request) if query.tenant_id in (None, t.tenant_id)]
    found = await backend_of(request).silences.page(own, now, query.skip, query.limit + 1, over=query.ended)
    answer: ShownSilences = {
        "silences": await _documents(request, found[: query.limit], now),
        "pagination": {"skip": query.skip, "limit": query.limit, "has_more": len(found) > query.limit},
    }
    return reply(answer)


@routes.get(_ALL + "/{silence_id}", Permission.READ, answers={200: OneSilence}, refuses=(NotFound,))
async def get_silence(request: web.Request) -> web.Response:
    """One silence, as it is for tenants of the caller's."""
    own = [t.key for t in await own_tenants(request)]
    found = await backend_of(request).silences.get(own, _number(request))
    answer: OneSilence = {"silences": await _documents(request, found, now_of(request))}
    return reply(answer)


@routes.delete(_ALL + "/{silence_id}", Permission.OPERATE, answers={200: EndedSilence}, refuses=(NotFound,))
async def end(request: web.Request) -> web.Response:
    """End a silence now, for tenants of the caller's; what fires then, and nobody was told of, is told. It stays on
    record."""
    number, now = _number(request), now_of(request)
    own = [t.key for t in await own_tenants(request)]
    names = await backend_of(request).silences.end(own, number, request[CALLER].name, now)
    answer: EndedSilence = {"silence_id": number, "tenants": sorted(names)}
    return reply(answer)


def _number(request: web.Request) -> str:
    return path_uuid(request, "silence_id", "there is no such silence")
