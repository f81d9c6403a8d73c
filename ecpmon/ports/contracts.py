"""What one tenant's contract says and what its figures are made of: for whoever asks about one tenant, often."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus


@dataclass(frozen=True, slots=True)
class Contract:
    """A live tenant and what is planned for it, by start. `seen`: the snapshot by which the tenant was read."""

    tenant: Tenant
    planned: Sequence[Maintenance]
    seen: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Marks by the instants asked, the statuses last stored by window, the UTC days that are kept by the minute.

    `changed`: something of the contract was changed after it was read, so that these may be answers to a question that
    is not asked any more.
    """

    marks: Mapping[datetime, Mark]
    statuses: Mapping[str, SlaStatus]
    by_minute: Sequence[date]
    changed: bool


class Contracts(Protocol):
    def held(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        """As it was read some time ago, if it is held and one of the numbers `among` (None: of all)."""
        ...

    async def read(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        """As it is now; None when there is no live tenant of that name among them."""
        ...

    async def facts(
        self,
        contract: Contract,
        instants: Sequence[datetime],
        since: datetime,
        now: datetime,
        earlier: Sequence[Interval] = (),
    ) -> Facts:
        """In one round trip. `since`: from which instant on days are told; what lies after `now` does not count.

        `earlier` as `ports.sla.WindowSums.marks` takes it; only if it matters are there two round trips.
        """
        ...
