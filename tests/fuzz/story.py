"""One tenant's story, told through HTTP: every route is asked, as somebody would. What is answered is shown in
`/openapi.json` as its example (`test_examples`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ecpmon.wire import rfc3339

BEGINS: Final = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
# The month is over, and closed by whoever asks first.
ENDS: Final = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
NAME: Final = "my-ai-service"
_T: Final = "/api/v1/tenants/{tenant_id}"
_SIM: Final = "/api/v1/simulator"


@dataclass(frozen=True)
class Step:
    """A request, by the route's method and path, and the status of its answer. `keeps`: what later paths name, by
    parameter, from the answer: the keys to get there. `at`: what the clock shows then."""

    method: str
    path: str
    status: int = 200
    body: Any = None
    query: str = ""
    keeps: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class Heard:
    """A socket, and its first message. `meanwhile`: without which there would be none."""

    path: str
    meanwhile: Step | None = None


def entries(begin: datetime, minutes: int, down: range = range(0)) -> list[dict[str, Any]]:
    """A push per minute; in the minutes of `down` the tenant is down."""
    return [
        {
            "timestamp": rfc3339(begin + timedelta(minutes=n)),
            "metrics": {"up": 0 if n in down else 1, "cpu_usage": 40 + n % 7, "response_time": 120 + n % 5},
        }
        for n in range(minutes)
    ]


_WINDOW: Final = {"start": "2026-03-07T18:00:00Z", "duration": "2h", "reason": "database upgrade"}
_SLO: Final = {
    "kind": "latency",
    "target": 0.95,
    "threshold_ms": 200,
    "display_name": "Answers within 200 ms",
}
_MANIFEST: Final = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ecp-ai-my-ai-service\n"
_ALERT: Final = {
    "status": "firing",
    "labels": {"alertname": "ECPTenantDown", "tenant_id": NAME, "severity": "critical"},
    "annotations": {"summary": "my-ai-service is down"},
    "startsAt": "2026-02-10T09:30:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "5f2a9c1d7e3b4a60",
}
_RESOLVED: Final = {**_ALERT, "status": "resolved", "endsAt": "2026-02-10T09:40:00Z"}
_RULE: Final = {
    "alert_name": "CPU is high",
    "condition": "cpu_usage > 80",
    "duration": "5m",
    "severity": "warning",
}
_TENANT: Final = {
    "tenant_id": NAME,
    "name": "My AI service",
    "preset": "small",
    "service_requirements": {"callbot": 10, "chatbot": 20},
    "sla_target": {"availability": "99.9%", "response_time": "200ms"},
    "description": "Callbot of the main line",
}

STORY: Final[tuple[Step | Heard, ...]] = (
    Step("POST", "/api/v1/tenants/calculate-resources", body={
        "service_requirements": {"callbot": 10, "chatbot": 20}, "sla_target": {"availability": "99.9%"},
    }),
    Step("POST", "/api/v1/tenants/", 201, _TENANT),
    Step("PUT", _T + "/objectives/{objective}", 201, _SLO),
    Step("PUT", _T + "/objectives", body={"objectives": [{"name": "fast-answers", **_SLO}]}),
    Step("POST", _T + "/alerts", 201, _RULE, keeps={"rule_id": ("rule_id",)}),
    Step("POST", _T + "/monitoring", 202, entries(BEGINS, 60, range(20, 30)), at=BEGINS + timedelta(hours=1)),
    Step("GET", _T + "/monitoring", query="metric_type=cpu&hours=1&interval=5m"),
    Step("GET", _T + "/sla", query="windows=1h,24h"),
    Step("GET", _T + "/sla/timeline", query="window=1h&step=30m"),
    Step("GET", _SIM + "/sla/{tenant_id}/analysis", query="period=24h"),
    Step("GET", "/api/v1/sla/summary"),
    Heard("/ws/monitoring/{tenant_id}"),
    Heard("/api/v1/simulator/realtime/{tenant_id}"),
    Step("GET", _T + "/incidents"),
    Step("GET", _T + "/objectives"),
    Step("GET", _T + "/objectives/{objective}"),
    Step("GET", _T + "/objectives/{objective}/status", query="windows=1h"),
    Step("GET", _T + "/alerts"),
    Step("GET", _T + "/alerts/{rule_id}"),
    Step("PUT", _T + "/alerts/{rule_id}", body={**_RULE, "condition": "cpu_usage > 90"}),
    Step("POST", _T + "/alerts/{rule_id}/silence", 201, {
        "start": "2026-02-10T22:00:00", "duration": "2h", "rrule": "FREQ=WEEKLY;BYDAY=SA", "time_zone": "Asia/Seoul",
        "reason": "weekly load test",
    }),
    Step("POST", "/api/v1/silences", 201, {
        "duration": "2h", "reason": "moving the data centre", "tenants": {"name": "my-*"},
        "severities": ["ticket", "warning"],
    }, keeps={"silence_id": ("silence_id",)}),
    Step("GET", "/api/v1/silences"),
    Step("GET", "/api/v1/silences/{silence_id}"),
    Step("DELETE", "/api/v1/silences/{silence_id}"),
    Step("GET", _T + "/alerts/active"),
    Step("GET", _T + "/alerts/deliveries"),
    Step("POST", _T + "/alerts/test", body={
        "policy": "page", "from": "2026-02-10T09:00:00Z", "to": "2026-02-10T10:00:00Z",
    }),
    Step("POST", "/api/v1/webhooks/tenant-alert", body={"version": "4", "alerts": [_ALERT]}),
    Step("GET", _T + "/recoveries"),
    Step("GET", _T + "/alerts/received"),
    Step("POST", _T + "/maintenance", 201, _WINDOW, keeps={"maintenance_id": ("id",)}),
    Step("GET", _T + "/maintenance"),
    Step("POST", "/api/v1/exclusions", 201, {
        **_WINDOW, "category": "force_majeure", "key": "2026-03 power", "tenants": {"name": "my-*"},
    }, keeps={"request_id": ("request_id",)}),
    Step("PUT", _T + "/sla/report/recipients", body={"recipients": ["sla@example.com"], "periods": ["month"]}),
    Step("GET", _T + "/sla/report/recipients"),
    Step("GET", _T + "/sla/report/sendings"),
    Step("PUT", _T + "/evidence-profile", body={"profile": "vllm", "match": {"job": "llm"}}),
    Step("GET", _T + "/evidence-profile"),
    Step("GET", "/api/v1/evidence-profiles"),
    Step("GET", "/api/v1/evidence-profiles/{profile}"),
    Step("GET", _T + "/manifest", query="format=json"),
    Step("POST", _T + "/manifest/preview", body={"service_requirements": {"callbot": 20}}),
    Step("POST", "/api/v1/tenants/preview-manifest", body={
        "tenant_id": "my-next-service", "name": "My next service", "service_requirements": {"callbot": 10},
    }),
    Step("POST", "/api/v1/tenants/validate-manifest", body={"tenant_id": NAME, "manifest_content": _MANIFEST}),
    Step("POST", _SIM + "/deploy/{tenant_id}", body={"include_monitoring": True}),
    Step("POST", _T + "/deploy", 202, {"method": "simulator", "dry_run": True}),
    Step("GET", "/api/v1/sd/prometheus"),
    Step("GET", _SIM + "/status"),
    Step("GET", _SIM + "/failures/types"),
    Step("POST", _SIM + "/failures/{tenant_id}/trigger", 202, {"failure_type": "pod_crash", "duration_seconds": 60}),
    Step("DELETE", _SIM + "/failures/{tenant_id}"),
    Step("GET", "/api/v1/monitoring/system"),
    Step("POST", _T + "/deployment-status", body={
        "status": "completed", "deployed_at": "2026-02-10T10:00:00Z",
    }, keeps={"deployment_id": ("deployment_id",)}),
    Step("GET", _T + "/deployment-status"),
    Step("GET", _T + "/deployments"),
    Heard("/ws/deployment/{deployment_id}"),
    Heard("/ws/alerts/{tenant_id}", Step("POST", "/api/v1/webhooks/tenant-alert", body={
        "version": "4", "alerts": [_RESOLVED],
    })),
    Step("GET", "/api/v1/operations/dashboard"),
    Step("PUT", "/api/v1/settings", body={"monitoring": {"slaTarget": 99.5}}),
    Step("GET", "/api/v1/settings"),
    Step("POST", _T + "/webhook-key", 201),
    Step("GET", _T + "/webhook-key"),
    Step("POST", "/api/v1/tokens", 201, {
        "name": "metrics pusher", "roles": ["ingest"], "tenant_access": [NAME],
    }, keeps={"token_id": ("id",)}),
    Step("POST", "/api/v1/tokens/{token_id}/rotate"),
    Step("GET", "/api/v1/tokens"),
    Step("GET", "/api/v1/tenants/"),
    Step("GET", _T),
    Step("GET", _T + "/contract"),
    Step("GET", _T + "/contract/versions"),
    Step("GET", _T + "/recommendations"),
    Step("GET", "/health"),
    Step("GET", _T + "/sla/report", query="month=2026-02", at=ENDS),
    Step("DELETE", "/api/v1/exclusions/{request_id}"),
    Step("PUT", _T, body={"description": "Callbot of the main line, in Seoul"}),
    Step("GET", "/api/v1/audit", query="limit=2"),
    Step("GET", _T + "/audit", query="limit=2"),
    Step("DELETE", _T, 202, query="force=true"),
)  # fmt: skip
