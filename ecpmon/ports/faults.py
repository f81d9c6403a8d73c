"""When what a source said about a tenant could not be used, and why: figures that reach over it are suspect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.quarantine import Culprit


@dataclass(frozen=True, slots=True)
class Fault:
    """`subject`: what of the tenant, such as `counter requests_total`. Both instants belong to it."""

    source: str
    subject: str
    first_at: datetime
    last_at: datetime
    reason: str


class FaultLog(Protocol):
    async def note(
        self, source: Source, troubles: Mapping[Culprit, str], first: datetime, last: datetime
    ) -> None:
        """What was wrong from `first` to `last`; what goes on is one stretch."""
        ...

    async def of_tenant(self, tenant: Tenant, since: datetime) -> list[Fault]:
        """Those that end at `since` or later, the newest first, 100 at most."""
        ...


def counter_subject(metric: str) -> str:
    """What collectors call a counter of ours."""
    return f"counter {metric}"
