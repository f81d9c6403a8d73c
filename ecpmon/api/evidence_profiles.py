"""Evidence profiles: those that are shipped, and the one that a tenant has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NotRequired, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, read_model, reply, tenant_of
from ecpmon.api.paths import path_name
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import NotFound, ValidationFailed
from ecpmon.korean.messages import said_to
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import TypedDict
from ecpmon.ports.profiles import Chosen, Selection

if TYPE_CHECKING:
    from ecpmon.collectors.profiles import Profile

routes = Routes()
_ALL: Final = "/api/v1/evidence-profiles"
_NO_PROFILE: Final = "there is no such evidence profile"
_OWN: Final = "/api/v1/tenants/{tenant_id}/evidence-profile"


class ParameterShown(TypedDict):
    about: str
    required: bool
    kind: Literal["pattern", "label", "metric"]
    default: NotRequired[str]


class LatencyShown(TypedDict):
    of: Annotated[str, Field(examples=["requests"])]
    unit: Literal["s", "ms"]
    default: Annotated[float, Field(examples=[0.25])]
    bounds: Annotated[Sequence[float], Field(description="Of its buckets, where they are known.")]


class GaugeShown(TypedDict):
    unit: Annotated[str, Field(examples=["percent"])]
    sample: Annotated[bool, Field(description="It describes an instant, and not the time since the last.")]


class MetricName(TypedDict):
    metric: Annotated[str, Field(examples=["requests_total"])]


class ObjectiveOffered(TypedDict):
    """An objective that its counters are good for, without a target."""

    name: Annotated[str, Field(examples=["requests"])]
    kind: Literal["requests"]
    total: MetricName
    good: NotRequired[MetricName]
    bad: NotRequired[MetricName]


class ProfileShown(TypedDict):
    """Software whose series are known."""

    name: Annotated[str, Field(examples=["vllm"])]
    title: str
    parameters: Mapping[str, ParameterShown]
    counters: Sequence[str]
    latency: LatencyShown | None
    metrics: Mapping[str, GaugeShown]
    objectives: Sequence[ObjectiveOffered]
    warnings: Sequence[str]


class ProfileDetail(ProfileShown):
    """With its expressions."""

    availability: Mapping[str, str]
    expressions: Mapping[str, str]


class Profiles(TypedDict):
    profiles: list[ProfileShown]


class SelectionShown(TypedDict):
    profile: Annotated[str, Field(examples=["vllm"])]
    match: Annotated[Mapping[str, str], Field(examples=[{"namespace": "ecp-ai-my-ai-service"}])]
    instances: Literal["any", "all"]
    parameters: Mapping[str, str]
    probe: NotRequired[Mapping[str, str]]
    probe_interval: NotRequired[float]
    gpu: NotRequired[Mapping[str, str]]
    threshold: NotRequired[float]


class ChosenShown(TypedDict):
    """null for what holds for all tenants, and for an end that is open."""

    valid_from: datetime | None
    valid_to: datetime | None
    selection: SelectionShown | None


class ProfileOfTenant(TypedDict):
    tenant_id: str
    selection: SelectionShown | None
    asked: Annotated[Mapping[str, str], Field(description="The questions to Prometheus, by name.")]
    warnings: list[str]
    history: list[ChosenShown]


@routes.get(_ALL, Permission.READ, answers={200: Profiles})
async def shipped(request: web.Request) -> web.Response:
    """Software whose series are known: what is read of it, and what to beware of."""
    from ecpmon.collectors.profiles import GPU, profiles

    found: Profiles = {"profiles": [_document(request, n, p) for n, p in profiles().items() if n != GPU]}
    return reply(found)


@routes.get(_ALL + "/{profile}", Permission.READ, answers={200: ProfileDetail})
async def one(request: web.Request) -> web.Response:
    """One of them, with its expressions."""
    from ecpmon.collectors.profiles import profiles

    name = path_name(request, "profile", _NO_PROFILE)
    profile = profiles().get(name)
    if profile is None:
        raise NotFound(_NO_PROFILE, details={"profile": name})
    detail: ProfileDetail = {
        **_document(request, name, profile),
        "availability": profile.availability,
        "expressions": profile.counters,
    }
    return reply(detail)


@routes.get(_OWN, Permission.READ, answers={200: ProfileOfTenant})
async def of_tenant(request: web.Request) -> web.Response:
    """The tenant's profile with what is asked for it now, and those that it had."""
    tenant = await tenant_of(request, with_deleted=True)
    return reply(_told(request, tenant, await backend_of(request).profiles.of_tenant(tenant)))


