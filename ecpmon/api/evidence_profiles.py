"""Evidence profiles: those that are shipped, and the one that a tenant has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ecpmon.api.common import backend_of, now_of, read_model, reply, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import NotFound, ValidationFailed
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.profiles import Chosen, Selection

if TYPE_CHECKING:
    from ecpmon.collectors.profiles import Profile

routes = Routes()
_ALL: Final = "/api/v1/evidence-profiles"
_OWN: Final = "/api/v1/tenants/{tenant_id}/evidence-profile"


@routes.get(_ALL, Permission.READ)
async def shipped(request: web.Request) -> web.Response:
    """Software whose series are known: what is read of it, and what to beware of."""
    from ecpmon.collectors.profiles import GPU, profiles

    return reply({"profiles": [_document(n, p) for n, p in profiles().items() if n != GPU]})


@routes.get(_ALL + "/{profile}", Permission.READ)
async def one(request: web.Request) -> web.Response:
    """One of them, with its expressions."""
    from ecpmon.collectors.profiles import profiles

    name = request.match_info["profile"]
    profile = profiles().get(name)
    if profile is None:
        raise NotFound("there is no such evidence profile", details={"profile": name[:60]})
    return reply(
        {**_document(name, profile), "availability": profile.availability, "expressions": profile.counters}
    )


@routes.get(_OWN, Permission.READ)
async def of_tenant(request: web.Request) -> web.Response:
    """The tenant's profile with what is asked for it now, and those that it had."""
    tenant = await tenant_of(request, with_deleted=True)
    return reply(_told(tenant, await backend_of(request).profiles.of_tenant(tenant)))


@routes.put(_OWN, Permission.MANAGE_TENANTS)
async def choose(request: web.Request) -> web.Response:
    """Give the tenant a profile from now on; the past stays as it was measured."""
    from ecpmon.collectors.profiles import problems

    tenant, now = await tenant_of(request), now_of(request)
    selection = await read_model(request, Selection)
    if found := problems(selection):
        raise ValidationFailed("some fields are not as they should be", fields=found)
    store = backend_of(request).profiles
    await store.choose(tenant, selection, now)
    return reply(_told(tenant, await store.of_tenant(tenant)))


@routes.delete(_OWN, Permission.MANAGE_TENANTS)
async def leave(request: web.Request) -> web.Response:
    """From now on what holds for all tenants holds for this one."""
    tenant, now = await tenant_of(request), now_of(request)
    await backend_of(request).profiles.choose(tenant, None, now)
    return web.Response(status=204)


def _document(name: str, profile: Profile) -> dict[str, Any]:
    from ecpmon.collectors.profiles import objectives_of

    return {
        "name": name,
        "title": profile.title,
        "parameters": {n: p.model_dump(exclude_none=True) for n, p in profile.parameters.items()},
        "counters": list(profile.counters),
        "latency": profile.latency and profile.latency.model_dump(),
        "metrics": {n: {"unit": g.unit, "sample": g.sample} for n, g in profile.metrics.items()},
        "objectives": objectives_of(profile),
        "warnings": list(profile.warnings),
    }


def _told(tenant: Tenant, chosen: list[Chosen]) -> dict[str, Any]:
    from ecpmon.collectors.profiles import profiles, rendered

    selection = chosen[0].selection if chosen else None
    profile = profiles().get(selection.profile) if selection else None
    warnings = list(profile.warnings) if profile else []
    if selection and tenant.evidence_source is not Source.PROMETHEUS:
        warnings.insert(
            0, f"the tenant's evidence is {tenant.evidence_source.value}; what this brings is only shown"
        )
    return {
        "tenant_id": tenant.tenant_id,
        "selection": selection and selection.document(),
        "asked": rendered(selection) if selection else {},
        "warnings": warnings,
        "history": [
            {
                "valid_from": c.valid_from,
                "valid_to": c.valid_to,
                "selection": c.selection and c.selection.document(),
            }
            for c in chosen
        ],
    }
