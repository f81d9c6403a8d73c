"""Status pages as they are stored: who may look, and which links were given out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from ecpmon.model.status_pages import PageFacts, StatusLink, StatusPage
from ecpmon.model.tenants import Tenant


class StatusPageStore(Protocol):
    async def secret(self) -> bytes:
        """32 random bytes made at first use, the same for every process on this database."""
        ...

    async def public_names(self) -> frozenset[str]:
        """The live tenants whose page anybody may look at: one question, whoever asks for whichever page."""
        ...

    async def of_tenant(self, tenant: Tenant) -> StatusPage:
        """What was chosen for a tenant: at first nobody may look. Links that are over for long are not told."""
        ...

    async def set_public(self, tenant: Tenant, public: bool, by: str, now: datetime) -> StatusPage:
        """Raises TenantNotFound for one that was deleted meanwhile."""
        ...

    async def add_link(
        self, tenant: Tenant, label: str, expires_at: datetime, by: str, now: datetime
    ) -> StatusLink:
        """Raises LimitReached for too many that are not over yet, TenantNotFound."""
        ...

    async def withdraw_link(self, tenant: Tenant, number: int, by: str, now: datetime) -> None:
        """It leads nowhere from now on. Raises NotFound when there is none, or it is over."""
        ...

    async def facts(self, tenant: Tenant, now: datetime, shown: timedelta) -> PageFacts:
        """What a page shows beside what is measured; `shown`: how old the newest word of a service may be."""
        ...
