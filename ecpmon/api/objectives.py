"""Request-based and latency objectives, as JSON and as OpenSLO v1 YAML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from aiohttp import web
from pydantic import ValidationError

from ecpmon.api.answers.objectives import (
    CountedWindow,
    GivenObjective,
    GivenObjectives,
    ObjectiveStatus,
    ShownObjective,
    ShownObjectives,
    Suspect,
)
from ecpmon.api.common import (
    apart,
    backend_of,
    bad_field,
    now_of,
    percent,
    read_document,
    read_json,
    reply,
    tenant_of,
    worked_out,
)
from ecpmon.api.paths import path_name
from ecpmon.api.queries import Windows
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.texts import check_document, check_width
from ecpmon.errors import BadRequest, Conflict, LimitReached, NotFound, ValidationFailed
from ecpmon.korean.messages import said_to
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.objectives import Objective, RatioResult, StoredObjective
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, Text, field_errors, read_query
from ecpmon.ports.faults import Fault, counter_subject
from ecpmon.sla.terms import effort_of, terms_of

if TYPE_CHECKING:
    from ecpmon.sla import openslo_reader
    from ecpmon.sla.matching import Matches
    from ecpmon.sla.openslo import Promise
    from ecpmon.sla.ratios import Stretch

routes = Routes()
T = TypeVar("T")
# Series that are compared by the event loop, each with each objective; more are compared by a thread.
_FEW: Final = 500
YAML: Final = "application/yaml"
_YAML_TYPES: Final = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})
_ALL: Final = "/api/v1/tenants/{tenant_id}/objectives"
_NO_OBJECTIVE: Final = "there is no such objective"
_ONE: Final = "/api/v1/tenants/{tenant_id}/objectives/{objective}"
_AS_YAML: Final = Text(YAML)


def promise_of(tenant: Tenant) -> Promise:
    from ecpmon.sla.openslo import Promise

    return Promise(tenant.tenant_id, tenant.sla_target.fraction, tenant.time_zone)


def document(stored: StoredObjective, matches: Matches, said: Callable[[str], str]) -> ShownObjective:
    """`said`: a sentence in the caller's language."""
    shown = stored.objective.model_dump(mode="json", exclude_none=True)
    more = {
        "inherited": stored.inherited,
        "first_observation": stored.first_at,
        "matches": matches.document(),
        "hints": [said(hint) for hint in matches.hints()],
    }
    return cast("ShownObjective", {**shown, **more})  # the fields of `model.Objective`, and these


# What `document` adds to an objective; what is shown can be sent back.
_SHOWN: Final = frozenset({"inherited", "first_observation", "matches", "hints"})


async def _documents(
    request: web.Request, tenant: Tenant, stored: Sequence[StoredObjective]
) -> list[ShownObjective]:
    """The objectives with the series that they find now."""
    from ecpmon.sla.matching import Matches, metrics_of

    names = metrics_of(s.objective for s in stored)
    series = await backend_of(request).objectives.series(tenant, names)

    said = partial(said_to, request.headers)

    def shown() -> list[ShownObjective]:
        return [document(s, Matches(s.objective, tenant.evidence_source, series), said) for s in stored]

    return await _looked_at(request, tenant, len(series) * len(stored), shown)


async def _looked_at(request: web.Request, tenant: Tenant, pairs: int, look: Callable[[], T]) -> T:
    """Of pairs of series and objectives that are compared many are too many for the event loop."""
    return await apart(request, tenant, look) if pairs > _FEW else look()


async def _check(request: web.Request, tenant: Tenant, given: Sequence[Objective], where: str) -> None:
    """Raises ValidationFailed for objectives that cannot find anything."""
    from ecpmon.sla.matching import metrics_of, refused

    series = await backend_of(request).objectives.series(tenant, metrics_of(given))
    pairs = len(series) * len(given)

    def look() -> list[dict[str, str]]:
        return refused(given, tenant.evidence_source, series, where)

    if fields := await _looked_at(request, tenant, pairs, look):
        raise ValidationFailed("some selectors cannot match", fields=fields)


class Form(Query):
    """`openslo`: as YAML."""

    format: Literal["json", "openslo"] = "json"


def _wants_yaml(request: web.Request) -> bool:
    return read_query(request, Form).format == "openslo"


async def _yaml(request: web.Request, tenant: Tenant, stored: list[StoredObjective]) -> web.Response:
    from ecpmon.sla import openslo, yamlstream

    documents = openslo.documents(promise_of(tenant), [s.objective for s in stored])
    return web.Response(text=await apart(request, tenant, yamlstream.dump, documents), content_type=YAML)


async def _find(request: web.Request, tenant: Tenant) -> StoredObjective:
    """The objective named in the path. Raises NotFound, also for another tenant's."""
    name = path_name(request, "objective", _NO_OBJECTIVE)
    for stored in await backend_of(request).objectives.of_tenant(tenant):
        if stored.objective.name == name:
            return stored
    raise NotFound(_NO_OBJECTIVE, details={"objective": name})


