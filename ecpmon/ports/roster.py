"""What jobs ask of every live tenant, again and again: held in memory, and read again when it was changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.sla import MaintenanceStore


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """One live tenant. A change of anything in it is another object.

    `tenant` None: nobody can read its row; `planned` None: nor what maintenance it has planned; `rules` None: nor its
    rules; single ones that nobody can read are left out. `counted`: those about objectives, which are not in `rules`.
    """

    tenant_id: str
    tenant: Tenant | None
    rules: Sequence[RuleWithState] | None
    planned: Sequence[Maintenance] | None
    counted: Sequence[RuleWithState] = ()


class Roster(Protocol):
    @property
    def read_at(self) -> datetime | None:
        """When `standings` last answered, by the clock of where it is stored."""
        ...

    async def standings(self) -> Mapping[str, Standing]:
        """By tenant_id, as of now: what was committed before the call is in it, whichever process did."""
        ...

    async def live(self) -> Sequence[Tenant]:
        """The tenants of `standings` whose rows can be read."""
        ...

    def advanced(self, entries: Collection[RuleWithState]) -> None:
        """These rules' states are stored as they are here."""
        ...

    def forget(self, tenant_ids: Collection[str]) -> None:
        """Read these again the next time."""
        ...


async def planned_of(standing: Standing, tenant: Tenant, store: MaintenanceStore) -> Sequence[Maintenance]:
    """What a live tenant has planned. Raises for one whose maintenance nobody can read, as the store does."""
    return await store.of_tenant(tenant) if standing.planned is None else standing.planned
