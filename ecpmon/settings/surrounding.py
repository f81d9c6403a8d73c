"""Settings of what tenants' manifests are to know of the clusters they are deployed to."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from ecpmon.settings.parts import Part

_KUBE_NAME: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


class Surrounding(Part):
    """The way to tenants from outside, who may reach them, where their GPUs are, and which Redis they use."""

    ingress_domain: str = Field(
        default="ecp.local",
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        max_length=190,
        description="Domain under which tenants are reached from outside, as `{tenant_id}.{domain}`.",
    )
    ingress_route: Literal["ingress", "httproute"] = Field(
        default="ingress",
        description="What leads to tenants from outside: an Ingress, or an HTTPRoute of a Gateway.",
    )
    ingress_class: str = Field(
        default="nginx", pattern=_KUBE_NAME, max_length=253, description="Class of tenants' Ingresses."
    )
    ingress_gateway: str = Field(
        default="ecp-gateway",
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        max_length=317,
        description="Gateway of tenants' HTTPRoutes: `namespace/name`, or a name in the tenant's own namespace.",
    )
    tls_issuer: str | None = Field(
        default=None,
        pattern=_KUBE_NAME,
        max_length=253,
        description="ClusterIssuer of cert-manager that makes the certificates of tenants' Ingresses; empty: the Secret"
        " `ecp-tls` is put there by somebody else.",
    )
    ingress_namespace: str = Field(
        default="ingress-nginx",
        pattern=_KUBE_NAME,
        max_length=63,
        description="Namespace of what tenants are reached through; their NetworkPolicy lets it in.",
    )
    monitoring_namespace: str = Field(
        default="monitoring",
        pattern=_KUBE_NAME,
        max_length=63,
        description="Namespace of who scrapes tenants; their NetworkPolicy lets it in.",
    )
    gpu_nodes: str = Field(
        default="nvidia.com/gpu.present=true",
        pattern=r"^(none|[A-Za-z0-9./_-]+=[A-Za-z0-9._-]+)$",
        max_length=381,
        description="Label of the nodes that have GPUs, which tenants' pods with GPUs select; `none`: no label tells.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis that tenants' pods are to use instead of their own; nothing here uses it. A URL with a"
        " password is not written into manifests: pods take it from the key `REDIS_URL` of the Secret `ecp-secrets`.",
    )

    @field_validator("redis_url")
    @classmethod
    def _a_place(cls, value: SecretStr | None) -> SecretStr | None:
        """Whatever its scheme: clients know more of them than we do."""
        if value is None or not value.get_secret_value().strip():
            return None
        parts = urlsplit(value.get_secret_value())
        if not parts.scheme or not parts.hostname or parts.port == 0:
            raise ValueError("must be a URL such as redis://cache.example.com:6379")
        return value