@routes.put(_OWN, Permission.MANAGE_TENANTS, body=Selection, answers={200: ProfileOfTenant})
async def choose(request: web.Request) -> web.Response:
    """Give the tenant a profile from now on; the past stays as it was measured."""
    from ecpmon.collectors.profiles import problems

    tenant, now = await tenant_of(request), now_of(request)
    selection = await read_model(request, Selection)
    if found := problems(selection):
        raise ValidationFailed("some fields are not as they should be", fields=found)
    store = backend_of(request).profiles
    await store.choose(tenant, selection, now)
    return reply(_told(request, tenant, await store.of_tenant(tenant)))


@routes.delete(_OWN, Permission.MANAGE_TENANTS, answers={204: None})
async def leave(request: web.Request) -> web.Response:
    """From now on what holds for all tenants holds for this one."""
    tenant, now = await tenant_of(request), now_of(request)
    await backend_of(request).profiles.choose(tenant, None, now)
    return web.Response(status=204)


def _document(request: web.Request, name: str, profile: Profile) -> ProfileShown:
    from ecpmon.collectors.profiles import objectives_of

    return {
        "name": name,
        "title": profile.title,
        "parameters": {n: cast(Any, p.model_dump(exclude_none=True)) for n, p in profile.parameters.items()},
        "counters": list(profile.counters),
        "latency": cast(Any, profile.latency and profile.latency.model_dump()),
        "metrics": {n: {"unit": g.unit, "sample": g.sample} for n, g in profile.metrics.items()},
        "objectives": cast(list[ObjectiveOffered], objectives_of(profile)),
        "warnings": [said_to(request.headers, w) for w in profile.warnings],
    }


def _told(request: web.Request, tenant: Tenant, chosen: list[Chosen]) -> ProfileOfTenant:
    from ecpmon.collectors.profiles import profiles, rendered

    selection = chosen[0].selection if chosen else None
    profile = profiles().get(selection.profile) if selection else None
    warnings = list(profile.warnings) if profile else []
    if selection and (why := _not_evidence(tenant, selection)):
        warnings.insert(0, why)
    return {
        "tenant_id": tenant.tenant_id,
        "selection": _selected(selection),
        "asked": rendered(selection) if selection else {},
        "warnings": [said_to(request.headers, w) for w in warnings],
        "history": [
            {
                "valid_from": c.valid_from,
                "valid_to": c.valid_to,
                "selection": _selected(c.selection),
            }
            for c in chosen
        ],
    }


def _not_evidence(tenant: Tenant, selection: Selection) -> str | None:
    """Why the tenant is not judged by what the profile names; None: it is."""
    from ecpmon.agents.evidence import is_evidence

    match tenant.evidence_source:
        case Source.PROMETHEUS:
            return None
        case Source.PUSH if is_evidence(selection):
            return None
        case Source.PUSH:
            return (
                "series that are sent are evidence of single instances: set `instances` to `all`, or name the one"
                " `instance` in `match`"
            )
    return f"the tenant's evidence is {tenant.evidence_source.value}; what this brings is only shown"


def _selected(selection: Selection | None) -> SelectionShown | None:
    return None if selection is None else cast(SelectionShown, selection.document())
