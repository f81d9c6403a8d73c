"""What a handler knows about its request beyond the request itself."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from ecpmon.api.context import ApiContext, Backend
from ecpmon.api.routing import Route
from ecpmon.errors import TenantNotFound
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.ports import Caller


@dataclass
class Scope:
    """Who asks, of which database, about which tenant.

    `known_tenant` is set once the tenant is known to exist: only then may metrics carry its name.
    """

    context: ApiContext
    backend: Backend
    caller: Caller
    request_id: str
    route: Route
    tenant_id: str | None = None
    known_tenant: str | None = None

    def now(self) -> datetime:
        return self.context.clock.now()

    async def tenant(self) -> Tenant:
        """The live tenant of the path. Raises TenantNotFound."""
        tenant = await self.backend.tenants.get(self._checked_id())
        self.known_tenant = tenant.tenant_id
        return tenant

    async def tenant_or_deleted(self) -> Tenant:
        """The tenant of the path, deleted ones included: their SLA history stays readable."""
        tenant = await self.backend.tenants.get_with_deleted(self._checked_id())
        if tenant.deleted_at is None:
            self.known_tenant = tenant.tenant_id
        return tenant

    def _checked_id(self) -> str:
        """Nothing but a possible name reaches the database."""
        name = self.tenant_id or ""
        if not re.fullmatch(TENANT_ID_PATTERN, name):
            raise TenantNotFound(name[:100])
        return name


def new_id(prefix: str) -> str:
    """`dep-3f9a…`: 12 hex digits are enough for names that a database also checks."""
    return f"{prefix}-{secrets.token_hex(6)}"


SCOPE: web.RequestKey[Scope] = web.RequestKey("ecpmon_scope", Scope)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("ecpmon_request_id", str)
