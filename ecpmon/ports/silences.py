"""Silences, and the alerts of which nobody was told for one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.model.silences import Silence
from ecpmon.ports.alerts import AlertEvent, NewEvent, RuleWithState


@dataclass(frozen=True, slots=True)
class Silenced:
    """One silence with the tenants that it is for, as far as it is the same for them; their names in order."""

    silence: Silence
    tenant_ids: Sequence[str]


class SilenceStore(Protocol):
    """Tenant-bound by what is asked: name only whom the caller may see, or change, by number."""

    async def add(self, tenants: Sequence[int], silence: Silence) -> list[str]:
        """The same silence for each of them, in one transaction; the names of those that still are.

        Raises LimitReached when one of them has as many as a tenant may have.
        """
        ...

    async def page(
        self, tenants: Collection[int], now: datetime, skip: int, limit: int, *, over: bool
    ) -> list[Silenced]:
        """The newest first; `over`: with those that have ended by `now`."""
        ...

    async def get(self, tenants: Collection[int], silence_id: str) -> list[Silenced]:
        """As it is for some of these tenants, and as for others. Raises NotFound when it is for none of them."""
        ...

    async def end(self, tenants: Collection[int], silence_id: str, by: str, now: datetime) -> list[str]:
        """It is over for these tenants; the names of those for whom it was not. Raises NotFound as `get`."""
        ...

    async def live(self, tenants: Collection[int], now: datetime) -> Mapping[str, Sequence[Silence]]:
        """By tenant_id those that have not ended, in the order in which they were made."""
        ...

    async def forget(self, before: datetime) -> None:
        """Drop those that were over before."""
        ...


class Hushed(Protocol):
    """Alerts that stand and that nobody was told of. For a job: of every tenant."""

    async def owed(self, now: datetime) -> tuple[list[RuleWithState], Mapping[str, Sequence[Silence]]]:
        """Rules of live tenants that fire in such an alert, and those silences of their tenants that are on."""
        ...

    async def tell(self, entry: RuleWithState, event: NewEvent, now: datetime) -> AlertEvent | None:
        """Store an event of it with its messages; None: it is in another state, or silenced again, and nothing was."""
        ...
