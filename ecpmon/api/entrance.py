"""The way to a tenant from outside, as callers of manifests and deployments may choose it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StrictStr

_NAME: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_ABSENT: Final = "Absent: as the settings say."

IngressDomain = Annotated[
    StrictStr | None,
    Field(
        pattern=_NAME,
        max_length=190,
        description=f"The tenant is reached as `{{tenant_id}}.{{domain}}`. {_ABSENT}",
        examples=["apps.example.com"],
    ),
]
IngressClass = Annotated[
    StrictStr | None,
    Field(pattern=_NAME, max_length=253, description=f"Class of the Ingress. {_ABSENT}", examples=["nginx"]),
]
TlsIssuer = Annotated[
    StrictStr | None,
    Field(
        pattern=_NAME,
        max_length=253,
        description=f"ClusterIssuer of cert-manager that makes the certificate. {_ABSENT}",
        examples=["letsencrypt"],
    ),
]
IngressNamespace = Annotated[
    StrictStr | None,
    Field(
        pattern=_NAME,
        max_length=63,
        description=f"Namespace of what the tenant is reached through; it is let in. {_ABSENT}",
        examples=["ingress-nginx"],
    ),
]
MonitoringNamespace = Annotated[
    StrictStr | None,
    Field(
        pattern=_NAME,
        max_length=63,
        description=f"Namespace of who scrapes; it is let in. {_ABSENT}",
        examples=["monitoring"],
    ),
]
Route = Annotated[
    Literal["ingress", "httproute"] | None,
    Field(description=f"What leads to the tenant with `include_ingress`. {_ABSENT}", examples=["ingress"]),
]
Gateway = Annotated[
    StrictStr | None,
    Field(
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        max_length=317,
        description=f"Gateway of an HTTPRoute: `namespace/name`, or a name beside the tenant. {_ABSENT}",
        examples=["gateways/public"],
    ),
]

NAMES: Final = (
    "ingress_domain",
    "ingress_class",
    "tls_issuer",
    "ingress_namespace",
    "monitoring_namespace",
    "route",
    "gateway",
)


def entrance_of(chosen: Any) -> dict[str, Any]:
    """What of these a caller has said, by the names of `ManifestOptions`."""
    return {name: said for name in NAMES if (said := getattr(chosen, name)) is not None}
