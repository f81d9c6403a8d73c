"""What is promised to a tenant: the version of its contract that is in force, the next one, and all before."""

from __future__ import annotations

from typing import Annotated, Final, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, reply, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import (
    ContractInForce,
    ContractShown,
    ContractVersions,
    CreditsShown,
    ExclusionRules,
    ServiceHours,
    SlaTargetShown,
)
from ecpmon.model.tenants import ContractVersion
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.sla.contracts import judged

routes = Routes()
MOST_VERSIONS: Final = 1_000


def version_document(version: ContractVersion) -> ContractShown:
    """`credits` null: those of `rules/credits.yaml`; `service_hours` null: always; `exclusion_rules` null: as the
    settings say."""
    return {
        "version": version.version,
        "valid_from": version.valid_from,
        "sla_target": cast(SlaTargetShown, version.sla_target.model_dump(exclude_none=True)),
        "maintenance_accounting": version.maintenance_accounting,
        "time_zone": version.time_zone,
        "credits": cast(CreditsShown | None, version.credits),
        "service_hours": cast(ServiceHours | None, version.hours),
        "exclusion_rules": cast(ExclusionRules | None, version.exclusion_rules),
        "created_at": version.created_at,
        "created_by": version.created_by,
        "replaced_at": version.replaced_at,
    }


@routes.get("/api/v1/tenants/{tenant_id}/contract", Permission.READ, answers={200: ContractInForce})
async def contract(request: web.Request) -> web.Response:
    """The version that judges the present month, and the one that takes effect next."""
    tenant, now = await tenant_of(request, with_deleted=True), now_of(request)
    (month,) = judged("month", now, tenant.contract_versions)
    coming = [v for v in tenant.contract_versions if v.version > month.version.version]
    found: ContractInForce = {
        "tenant_id": tenant.tenant_id,
        "as_of": now,
        "in_force": version_document(month.version),
        "next": version_document(coming[-1]) if coming else None,
    }
    return reply(found)


class VersionsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=MOST_VERSIONS)] = 100


@routes.get(
    "/api/v1/tenants/{tenant_id}/contract/versions",
    Permission.READ,
    query=VersionsQuery,
    answers={200: ContractVersions},
)
async def versions(request: web.Request) -> web.Response:
    """Every version, the newest first; `replaced_at` of one that never took effect."""
    tenant = await tenant_of(request, with_deleted=True)
    most = read_query(request, VersionsQuery).limit
    found = await backend_of(request).tenants.contract_history(tenant, most)
    shown: ContractVersions = {
        "tenant_id": tenant.tenant_id,
        "versions": [version_document(v) for v in found],
    }
    return reply(shown)
