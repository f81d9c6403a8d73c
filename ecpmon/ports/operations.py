"""What operators look at first: how many there are of everything, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some tenants, or of all. Fractions 0–1, percentages as such, milliseconds; None: nobody has measured it.

    `sla_as_of`: when the oldest of the SLA figures was found. `usage`: percent by metric name.
    """

    by_preset: Mapping[str, int]
    by_status: Mapping[str, int]
    availability: float | None
    sla_measured: int
    sla_as_of: datetime | None
    sla_by_status: Mapping[str, int]
    response_ms: float | None
    deployments_pending: int
    deployments_finished: int
    deployments_completed: int
    deployments_failed_lately: int
    usage: Mapping[str, float]
    # To the database, of all processes.
    connections: int

    @property
    def tenants(self) -> int:
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class RecentDeployment:
    deployment_id: str
    tenant_id: str
    method: str
    status: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """`alert_id`: the alert's, or Alertmanager's fingerprint."""

    source: Literal["ecpmon", "alertmanager"]
    alert_id: str
    tenant_id: str
    alert_name: str
    severity: str
    since: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Happening:
    """The newest deployments, the worst alerts, and how many alerts there are in all."""

    deployments: tuple[RecentDeployment, ...]
    alerts: tuple[FiringAlert, ...]
    alerts_total: int


class Operations(Protocol):
    """`tenants`: their numbers, None for all. One statement each."""

    async def figures(self, tenants: Collection[int] | None, now: datetime) -> Figures: ...

    async def happening(self, tenants: Collection[int] | None, now: datetime) -> Happening: ...