@routes.get(_ALL, Permission.READ, query=Form, answers={200: (ShownObjectives, _AS_YAML)})
async def objectives(request: web.Request) -> web.Response:
    """The tenant's objectives; `format=openslo` gives OpenSLO v1 YAML, with the availability target."""
    tenant, as_yaml = await tenant_of(request, with_deleted=True), _wants_yaml(request)
    found = await backend_of(request).objectives.of_tenant(tenant)
    if as_yaml:
        return await _yaml(request, tenant, found)
    return await _listed(request, tenant, found)


async def _listed(request: web.Request, tenant: Tenant, found: Sequence[StoredObjective]) -> web.Response:
    shown = await _documents(request, tenant, found)
    answer: ShownObjectives = {"tenant_id": tenant.tenant_id, "objectives": shown}
    return reply(answer)


@routes.get(_ONE, Permission.READ, query=Form, answers={200: (ShownObjective, _AS_YAML)}, refuses=(NotFound,))
async def objective(request: web.Request) -> web.Response:
    """One objective."""
    tenant, as_yaml = await tenant_of(request, with_deleted=True), _wants_yaml(request)
    stored = await _find(request, tenant)
    if not as_yaml:
        (shown,) = await _documents(request, tenant, [stored])
        return reply(shown)
    from ecpmon.sla import openslo, yamlstream

    alone = openslo.documents(promise_of(tenant), [stored.objective])[1:]
    return web.Response(text=yamlstream.dump(alone), content_type=YAML)


@routes.put(
    _ALL,
    Permission.MANAGE_TENANTS,
    body=(GivenObjectives, _AS_YAML),
    answers={200: ShownObjectives},
    refuses=(Conflict,),
)
async def replace(request: web.Request) -> web.Response:
    """Give the tenant exactly these objectives of its own, from JSON or OpenSLO YAML; all or none is stored."""
    tenant, now, store = await tenant_of(request), now_of(request), backend_of(request).objectives
    given = await _given(request, tenant)
    await _check(request, tenant, given, "objectives.{}.")
    await store.put(tenant, given, now, others=False)
    await backend_of(request).on_objectives_changed(tenant, now)
    return await _listed(request, tenant, await store.of_tenant(tenant))


@routes.put(
    _ONE,
    Permission.MANAGE_TENANTS,
    body=(GivenObjective, _AS_YAML),
    answers={200: ShownObjective, 201: ShownObjective},
    refuses=(Conflict,),
)
async def put(request: web.Request) -> web.Response:
    """Define one objective, from JSON or from an OpenSLO SLO of its name."""
    tenant, now, store = await tenant_of(request), now_of(request), backend_of(request).objectives
    name = request.match_info["objective"]
    given = await _given(request, tenant, name)
    if [o.name for o in given] != [name]:
        raise bad_field("name", f"must be one objective called {name[:63]!r}")
    await _check(request, tenant, given, "")
    (new,) = await store.put(tenant, given, now)
    await backend_of(request).on_objectives_changed(tenant, now)
    (shown,) = await _documents(request, tenant, [await _find(request, tenant)])
    return reply(shown, 201 if new else 200)


@routes.delete(_ONE, Permission.MANAGE_TENANTS, answers={204: None}, refuses=(NotFound, Conflict))
async def delete(request: web.Request) -> web.Response:
    """Take the tenant's own objective back; a default of that name is in force again."""
    tenant, now, backend = await tenant_of(request), now_of(request), backend_of(request)
    await backend.objectives.delete(tenant, path_name(request, "objective", _NO_OBJECTIVE), now)
    await backend.on_objectives_changed(tenant, now)
    return web.Response(status=204)


async def _given(request: web.Request, tenant: Tenant, name: str | None = None) -> list[Objective]:
    """The objectives of the body. Raises ValidationFailed with a path, BadRequest, PayloadTooLarge."""
    if request.content_type in _YAML_TYPES:
        parsed = await apart(request, tenant, _parsed, await _text(request), promise_of(tenant))
        if parsed.availability not in (None, tenant.sla_target.fraction):
            raise bad_field("availability", f"is {tenant.sla_target.availability}; change it with the tenant")
        return list(parsed.objectives)
    body = await read_json(request)
    if isinstance(body, dict):
        check_width(body)
    check_document(body)
    if name is not None:
        if not isinstance(body, dict) or body.get("name", name) != name:
            raise bad_field("name", f"must be an object, called {name[:63]!r}")
        return [_objective({**body, "name": name}, "")]
    if (
        not isinstance(body, dict)
        or body.keys() != {"objectives"}
        or not isinstance(body["objectives"], list)
    ):
        raise bad_field("objectives", "must be a list, and all there is")
    found = [_objective(each, f"objectives.{index}.") for index, each in enumerate(body["objectives"])]
    if len({o.name for o in found}) != len(found):
        raise bad_field("objectives", "name one twice")
    return found


