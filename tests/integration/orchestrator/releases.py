"""Releases of the tests, and a progress that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.model.tenants import SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import namespace_of, render
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import plan_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)
REQUIREMENTS = {"callbot": 20}


class Told:
    """A `Progress`. `applied` is the replicas wanted of each workload just after it was applied."""

    def __init__(self) -> None:
        self.phases: list[DeploymentStatus] = []
        self.objects: tuple[DeployedObject, ...] = ()
        self.applied: dict[str, int] = {}

    async def __call__(
        self, phase: DeploymentStatus, message: str, objects: Sequence[DeployedObject] | None
    ) -> None:
        assert message
        if not self.phases or self.phases[-1] is not phase:
            self.phases.append(phase)
        self.objects = self.objects if objects is None else tuple(objects)
        for found in self.objects:
            if found.replicas is not None:
                self.applied.setdefault(found.name, int(found.replicas.split("/")[1]))


def tenant_of(tenant_id: str) -> Tenant:
    target = SlaTarget(availability="99.9%")
    plan = plan_tenant(REQUIREMENTS, target)
    return Tenant(
        key=1, tenant_id=tenant_id, name=None, preset=plan.preset, is_demo=False, status=TenantStatus.PENDING,
        service_requirements=REQUIREMENTS, resources=plan.resources, sla_target=target,
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def rendered_release(tenant_id: str) -> Release:
    tenant = tenant_of(tenant_id)
    return Release("dep-1", tenant_id, namespace_of(tenant_id), render(tenant, plan_of(tenant)))


def labels_of(tenant_id: str) -> dict[str, str]:
    return {"ecp.ai/managed-by": "ecp-orchestrator", "ecp.ai/tenant": tenant_id}


def small_release(tenant_id: str, *more: dict[str, Any], image: str = "registry.example/web:1.0") -> Release:
    """A namespace, one Deployment `web` of two pods, and `more`."""
    space = namespace_of(tenant_id)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": space, "labels": labels_of(tenant_id)},
    }
    return Release("dep-1", tenant_id, space, (namespace, web(tenant_id, image), *more))


def web(tenant_id: str, image: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    spec = {
        "replicas": 2,
        "progressDeadlineSeconds": 60,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web", **labels_of(tenant_id)}},
            "spec": {"containers": [{"name": "web", "image": image, "resources": resources}]},
        },
    }
    return made(tenant_id, "apps/v1", "Deployment", "web", spec=spec)


def made(tenant_id: str, version: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    """An object of the tenant with the labels that make it ours."""
    metadata = {"name": name, "namespace": namespace_of(tenant_id), "labels": labels_of(tenant_id)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}
