"""What each route that changes something writes into the audit log, or why it writes nothing."""

from __future__ import annotations

from ecpmon.api.remote_write import PATHS

SENSORS = "what a machine tells, not what a person changes"
NOTHING = "changes nothing that is stored"
TENANT = "/api/v1/tenants/{tenant_id}"

# What each of them writes.
LOGGED = {
    "POST /api/v1/tenants": ["tenant.created"],
    "POST /api/v1/tenants/": ["tenant.created"],
    f"PUT {TENANT}": ["tenant.changed"],
    f"DELETE {TENANT}": ["tenant.deleted", "alert_rule.deleted"],
    "POST /api/v1/tokens": ["token.created"],
    "POST /api/v1/tokens/{token_id}/rotate": ["token.rotated"],
    "DELETE /api/v1/tokens/{token_id}": ["token.revoked"],
    f"POST {TENANT}/maintenance": ["maintenance.added"],
    f"POST {TENANT}/maintenance/{{maintenance_id}}/approve": ["maintenance.approved"],
    f"DELETE {TENANT}/maintenance/{{maintenance_id}}": ["maintenance.removed", "maintenance.ended"],
    "POST /api/v1/exclusions": ["maintenance.added"],
    "POST /api/v1/exclusions/{request_id}/approve": ["maintenance.approved"],
    "DELETE /api/v1/exclusions/{request_id}": ["maintenance.removed"],
    f"POST {TENANT}/alerts": ["alert_rule.created"],
    f"PUT {TENANT}/alerts/{{rule_id}}": ["alert_rule.replaced"],
    f"DELETE {TENANT}/alerts/{{rule_id}}": ["alert_rule.deleted"],
    f"POST {TENANT}/alerts/{{rule_id}}/silence": ["silence.created"],
    f"POST {TENANT}/alerts/{{rule_id}}/acknowledge": ["alert.acknowledged"],
    f"DELETE {TENANT}/alerts/{{rule_id}}/acknowledge": ["alert.unacknowledged"],
    "POST /api/v1/silences": ["silence.created"],
    "DELETE /api/v1/silences/{silence_id}": ["silence.ended"],
    f"PUT {TENANT}/objectives": ["objectives.put"],
    f"PUT {TENANT}/objectives/{{objective}}": ["objectives.put"],
    f"DELETE {TENANT}/objectives/{{objective}}": ["objective.deleted"],
    f"PUT {TENANT}/evidence-profile": ["evidence_profile.chosen"],
    f"DELETE {TENANT}/evidence-profile": ["evidence_profile.chosen"],
    f"PUT {TENANT}/sla/report/recipients": ["statement_recipients.set"],
    f"DELETE {TENANT}/sla/report/recipients": ["statement_recipients.dropped"],
    f"PUT {TENANT}/status-page": ["status_page.changed"],
    f"POST {TENANT}/status-page/links": ["status_link.created"],
    f"DELETE {TENANT}/status-page/links/{{link_id}}": ["status_link.withdrawn"],
    "PUT /api/v1/settings": ["settings.changed"],
    f"POST {TENANT}/webhook-key": ["webhook_key.shown", "webhook_key.rotated"],
    f"POST {TENANT}/deploy": ["deployment.requested"],
    "POST /api/v1/simulator/deploy/{tenant_id}": ["deployment.requested"],
    f"POST {TENANT}/deployment-status": ["deployment.reported"],
    f"POST {TENANT}/alerts/deliveries/{{delivery_id}}/resend": ["delivery.resent"],
    f"POST {TENANT}/sla/report/sendings/{{sending_id}}/resend": ["statement.resent"],
    "POST /api/v1/simulator/failures/{tenant_id}/trigger": ["failure.triggered"],
    "DELETE /api/v1/simulator/failures/{tenant_id}": ["failure.ended"],
}
NOT_LOGGED = {
    f"POST {TENANT}/monitoring": SENSORS,
    **dict.fromkeys((f"POST {path}" for path in (*PATHS, "/v1/metrics")), SENSORS),
    "POST /api/v1/webhooks/tenant-alert": SENSORS,
    "POST /api/v1/tenants/calculate-resources": NOTHING,
    "POST /api/v1/tenants/preview-manifest": NOTHING,
    "POST /api/v1/tenants/validate-manifest": NOTHING,
    f"POST {TENANT}/alerts/test": NOTHING,
    f"POST {TENANT}/maintenance/preview": NOTHING,
    f"POST {TENANT}/manifest": NOTHING,
    f"POST {TENANT}/manifest/preview": NOTHING,
}
