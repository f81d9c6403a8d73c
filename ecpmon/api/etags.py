"""Optimistic concurrency: a tenant's version as `ETag`, demanded back as `If-Match`."""

from __future__ import annotations

from aiohttp import web

from ecpmon.errors import Conflict
from ecpmon.model.tenants import Tenant


def etag_of(tenant: Tenant) -> str:
    """A strong validator: it changes with every change of the tenant."""
    return f'"{tenant.key}-{tenant.updated_at.timestamp() * 1_000_000:.0f}"'


def check_unchanged(request: web.Request, tenant: Tenant) -> None:
    """Raises Conflict when `If-Match` names another version. Without the header the newest version is meant."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    if etag_of(tenant) not in [tag.strip() for tag in wanted.split(",")]:
        raise Conflict(
            "the tenant has changed since you read it; read it again",
            details={"tenant_id": tenant.tenant_id, "updated_at": tenant.updated_at},
        )