def _parsed(text: str, promise: Promise) -> openslo_reader.Parsed:
    from ecpmon.sla import openslo_reader, yamlstream

    found = yamlstream.load(text)
    # An empty file is a mistake more often than the wish to have none.
    if not found:
        raise bad_field("body", 'holds no document; who wants no objectives sends `{"objectives": []}`')
    check_document(found)
    return openslo_reader.parse(found, promise)


def _objective(body: Any, where: str) -> Objective:
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if k not in _SHOWN}
    try:
        return Objective.model_validate(body)
    except ValidationError as error:
        fields = [{**f, "field": where + f["field"]} for f in field_errors(error)]
        raise ValidationFailed("some fields are not as they should be", fields=fields) from error


async def _text(request: web.Request) -> str:
    try:
        return (await read_document(request)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8") from error


class StatusAsked(Query):
    """Absent: the windows of the objective."""

    windows: Windows | None = None


@routes.get(
    _ONE + "/status",
    Permission.READ,
    query=StatusAsked,
    answers={200: ObjectiveStatus},
    refuses=(LimitReached, NotFound),
)
async def status(request: web.Request) -> web.Response:
    """Ratio with bounds, verdict, budget and burn rate per window, up to the last whole minute."""
    from ecpmon.sla.ratios import cuts, edges, standing

    tenant, backend, now = await tenant_of(request, with_deleted=True), backend_of(request), now_of(request)
    stored = await _find(request, tenant)
    names = read_query(request, StatusAsked).windows or stored.objective.windows
    planned = await backend.maintenance.of_tenant(tenant)
    spans = await worked_out(
        request, tenant, effort_of(tenant, planned), _stretches, tenant, planned, now, names
    )
    before = await backend.objectives.sums(edges(stored.key, spans))
    holes = await backend.objectives.holes(cuts(stored, spans))
    statuses = await backend.objectives.statuses(tenant)
    rule = tenant.maintenance_accounting
    found = await worked_out(
        request, tenant, effort_of(tenant, planned), standing, stored, spans, before, rule, statuses, holes
    )
    unit = 1e6 if stored.objective.counters is None else 1.0
    answer: ObjectiveStatus = {
        "tenant_id": tenant.tenant_id,
        "objective": stored.objective.name,
        "kind": stored.objective.kind,
        "unit": "requests" if unit == 1.0 else "seconds",
        "target": percent(stored.objective.target),
        "as_of": now,
        "suspect": await _suspect(request, tenant, stored.objective, min(r.start for r in found)),
        "windows": [window_document(r, unit) for r in found],
    }
    return reply(answer)


async def _suspect(
    request: web.Request, tenant: Tenant, objective: Objective, since: datetime
) -> list[Suspect]:
    """When its counters could not be used since then, and why: figures that reach over that are suspect."""
    counters = objective.counters
    if counters is None:
        return []
    subjects = {counter_subject(each.metric) for each in counters.selectors.values()}
    if objective.histogram is not None:  # a native one is a counter of that name
        subjects.add(counter_subject(objective.histogram.metric))
    found = await backend_of(request).faults.of_tenant(tenant, since)
    return [_suspected(request, fault) for fault in found if fault.subject in subjects]


def _suspected(request: web.Request, fault: Fault) -> Suspect:
    return {
        "source": fault.source,
        "subject": fault.subject,
        "first_at": fault.first_at,
        "last_at": fault.last_at,
        "reason": said_to(request.headers, fault.reason),
    }


def _stretches(
    tenant: Tenant, planned: Sequence[Maintenance], now: datetime, names: Sequence[str]
) -> list[Stretch]:
    terms = terms_of(tenant, planned, now)
    from ecpmon.sla.ratios import stretch

    return [stretch(name, now, terms) for name in names]


def window_document(r: RatioResult, unit: float) -> CountedWindow:
    """One window: percentages, counts in requests or seconds, unrounded."""
    return {
        "window": r.window,
        "start": r.start,
        "end": r.end,
        "ratio": percent(r.ratio),
        "ratio_other_accounting": percent(r.ratio_other_accounting),
        "bounds": {"low": percent(r.low), "high": percent(r.high)},
        "coverage": percent(r.coverage),
        "verdict": r.verdict,
        "status": r.status,
        "good": r.counts.good / unit,
        "bad": r.counts.bad / unit,
        "total": r.counts.total / unit,
        # Whether good and total belong together.
        "consistent": r.consistent,
        # Restarts that no counter told of: it fell.
        "assumed_resets": r.assumed_resets,
        "eligible_minutes": r.eligible / 60,
        "observed_minutes": r.observed / 60,
        "error_budget": {
            "total": r.budget.total / unit,
            "consumed": r.budget.consumed / unit,
            "remaining": r.budget.remaining / unit,
            "remaining_percent": percent(r.budget.remaining_fraction),
        },
        "burn_rate": r.burn_rate,
        "projected_exhaustion": r.projected_exhaustion,
    }
