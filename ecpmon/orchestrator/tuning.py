"""A tenant's plan with what was right-sized for it: its own requests and limits instead of the catalogue's. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from ecpmon.errors import ValidationFailed, told
from ecpmon.model.tenants import MAX_SERVICES, Tenant
from ecpmon.orchestrator.catalogue import Catalogue, ServiceSpec, default_catalogue
from ecpmon.orchestrator.sizing import TenantPlan, plan_tenant

Overrides = Mapping[str, Mapping[str, str]]
TUNABLE = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")


def tuned(catalogue: Catalogue, overrides: Overrides) -> Catalogue:
    """`catalogue` with requests and limits replaced: service -> quantities of one replica of basic size.

    Raises ValidationFailed with one entry per bad field.
    """
    if not overrides:
        return catalogue
    if len(overrides) > MAX_SERVICES:
        said = f"names more than {MAX_SERVICES} services"
        field = {"field": "service_resources", "message": said}
        raise ValidationFailed(f"service_resources: {said}", fields=[field])
    fields: list[dict[str, str]] = []
    specs = dict(catalogue.services)
    for name, quantities in overrides.items():
        path = f"service_resources.{str(name)[:64]}"
        if name not in specs:
            fields.append({"field": path, "message": f"unknown service; known are {', '.join(specs)}"})
            continue
        try:
            specs[name] = ServiceSpec.model_validate({**specs[name].model_dump(), **_known(quantities)})
        except ValidationError as error:
            fields += [
                {"field": ".".join([path, *map(str, e["loc"])]), "message": e["msg"]} for e in error.errors()
            ]
    if fields:
        raise ValidationFailed(f"the resources cannot be used: {told(fields)}", fields=fields)
    return catalogue.model_copy(update={"services": specs})


def _known(quantities: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in quantities.items() if name in TUNABLE}


def plan_of(tenant: Tenant, catalogue: Catalogue | None = None) -> TenantPlan:
    """What the tenant is to run, under its preset. Raises as `plan_tenant` does."""
    base = tuned(catalogue or default_catalogue(), tenant.service_resources)
    return plan_tenant(tenant.service_requirements, tenant.sla_target, tenant.preset, base)


def needs_of(tenant: Tenant, catalogue: Catalogue | None = None) -> TenantPlan:
    """The same under the smallest preset that holds it: for tenants whose own may be too small."""
    base = tuned(catalogue or default_catalogue(), tenant.service_resources)
    return plan_tenant(tenant.service_requirements, tenant.sla_target, None, base)
