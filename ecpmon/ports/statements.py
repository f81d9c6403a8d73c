"""Statements by e-mail: whom they go to, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ecpmon.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Recipients:
    """Of whose statements of which periods (month, quarter, year); `restatements`: later revisions are sent as well."""

    addresses: tuple[str, ...]
    periods: tuple[str, ...]
    restatements: bool
    changed_at: datetime
    changed_by: str


class StatementMail(Protocol):
    """A month that is closed is sent to those who are recipients then."""

    async def recipients(self, tenant: Tenant) -> Recipients | None:
        """None: nobody is sent anything."""
        ...

    async def set_recipients(self, tenant: Tenant, recipients: Recipients) -> None:
        """Replace them; what is closed already is sent to nobody new."""
        ...

    async def drop_recipients(self, tenant: Tenant, now: datetime) -> None:
        """Send nothing any more. Raises NotFound when there are none."""
        ...

    async def sendings(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]:
        """Newest first: one per revision and recipient, with its state."""
        ...

    async def resend(self, tenant: Tenant, number: int, by: str, now: datetime) -> dict[str, Any]:
        """What was given up is pending again, under its old Message-ID.

        Raises NotFound, also for another tenant's; Conflict for one that is not parked.
        """
        ...
