"""Manifests of random and chosen tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ecpmon.model.tenants import SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import Manifest, ManifestOptions, render
from ecpmon.orchestrator.plans import TenantPlan
from ecpmon.orchestrator.sizing import plan_tenant

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def rendered(
    requirements: dict[str, int], availability: str = "99.9%", tenant_id: str = "acme", **options: Any
) -> tuple[Manifest, ...]:
    plan = plan_tenant(requirements, SlaTarget(availability=availability))
    return rendered_plan(plan, requirements, availability, tenant_id, **options)


def rendered_plan(
    plan: TenantPlan, requirements: dict[str, int], availability: str, tenant_id: str = "acme", **options: Any
) -> tuple[Manifest, ...]:
    tenant = Tenant(
        key=1,
        tenant_id=tenant_id,
        name=None,
        preset=plan.preset,
        is_demo=False,
        status=TenantStatus.PENDING,
        service_requirements=requirements,
        resources=plan.resources,
        sla_target=SlaTarget(availability=availability),
        created_at=NOW,
        updated_at=NOW,
    )
    return render(tenant, plan, ManifestOptions(**options))


def of_kind(objects: tuple[Manifest, ...], kind: str) -> dict[str, Manifest]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}
