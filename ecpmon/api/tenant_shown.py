"""A tenant as lists and details show it."""

from __future__ import annotations

import math
from typing import Final, cast

from ecpmon.api.common import is_stale, percent
from ecpmon.api.tenant_shapes import (
    Measured,
    NewestContract,
    ResourcesShown,
    ServiceShown,
    SlaTargetShown,
    TenantRow,
)
from ecpmon.errors import InsufficientResources, ValidationFailed
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.sla import Listed


def shown_percentage(fraction: float | None) -> str | None:
    """`"99.86%"`, cut to two decimals and never rounded up: 99.996 % is not shown as 100 %."""
    if fraction is None:
        return None
    return f"{math.floor(fraction * 10_000 + 1e-9) / 100:.2f}%" if fraction < 1 else "100%"


# Of a tenant of whom nothing was evaluated yet.
_NOTHING: Final[Measured] = {
    "sla_availability": None,
    "sla_bounds": {"low": None, "high": None},
    "sla_coverage": None,
    "sla_status": SlaStatus.NO_DATA,
    "sla_stale": True,
    "sla_as_of": None,
}


def measured_shown(found: Listed | None) -> Measured:
    """The availability of the last 30 days, and how sure that is."""
    if found is None:
        return _NOTHING
    return {
        "sla_availability": shown_percentage(found.availability),
        "sla_bounds": {"low": percent(found.low), "high": percent(found.high)},
        "sla_coverage": percent(found.coverage),
        "sla_status": found.status,
        "sla_stale": is_stale(found.state),
        "sla_as_of": found.as_of,
    }


def row(tenant: Tenant, measured: Listed | None, response_time: float | None) -> TenantRow:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "preset": tenant.preset,
        "is_demo": tenant.is_demo,
        "status": tenant.status,
        "services_count": len(tenant.service_requirements),
        "cpu_limit": tenant.resources.cpu,
        "memory_limit": tenant.resources.memory,
        "gpu_limit": tenant.resources.gpu,
        "storage_limit": tenant.resources.storage,
        "gpu_type": tenant.gpu_type,
        **measured_shown(measured),
        "sla_response_time": None if response_time is None else f"{response_time:.0f}ms",
        "created_at": tenant.created_at,
        "description": tenant.description,
    }


def resources_shown(resources: Resources) -> ResourcesShown:
    return {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "gpu": resources.gpu,
        "storage": resources.storage,
    }


def target_shown(target: SlaTarget) -> SlaTargetShown:
    return cast(SlaTargetShown, target.model_dump(exclude_none=True))


def newest_contract(tenant: Tenant) -> NewestContract:
    """Which version of the contract says what the tenant's row says, and from when on."""
    newest = tenant.contract_versions[-1]
    return {"version": newest.version, "valid_from": newest.valid_from}


def services_shown(tenant: Tenant) -> list[ServiceShown]:
    """From the plan; a tenant inserted by hand may ask for services the catalogue does not know: then none."""
    from ecpmon.orchestrator.tuning import needs_of

    try:
        plan = needs_of(tenant)
    except (ValidationFailed, InsufficientResources):
        return []
    return [
        {
            "service_name": s.service_name,
            "service_type": s.service_type,
            "enabled": True,
            "count": s.replicas,
            "image": s.image,
            "resources": {"cpu_request": s.cpu_request, "memory_request": s.memory_request},
        }
        for s in plan.services
    ]
