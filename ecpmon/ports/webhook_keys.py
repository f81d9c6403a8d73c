"""The keys that sign a tenant's webhooks, as they are stored: never the keys themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of a tenant. Generation 0 is the one every tenant has from its beginning; its salt is empty.

    `shown_at` and `shown_to`: when it was given out, and to whom. It signs until `signs_until`, for good when None.
    """

    generation: int
    salt: bytes
    shown_at: datetime
    shown_to: str
    signs_until: datetime | None


class WebhookKeyStore(Protocol):
    async def installation_secret(self) -> bytes:
        """32 random bytes made at first use, the same for every process on this database."""
        ...

    async def of_tenant(self, tenant_key: int) -> Sequence[StoredKey]:
        """The keys that were ever given out and are kept, the newest first; empty: only generation 0 signs."""
        ...

    async def show_first(self, tenant: Tenant, caller: str, now: datetime) -> bool:
        """Note that generation 0 is given out; False when the tenant had been given a key before."""
        ...

    async def rotate(
        self,
        tenant: Tenant,
        caller: str,
        now: datetime,
        *,
        salt: bytes,
        until: datetime,
        at_most: int,
    ) -> int | None:
        """A new key, its generation; every older one signs until `until` at the latest.

        None, and nothing is stored, when more than `at_most` keys would sign then. Raises TenantNotFound.
        """
        ...
