"""What a caller may choose, and the labels every object carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.errors import ValidationFailed
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.plans import ServicePlan, TenantPlan

Manifest = dict[str, Any]

NAMESPACE_PREFIX: Final = "ecp-ai-"
MANAGED_BY: Final = "ecp-orchestrator"
SESSIONS_ANNOTATION: Final = "ecp.ai/sessions"
ACCOUNT: Final = "ecp-tenant"
CONFIG: Final = "ecp-config"
SECRET: Final = "ecp-secrets"  # noqa: S105 - the name of a Secret, not its value
_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """`namespace` None: `ecp-ai-{tenant_id}`. Raises ValidationFailed for a name Kubernetes would refuse."""

    include_monitoring: bool = True
    include_ingress: bool = False
    namespace: str | None = None
    ingress_domain: str = "ecp.local"
    ingress_class: str = "nginx"
    ingress_namespace: str = "ingress-nginx"
    monitoring_namespace: str = "monitoring"

    def __post_init__(self) -> None:
        if self.namespace is not None and not re.fullmatch(_LABEL, self.namespace):
            raise ValidationFailed(
                "namespace: not a name that Kubernetes accepts",
                fields=[{"field": "namespace", "message": "lower-case letters, digits and -, at most 63"}],
            )


@dataclass(frozen=True, slots=True)
class Scope:
    """What every object of one rendering needs."""

    tenant: Tenant
    plan: TenantPlan
    options: ManifestOptions

    @property
    def namespace(self) -> str:
        return self.options.namespace or namespace_of(self.tenant.tenant_id)

    @property
    def labels(self) -> dict[str, str]:
        return {
            "ecp.ai/tenant": self.tenant.tenant_id,
            "ecp.ai/preset": self.plan.preset,
            "ecp.ai/managed-by": MANAGED_BY,
            "app.kubernetes.io/instance": self.tenant.tenant_id,
            "app.kubernetes.io/part-of": "ecp-ai",
            "app.kubernetes.io/managed-by": MANAGED_BY,
        }

    def service_labels(self, service: ServicePlan) -> dict[str, str]:
        return {
            "app": service.service_name,
            "ecp.ai/service": service.service_name,
            "app.kubernetes.io/name": service.service_name,
            "app.kubernetes.io/component": service.service_type,
            **self.labels,
        }

    def selector(self, service: ServicePlan) -> dict[str, str]:
        """Labels that never change: a Deployment's selector is immutable."""
        return {"app": service.service_name, "ecp.ai/tenant": self.tenant.tenant_id}

    def object(
        self, api: str, kind: str, name: str, service: ServicePlan | None = None, **parts: Any
    ) -> Manifest:
        """One object of this tenant's namespace."""
        labels = self.service_labels(service) if service else self.labels
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}


def namespace_of(tenant_id: str) -> str:
    """The namespace of a tenant unless another is asked for."""
    return NAMESPACE_PREFIX + tenant_id
