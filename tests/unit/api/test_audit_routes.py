"""Every route that changes something is in the audit log, or it says here why not; the page names every action."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecpmon.api.application import route_table
from ecpmon.api.routing import Permission

ROOT = Path(__file__).parents[3]
OF_ITS_OWN = "a record of its own, with who asked for it"
SENSORS = "what a machine tells, not what a person changes"
NOTHING = "changes nothing that is stored"
SIMULATED = "the simulator's, which has a journal of its own"
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
    f"PUT {TENANT}/objectives": ["objectives.put"],
    f"PUT {TENANT}/objectives/{{objective}}": ["objectives.put"],
    f"DELETE {TENANT}/objectives/{{objective}}": ["objective.deleted"],
    f"PUT {TENANT}/evidence-profile": ["evidence_profile.chosen"],
    f"DELETE {TENANT}/evidence-profile": ["evidence_profile.chosen"],
    f"PUT {TENANT}/sla/report/recipients": ["statement_recipients.set"],
    f"DELETE {TENANT}/sla/report/recipients": ["statement_recipients.dropped"],
    "PUT /api/v1/settings": ["settings.changed"],
    f"POST {TENANT}/webhook-key": ["webhook_key.shown", "webhook_key.rotated"],
}
NOT_LOGGED = {
    f"POST {TENANT}/monitoring": SENSORS,
    f"POST {TENANT}/deployment-status": SENSORS,
    "POST /api/v1/webhooks/tenant-alert": SENSORS,
    f"POST {TENANT}/deploy": OF_ITS_OWN,
    f"POST {TENANT}/alerts/deliveries/{{delivery_id}}/resend": OF_ITS_OWN,
    f"POST {TENANT}/sla/report/sendings/{{sending_id}}/resend": OF_ITS_OWN,
    "POST /api/v1/tenants/calculate-resources": NOTHING,
    "POST /api/v1/tenants/validate-manifest": NOTHING,
    f"POST {TENANT}/alerts/test": NOTHING,
    f"POST {TENANT}/maintenance/preview": NOTHING,
    f"POST {TENANT}/manifest": NOTHING,
    "POST /api/v1/simulator/deploy/{tenant_id}": OF_ITS_OWN,
    "POST /api/v1/simulator/failures/{tenant_id}/trigger": SIMULATED,
    "DELETE /api/v1/simulator/failures/{tenant_id}": SIMULATED,
}


def changing() -> set[str]:
    return {
        f"{route.method} {route.path}"
        for route in route_table()
        if route.method != "GET" and route.permission not in (Permission.OPEN, Permission.SCRAPE)
    }


def test_every_route_that_changes_something_is_logged_or_has_a_reason() -> None:
    assert not LOGGED.keys() & NOT_LOGGED.keys()
    assert changing() == LOGGED.keys() | NOT_LOGGED.keys()


@pytest.mark.parametrize("action", sorted({a for actions in LOGGED.values() for a in actions}))
def test_every_action_is_written_somewhere_and_on_its_page(action: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "ecpmon/storage").glob("*.py"))
    assert any(f'"{action}"' in text for text in sources)
    assert f"`{action}`" in (ROOT / "docs/audit.md").read_text(encoding="utf-8")
