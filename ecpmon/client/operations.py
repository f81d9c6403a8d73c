"""Requests of those who run the service: who changed what, what Alertmanager told, settings, the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from ecpmon.client import types as t
from ecpmon.client.calls import API, Call, as_json, queried, tenant_path


def get_dashboard() -> Call[dict[str, Any]]:
    """How the service, its tenants and its cluster are doing."""
    return Call("GET", f"{API}/operations/dashboard", as_json, repeatable=True)


def get_settings() -> Call[dict[str, Any]]:
    """The settings of deployment and monitoring, and which of them are in force."""
    return Call("GET", f"{API}/settings", as_json, repeatable=True)


def change_settings(settings: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Change what is in `settings` (`deployment`, `monitoring`). Raises InvalidRequest naming each bad field."""
    return Call("PUT", f"{API}/settings", as_json, body=settings, repeatable=True)


def get_audit(
    tenant_id: str | None = None,
    *,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Call[t.AuditEntries]:
    """Who changed what, the newest first: of everything, or of one tenant. `cursor`: the `next_cursor` of a page."""
    path = f"{API}/audit" if tenant_id is None else tenant_path(tenant_id, "audit")
    asked = queried(actor=actor, action=action, **{"from": since, "to": until}, limit=limit, cursor=cursor)
    return Call("GET", path, as_json, asked, repeatable=True)


def get_received_alerts(
    tenant_id: str,
    *,
    status: Literal["firing", "resolved"] | None = None,
    skip: int = 0,
    limit: int = 100,
) -> Call[t.ReceivedAlerts]:
    """What Alertmanager told about a tenant."""
    asked = queried(status=status, skip=skip, limit=limit)
    return Call("GET", tenant_path(tenant_id, "alerts", "received"), as_json, asked, repeatable=True)
