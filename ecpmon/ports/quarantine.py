"""Where it is kept whose rows made a job fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ecpmon.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Trouble:
    """A job that goes on without a tenant, or without what `subject` names of it ("": all of it)."""

    job: str
    subject: str
    reason: str
    first_at: datetime
    last_at: datetime
    tries: int
    next_at: datetime


# Jobs whose quarantine is known in more than one place.
ROLLING_SLA: Final = "rolling_sla"
# (tenant_id, subject)
Culprit = tuple[str, str]


class Quarantine(Protocol):
    async def held(self, job: str) -> Mapping[Culprit, datetime]:
        """Who is quarantined, and when it is tried next."""
        ...

    async def note(self, job: str, troubles: Mapping[Culprit, str], now: datetime) -> None:
        """Quarantine with the reasons; who is quarantined already waits twice as long."""
        ...

    async def heal(self, job: str, culprits: Sequence[Culprit]) -> None:
        """It has succeeded again."""
        ...

    async def of_tenant(self, tenant: Tenant) -> list[Trouble]:
        """What a tenant is quarantined for, the oldest first."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """job -> live tenants quarantined."""
        ...

    async def reachable(self) -> bool:
        """Whether what jobs depend on answers, so that a failure is the tenant's."""
        ...
