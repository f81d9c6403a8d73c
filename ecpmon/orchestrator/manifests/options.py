"""What a caller may choose, and the labels every object carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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
_NAME: Final = r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
# A tenant's name and a dot go before it.
_DOMAIN: Final = r"(?=.{1,190}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*"
_VALUE: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SELECTOR: Final = rf"([a-z0-9.-]{{1,253}}/)?{_VALUE}={_VALUE}"
_FORMS: Final[dict[str, tuple[str, str]]] = {
    "namespace": (_LABEL, "lower-case letters, digits and -, at most 63"),
    "ingress_domain": (_DOMAIN, "a domain such as apps.example.com, at most 190 characters"),
    "ingress_class": (_NAME, "the name of an IngressClass"),
    "tls_issuer": (_NAME, "the name of a ClusterIssuer of cert-manager"),
    "ingress_namespace": (_LABEL, "the name of a namespace"),
    "monitoring_namespace": (_LABEL, "the name of a namespace"),
    "gateway": (rf"({_LABEL}/)?{_NAME}", "the name of a Gateway, or namespace/name"),
    "gpu_nodes": (_SELECTOR, "a label of nodes, key=value"),
    "route": ("ingress|httproute", "ingress or httproute"),
}


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What a caller chooses, and what the cluster is like. `namespace` None: `ecp-ai-{tenant_id}`.

    `include_ingress`: something leads to the tenant from outside, as `route` says: an Ingress of `ingress_class`, or an
    HTTPRoute of `gateway` (`namespace/name`, or a name in the tenant's own namespace). `ingress_namespace` is where
    that comes from, `monitoring_namespace` who scrapes. `tls_issuer` makes the certificate of an Ingress; None: the
    Secret `ecp-tls` is there. `gpu_nodes`: the label of nodes with GPUs, "": none tells them. `redis_url` is
    another than the tenant's own Redis; with a password in it, it is named as a key of the Secret and never written.
    Raises ValidationFailed for a name Kubernetes would refuse.
    """

    include_monitoring: bool = True
    include_ingress: bool = False
    namespace: str | None = None
    ingress_domain: str = "ecp.local"
    ingress_class: str = "nginx"
    tls_issuer: str | None = None
    ingress_namespace: str = "ingress-nginx"
    monitoring_namespace: str = "monitoring"
    route: str = "ingress"
    gateway: str = "ecp-gateway"
    gpu_nodes: str = "nvidia.com/gpu.present=true"
    redis_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        wrong = [
            {"field": name, "message": said}
            for name, (form, said) in _FORMS.items()
            if (value := getattr(self, name)) and not re.fullmatch(form, value)
        ]
        if wrong:
            names = ", ".join(each["field"] for each in wrong)
            raise ValidationFailed(f"{names}: not a name that Kubernetes accepts", fields=wrong)


def options_of(chosen: Mapping[str, Any]) -> ManifestOptions:
    """From a mapping: what it does not name, or names as None, is as the options' defaults say."""
    known = {each.name for each in fields(ManifestOptions)}
    return ManifestOptions(**{k: v for k, v in chosen.items() if k in known and v is not None})


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
