"""Tenants of the simulated cluster: their names, services and the truth about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ecpmon.simulator.model.objects import ServiceSpec
from ecpmon.simulator.model.times import Micros

# Words that stand in the place of a tenant in the paths of the REST interface.
RESERVED_TENANTS: Final = frozenset({"system", "types"})


def namespace_of(tenant_id: str) -> str:
    return f"ecp-ai-{tenant_id}"


@dataclass(frozen=True, slots=True)
class ExternalMetrics:
    """Numbers somebody posted about a tenant; shown beside the simulator's own."""

    received_at: Micros
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PastRecord:
    """The written history of a tenant: `[start, end)`, for the services as they were when it was written."""

    start: Micros
    end: Micros
    services: tuple[ServiceSpec, ...]


@dataclass(frozen=True, slots=True)
class Tenant:
    """`truth` holds the transitions `(since, up)` of the live time, strictly increasing and alternating."""

    tenant_id: str
    ordinal: int
    created_at: Micros
    services: tuple[str, ...]
    # Services whose deployment has another name.
    aliases: Mapping[str, str] = field(default_factory=dict)
    truth: tuple[tuple[Micros, bool], ...] = ()
    past: PastRecord | None = None
    external: Mapping[str, ExternalMetrics] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return namespace_of(self.tenant_id)

    def key_of(self, service: str) -> str:
        """The key of the deployment that runs `service`."""
        return f"{self.namespace}/{self.aliases.get(service, service)}"

    @property
    def ready(self) -> bool | None:
        """None until the tenant was ready for the first time."""
        return self.truth[-1][1] if self.truth else None
