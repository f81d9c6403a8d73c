"""Requests about SLA, alerts, maintenance and the simulator, made here once for both clients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from ecpmon.client import types as t
from ecpmon.client.calls import API, Call, as_bytes, as_json, given, nothing, queried, segment, tenant_path

# --- SLA ------------------------------------------------------------------------------------------------------


def get_sla(
    tenant_id: str, *, windows: Sequence[str] | None = None, at: datetime | str | None = None
) -> Call[t.Sla]:
    """Availability with bounds, budget and burn rate per window; `at` asks about the past."""
    asked = queried(windows=None if windows is None else list(windows), at=at)
    return Call("GET", tenant_path(tenant_id, "sla"), as_json, asked, repeatable=True)


def get_sla_analysis(tenant_id: str, *, period: str = "24h") -> Call[t.SlaAnalysis]:
    """A short analysis of one period, such as `24h` or `7d`."""
    path = f"{API}/simulator/sla/{segment(tenant_id)}/analysis"
    return Call("GET", path, as_json, queried(period=period), repeatable=True)


def get_sla_summary() -> Call[t.SlaSummary]:
    """All tenants that the caller may see, worst first."""
    return Call("GET", f"{API}/sla/summary", as_json, repeatable=True)


def get_statement(
    tenant_id: str, month: str, *, format: Literal["json", "csv", "html", "pdf"] = "pdf"
) -> Call[bytes]:  # fmt: skip
    """The evidence of a month (`2026-10`), as a file."""
    asked = queried(month=month, format=format)
    return Call("GET", tenant_path(tenant_id, "sla", "report"), as_bytes, asked, repeatable=True)


def get_incidents(
    tenant_id: str, *, since: datetime | str | None = None, until: datetime | str | None = None
) -> Call[t.Incidents]:
    """Outages, with what each took from the budget."""
    asked = queried(**{"from": since, "to": until})
    return Call("GET", tenant_path(tenant_id, "incidents"), as_json, asked, repeatable=True)


# --- alerts and maintenance -----------------------------------------------------------------------------------


def create_alert(tenant_id: str, rule: t.AlertRequest) -> Call[t.AlertRule]:
    """Save a rule. Raises InvalidRequest; `details["position"]` says where its condition cannot be understood."""
    return Call("POST", tenant_path(tenant_id, "alerts"), as_json, body=rule)


def get_alerts(tenant_id: str) -> Call[t.AlertRules]:
    """Every rule with its state."""
    return Call("GET", tenant_path(tenant_id, "alerts"), as_json, repeatable=True)


def get_active_alerts(tenant_id: str) -> Call[t.AlertRules]:
    """Rules that are pending or firing."""
    return Call("GET", tenant_path(tenant_id, "alerts", "active"), as_json, repeatable=True)


def replace_alert(tenant_id: str, rule_id: str, rule: t.AlertRequest) -> Call[t.AlertRule]:
    """Replace a rule as a whole; it starts anew."""
    return Call("PUT", tenant_path(tenant_id, "alerts", rule_id), as_json, body=rule, repeatable=True)


def delete_alert(tenant_id: str, rule_id: str) -> Call[None]:
    """Delete a rule; an alert that stands ends with it."""
    return Call(
        "DELETE", tenant_path(tenant_id, "alerts", rule_id), nothing, repeatable=True, gone_is_done=True
    )


def get_maintenance(tenant_id: str) -> Call[dict[str, Any]]:
    """Planned windows, with what lies ahead of each."""
    return Call("GET", tenant_path(tenant_id, "maintenance"), as_json, repeatable=True)


def add_maintenance(tenant_id: str, window: t.MaintenanceRequest) -> Call[dict[str, Any]]:
    """Plan a window, or enter a past one; what it covers is recomputed."""
    return Call("POST", tenant_path(tenant_id, "maintenance"), as_json, body=window)


def remove_maintenance(tenant_id: str, maintenance_id: str, *, keep_past: bool = False) -> Call[None]:
    """Take a window back; with `keep_past` a recurring one just ends."""
    return Call(
        "DELETE", tenant_path(tenant_id, "maintenance", maintenance_id), nothing,
        queried(keep_past=keep_past), repeatable=True, gone_is_done=True,
    )  # fmt: skip


# --- simulator ------------------------------------------------------------------------------------------------


def deploy_to_simulator(
    tenant_id: str,
    *,
    include_monitoring: bool = True,
    enable_sla_tracking: bool = True,
    failure_scenarios: bool = False,
) -> Call[t.SimulatorDeployment]:
    """Deploy a tenant into the simulator, without a manifest."""
    body = given(
        include_monitoring=include_monitoring,
        enable_sla_tracking=enable_sla_tracking,
        failure_scenarios=failure_scenarios,
    )
    return Call("POST", f"{API}/simulator/deploy/{segment(tenant_id)}", as_json, body=body)


def get_simulator_status() -> Call[dict[str, Any]]:
    """Capacity of the simulated cluster, and what is used of it."""
    return Call("GET", f"{API}/simulator/status", as_json, repeatable=True)


def trigger_failure(
    tenant_id: str,
    failure_type: str,
    *,
    duration_seconds: float | None = None,
    severity: float | None = None,
) -> Call[dict[str, Any]]:
    """Break a tenant on purpose."""
    body = given(failure_type=failure_type, duration_seconds=duration_seconds, severity=severity)
    path = f"{API}/simulator/failures/{segment(tenant_id)}/trigger"
    return Call("POST", path, as_json, body=body)


def clear_failures(tenant_id: str) -> Call[dict[str, Any]]:
    """End every failure of a tenant now."""
    return Call("DELETE", f"{API}/simulator/failures/{segment(tenant_id)}", as_json, repeatable=True)
