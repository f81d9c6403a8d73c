"""Which evidence profile a tenant has, from when on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import ConfigDict, Field, StringConstraints

from ecpmon.model.tenants import Tenant
from ecpmon.shapes import Model

# Of a profile's name.
PROFILE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,60}$"
LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", strict=True)]
LabelValue = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", strict=True)
]
Match = Annotated[
    dict[LabelName, LabelValue],
    Field(min_length=1, max_length=5, examples=[{"namespace": "ecp-ai-my-ai-service"}]),
]


class Selection(Model):
    """`match`: labels by which the tenant's series are known. `probe`, `gpu`: the same of its probe, of its GPUs.

    `instances`: whether one instance that is up is enough. `threshold`: of the latency, in the profile's unit.
    `probe_interval`: seconds between probes, when that is not as often as Prometheus is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Annotated[str, StringConstraints(max_length=60, strict=True)]
    match: Match
    probe: Match | None = None
    probe_interval: Annotated[float, Field(ge=1, le=3600)] | None = None
    gpu: Match | None = None
    instances: Literal["any", "all"] = "any"
    threshold: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)] | None = None
    parameters: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=60)],
            Annotated[str, StringConstraints(min_length=1, max_length=200, strict=True)],
        ],
        Field(max_length=20),
    ] = Field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class Chosen:
    """`selection` None: what holds for all tenants. From `valid_from` to before `valid_to`; None: open."""

    tenant_id: str
    valid_from: datetime | None
    valid_to: datetime | None
    selection: Selection | None


class ProfileStore(Protocol):
    async def chosen(self) -> Sequence[Chosen]:
        """Of all live tenants that ever had a profile, each choice."""
        ...

    async def of_tenant(self, tenant: Tenant) -> list[Chosen]:
        """The newest first, 100 at most."""
        ...

    async def choose(self, tenant: Tenant, selection: Selection | None, now: datetime) -> None:
        """From now on; never for the past."""
        ...
