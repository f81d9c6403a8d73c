"""Exclusions laid on many tenants at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.errors import EcpError
from ecpmon.model.maintenance import Maintenance


@dataclass(frozen=True, slots=True)
class Requested:
    """What a key was first used for. `tenants`: numbers of whom it chose."""

    requested_at: datetime
    tenants: Sequence[int]


@dataclass(frozen=True, slots=True)
class Laid:
    """By number of the tenant: the window's id, new or of an earlier call; `gone`: taken back since; and why not."""

    laid: Mapping[int, str]
    already: Mapping[int, str]
    gone: Collection[int]
    refused: Mapping[int, EcpError]


class ExclusionStore(Protocol):
    """Each call is one transaction, so name some tenants only. Tenant-bound by what is asked: name only whom the caller
    may change."""

    async def request(
        self, request: str, digest: str, tenants: Sequence[int], by: str, now: datetime
    ) -> Requested:
        """Note a request, or find it. Raises Conflict when another one was made under its key."""
        ...

    async def requested(self, request: str, digest: str | None = None) -> Requested | None:
        """One that was noted. Raises Conflict when it is not that of `digest`."""
        ...

    async def withdraw(self, request: str) -> None:
        """Forget a request that has laid nothing."""
        ...

    async def lay(self, tenants: Sequence[int], planned: Maintenance, occurrences: int) -> Laid:
        """Lay a window on each tenant on which its request has not laid it yet. `occurrences`: how often it is on
        within 93 days at most."""
        ...

    async def approve(
        self, tenants: Sequence[int], request: str, by: str, token: str | None, now: datetime
    ) -> list[int]:
        """Let what a request has laid on them count; on whom. Raises what `sla.exclusions.check_approval` does."""
        ...

    async def remove(self, tenants: Sequence[int], request: str, by: str, now: datetime) -> list[int]:
        """Take back what a request has laid on them; from whom."""
        ...
