"""Routes that do not say yet what they take and give. The list only gets shorter, and goes with its last line."""

from __future__ import annotations

from typing import Final

UNDECLARED: Final = frozenset(
    {
        "DELETE /api/v1/exclusions/{request_id}",
        "DELETE /api/v1/tenants/{tenant_id}/alerts/{rule_id}",
        "DELETE /api/v1/tenants/{tenant_id}/maintenance/{maintenance_id}",
        "DELETE /api/v1/tenants/{tenant_id}/objectives/{objective}",
        "DELETE /api/v1/tenants/{tenant_id}/sla/report/recipients",
        "GET /api/v1/monitoring/system",
        "GET /api/v1/simulator/realtime/{tenant_id}",
        "GET /api/v1/simulator/sla/{tenant_id}/analysis",
        "GET /api/v1/sla/summary",
        "GET /api/v1/tenants/{tenant_id}/alerts",
        "GET /api/v1/tenants/{tenant_id}/alerts/active",
        "GET /api/v1/tenants/{tenant_id}/alerts/deliveries",
        "GET /api/v1/tenants/{tenant_id}/alerts/{rule_id}",
        "GET /api/v1/tenants/{tenant_id}/incidents",
        "GET /api/v1/tenants/{tenant_id}/maintenance",
        "GET /api/v1/tenants/{tenant_id}/monitoring",
        "GET /api/v1/tenants/{tenant_id}/objectives",
        "GET /api/v1/tenants/{tenant_id}/objectives/{objective}",
        "GET /api/v1/tenants/{tenant_id}/objectives/{objective}/status",
        "GET /api/v1/tenants/{tenant_id}/sla",
        "GET /api/v1/tenants/{tenant_id}/sla/report",
        "GET /api/v1/tenants/{tenant_id}/sla/report/recipients",
        "GET /api/v1/tenants/{tenant_id}/sla/report/sendings",
        "GET /api/v1/tenants/{tenant_id}/sla/timeline",
        "GET /ws/alerts/{tenant_id}",
        "GET /ws/monitoring/{tenant_id}",
        "POST /api/v1/exclusions",
        "POST /api/v1/exclusions/{request_id}/approve",
        "POST /api/v1/tenants/{tenant_id}/alerts",
        "POST /api/v1/tenants/{tenant_id}/alerts/deliveries/{delivery_id}/resend",
        "POST /api/v1/tenants/{tenant_id}/alerts/test",
        "POST /api/v1/tenants/{tenant_id}/maintenance",
        "POST /api/v1/tenants/{tenant_id}/maintenance/{maintenance_id}/approve",
        "POST /api/v1/tenants/{tenant_id}/monitoring",
        "POST /api/v1/tenants/{tenant_id}/sla/report/sendings/{sending_id}/resend",
        "PUT /api/v1/tenants/{tenant_id}/alerts/{rule_id}",
        "PUT /api/v1/tenants/{tenant_id}/objectives",
        "PUT /api/v1/tenants/{tenant_id}/objectives/{objective}",
        "PUT /api/v1/tenants/{tenant_id}/sla/report/recipients",
    }
)
