"""Every request, answer and socket of the source documents, asked as a new user would (docs/source-documents.md).

Their examples are written anew: names, values and programs are ours, fields and paths are theirs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.clients.conftest import Application
from tests.shaped import TIME, assert_shaped
from tests.waiting import PATIENCE, wait_until

Ask = Callable[..., Any]
RESOURCES = {"cpu": str, "memory": str, "gpu": int, "storage": str}
COST, MINUTES = re.compile(r"\$\d+/month"), re.compile(r"\d+-\d+ minutes")
HEADERS = {"X-Demo-Mode": "false", "Content-Type": "application/json"}


@pytest.fixture
def ask(application: Application) -> Ask:
    """`ask("GET", "/tenants/")`: below the base URL of the documents, with their headers; the answer's JSON or text."""

    def call(method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        got = requests.request(
            method, application.base_url + path, headers=HEADERS | headers, timeout=PATIENCE,
            data=None if body is None else json.dumps(body),
        )  # fmt: skip
        assert got.status_code == status, got.text
        return got.json() if "json" in got.headers.get("Content-Type", "") else got.text

    return call


@contextmanager
def socket(application: Application, path: str) -> Iterator[websocket.WebSocket]:
    url = application.url.replace("http://", "ws://") + path
    opened = websocket.create_connection(url, timeout=PATIENCE)
    try:
        yield opened
    finally:
        opened.close()
        opened.shutdown()  # where the server closed first, `close` leaves the descriptor open


def wanted(name: str) -> dict[str, Any]:
    """A tenant as the reference asks for one."""
    return {
        "tenant_id": name, "name": "우리 서비스", "preset": "medium", "description": "설명",
        "service_requirements": {"callbot": 20, "chatbot": 60, "advisor": 10, "stt": 20, "tts": 20},
        "sla_target": {"availability": "99.9%", "response_time": "300ms", "concurrent_users": 200},
    }  # fmt: skip


# --- 004: tenants


def test_a_tenant_is_made_listed_shown_changed_and_deleted(application: Application, ask: Ask) -> None:
    name = application.name()
    made = ask("POST", "/tenants/", wanted(name), status=201)
    assert_shaped(
        made,
        {"tenant_id": {name}, "status": {"pending"}, "deployment_id": str, "estimated_resources": RESOURCES,
         "estimated_cost": str, "deployment_time": str, "created_at": TIME},
    )  # fmt: skip
    assert made["deployment_id"].startswith("dep-")
    assert COST.fullmatch(made["estimated_cost"])
    assert MINUTES.fullmatch(made["deployment_time"])
    page = ask("GET", "/tenants/?skip=0&limit=100&preset=medium&status=pending")
    row = {
        "tenant_id": str, "name": str, "preset": {"medium"}, "is_demo": {False}, "status": {"pending"},
        "services_count": int, "cpu_limit": str, "memory_limit": str, "gpu_limit": int, "storage_limit": str,
        "gpu_type": (str, None), "sla_availability": (str, None), "sla_response_time": (str, None), "created_at": TIME,
        "description": (str, None),
    }  # fmt: skip
    paging = {"skip": {0}, "limit": {100}, "has_more": bool}
    counts = {"total_count": int, "demo_count": int, "active_count": int}
    assert_shaped(page, {"tenants": [row], "pagination": paging, **counts})
    assert name in {t["tenant_id"] for t in page["tenants"]}
    detail = ask("GET", f"/tenants/{name}")
    service = {"service_name": str, "service_type": {"ai_service"}, "enabled": {True}, "count": int, "image": str,
               "resources": {"cpu_request": str, "memory_request": str}}  # fmt: skip
    assert_shaped(
        detail,
        {"tenant_id": {name}, "preset": {"medium"}, "is_demo": {False}, "status": {"pending"}, "resources": RESOURCES,
         "services": (({"service_name": str},), []), "created_at": TIME, "updated_at": TIME},
    )  # fmt: skip
    assert_shaped([s for s in detail["services"] if s["service_type"] == "ai_service"], [service])
    for field in ("name", "service_requirements", "sla_target"):
        assert detail[field] == wanted(name)[field]
    change = {"name": "다른 이름", "service_requirements": {"callbot": 30, "chatbot": 80},
              "sla_target": {"availability": "99.95%", "response_time": "400ms"}}  # fmt: skip
    assert ask("PUT", f"/tenants/{name}", change)["name"] == change["name"]
    # What is not named stays.
    left = wanted(name)["service_requirements"] | change["service_requirements"]
    assert ask("GET", f"/tenants/{name}")["service_requirements"] == left
    gone = ask("DELETE", f"/tenants/{name}?force=true", status=202)
    assert_shaped(gone, {"message": str, "deletion_id": str, "estimated_time": str})
    assert gone["deletion_id"].startswith("del-")


def test_what_a_set_of_services_needs_is_worked_out_with_what_else_would_do(ask: Ask) -> None:
    asked = {"service_requirements": {"callbot": 100, "chatbot": 200, "advisor": 50},
             "sla_target": {"availability": "99.9%", "response_time": "150ms"}}  # fmt: skip
    plan = ask("POST", "/tenants/calculate-resources", asked)
    other = {"preset": str, "resources": RESOURCES, "cost": str, "performance_impact": str}
    assert_shaped(
        plan,
        {"recommended_preset": {"large"}, "resources": RESOURCES, "gpu_type": str, "estimated_cost": str,
         "alternatives": [other]},
    )  # fmt: skip
    assert plan["alternatives"]
    told = ask(
        "POST", "/tenants/calculate-resources", asked, **{"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}
    )
    assert re.search("[가-힣]", told["alternatives"][0]["performance_impact"])


def test_an_error_has_the_documented_shape_and_the_id_of_its_request(
    application: Application, ask: Ask
) -> None:
    name = application.tenant()
    refused = ask("POST", "/tenants/", wanted(name), status=409, **{"X-Request-ID": "unique-request-id"})[
        "error"
    ]
    assert_shaped(
        refused,
        {"code": {"TENANT_ALREADY_EXISTS"}, "message": str, "timestamp": TIME, "request_id": {"unique-request-id"},
         "details": {"tenant_id": {name}, "existing_status": {"pending"}}},
    )  # fmt: skip


# --- 004: monitoring


def test_every_documented_measurement_is_taken_and_read_back(application: Application, ask: Ask) -> None:
    name = application.tenant()
    metrics = {
        "cpu_usage": 65.5, "memory_usage": 78.25, "gpu_usage": 85.0, "network_in": 1_250_000, "network_out": 850_000,
        "storage_used": 750_000_000_000, "request_count": 1250, "response_time": 145.8, "error_rate": 0.02,
    }  # fmt: skip
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    body = {"timestamp": now, "metrics": metrics}
    sent = ask("POST", f"/tenants/{name}/monitoring", body, status=202)
    assert (sent["accepted"], sent["rejected"]) == (len(metrics), [])
    read = ask("GET", f"/tenants/{name}/monitoring?hours=24&interval=1m")
    point = [{"timestamp": TIME, "value": float}]
    assert_shaped(
        read,
        {"tenant_id": {name}, "time_range": {"start": TIME, "end": TIME},
         "metrics": {"cpu": point, "memory": point, "gpu": point},
         "summary": {f"{kind}_{what}": float for kind in ("avg", "max") for what in ("cpu", "memory", "gpu")}},
    )  # fmt: skip
    assert (read["summary"]["max_cpu"], read["summary"]["avg_gpu"]) == (65.5, 85.0)
    only = ask("GET", f"/tenants/{name}/monitoring?metric_type=cpu&hours=24")
    assert [p["value"] for p in only["metrics"]["cpu"]] == [65.5]
    assert only["metrics"].keys() == {"cpu"}


def test_the_cluster_is_told_as_a_whole(ask: Ask) -> None:
    whole, share = RESOURCES, dict.fromkeys(RESOURCES, float)
    assert_shaped(
        ask("GET", "/monitoring/system"),
        {"cluster_status": str, "total_tenants": int, "active_tenants": int, "total_resources": whole,
         "used_resources": whole, "utilization": share},
    )  # fmt: skip


# --- 004 and 001: manifests


def test_a_manifest_is_what_the_documents_show(application: Application, ask: Ask) -> None:
    name = application.name()
    ask("POST", "/tenants/", wanted(name), status=201)
    text = ask("GET", f"/tenants/{name}/manifest?format=yaml&include_monitoring=true")
    objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(text)}
    namespace = f"ecp-ai-{name}"
    labels = objects["Namespace", namespace]["metadata"]["labels"]
    wanted_labels = {
        "ecp.ai/tenant": name,
        "ecp.ai/preset": "medium",
        "ecp.ai/managed-by": "ecp-orchestrator",
    }
    assert labels.items() >= wanted_labels.items()
    callbot = objects["Deployment", "callbot"]
    assert (callbot["metadata"]["namespace"], callbot["metadata"]["labels"]["ecp.ai/service"]) == (
        namespace,
        "callbot",
    )
    template, chosen = callbot["spec"]["template"], {"app": "callbot", "ecp.ai/tenant": name}
    assert template["metadata"]["labels"].items() >= {
        "app": "callbot", "ecp.ai/service": "callbot", "ecp.ai/tenant": name,
    }.items()  # fmt: skip
    assert callbot["spec"]["selector"]["matchLabels"] == chosen
    container = template["spec"]["containers"][0]
    assert (container["name"], container["image"].partition(":")[0]) == ("callbot", "ecp-ai/callbot")
    assert container["ports"][0]["containerPort"] == 8080
    environment = {e["name"]: e.get("value") for e in container["env"]}
    assert environment.items() >= {"TENANT_ID": name, "SERVICE_TYPE": "callbot"}.items()
    assert "REDIS_URL" in environment
    service = objects["Service", "callbot-service"]["spec"]
    assert (service["type"], service["selector"]) == ("ClusterIP", chosen)
    assert (service["ports"][0]["port"], service["ports"][0]["targetPort"]) == (80, 8080)
    assert ask("POST", f"/tenants/{name}/manifest") == text
    more = ask("GET", f"/tenants/{name}/manifest?format=json&include_ingress=true&namespace=elsewhere")
    assert {o["kind"] for o in more["items"]} >= {"Ingress"}
    assert {o["metadata"].get("namespace", o["metadata"]["name"]) for o in more["items"]} == {"elsewhere"}


def test_a_manifest_is_checked_with_what_it_would_take(application: Application, ask: Ask) -> None:
    name = application.tenant()
    asked = {"tenant_id": name, "manifest_content": ask("GET", f"/tenants/{name}/manifest")}
    counts = dict.fromkeys(("namespaces", "deployments", "services", "configmaps", "secrets", "total_gpu",
                            "estimated_pods"), int)  # fmt: skip
    finding = {"message": str, "object": str, "path": str}
    shape = {
        "valid": {True}, "warnings": [finding], "errors": [finding], "simulator_compatible": {True},
        "resource_summary": {**counts, "total_cpu": str, "total_memory": str}, "estimated_cost": str,
        "deployment_time": str,
    }  # fmt: skip
    assert_shaped(ask("POST", "/tenants/validate-manifest", asked), shape)
    strict = {"strict_validation": True, "target_simulator": True}
    assert_shaped(ask("POST", "/tenants/validate-manifest", asked | strict), shape)
    # The documents' own example of a content is cut short, and is none.
    cut = {**asked, "manifest_content": "apiVersion: v1\nkind: Namespace\n..."}
    refused = ask("POST", "/tenants/validate-manifest", cut)
    assert (refused["valid"], bool(refused["errors"])) == (False, True)


def test_a_deployment_tells_how_far_it_is_and_its_socket_every_step(
    application: Application, ask: Ask
) -> None:
    name, demo = application.tenant(is_demo=True), {"X-Demo-Mode": "true"}
    begun = ask("POST", f"/tenants/{name}/deploy", {}, status=202, **demo)
    steps = []
    with socket(application, f"/ws/deployment/{begun['deployment_id']}?demo=true") as opened:
        while text := opened.recv():
            steps.append(json.loads(text))
    step = {
        "deployment_id": {begun["deployment_id"]},
        "status": str,
        "progress": int,
        "phase": str,
        "message": str,
    }
    assert_shaped(steps, [step])
    assert (steps[-1]["status"], steps[-1]["progress"]) == ("completed", 100)
    status = ask("GET", f"/tenants/{name}/deployment-status", **demo)
    object_ = {"type": str, "name": str, "status": str}
    line = {"timestamp": TIME, "level": str, "message": str}
    assert_shaped(
        status,
        {"tenant_id": {name}, "deployment_id": {begun["deployment_id"]}, "status": {"completed"}, "progress": {100},
         "phase": str, "created_resources": [object_], "pending_resources": [object_],
         "estimated_completion": (TIME, None), "logs": [line]},
    )  # fmt: skip


# --- 004 and 001: sockets and alerts


@pytest.mark.parametrize("more", [{"interval": 5000}, {"tenant_id": True}])
def test_a_socket_of_metrics_takes_the_documented_subscriptions(
    application: Application, ask: Ask, more: dict[str, Any]
) -> None:
    name = application.tenant()
    metrics = {"cpu": 65.5, "memory": 78.25, "gpu": 85.0}
    ask("POST", f"/tenants/{name}/monitoring", {"metrics": {**metrics, "queue": 1}}, status=202)
    with socket(application, f"/ws/monitoring/{name}") as opened:
        named = {"tenant_id": name} if "tenant_id" in more else more
        opened.send(json.dumps({"action": "subscribe", "metrics": ["cpu", "memory", "gpu"], **named}))
        told: dict[str, Any] = {}
        while told.get("metrics") != metrics:  # the first message may have left before we asked
            told = json.loads(opened.recv())
    assert_shaped(told, {"timestamp": TIME, "tenant_id": {name}, "metrics": dict.fromkeys(metrics, float)})


def test_a_rule_of_the_guide_is_kept_and_what_fires_is_told_on_the_socket(
    application: Application, ask: Ask
) -> None:
    name = application.tenant()
    rule = {
        "alert_name": "high_cpu_usage", "condition": "cpu_usage > 80", "duration": "5m",
        "actions": [{"type": "webhook", "url": "https://your-webhook.com/alerts", "method": "POST"},
                    {"type": "email", "recipients": ["admin@company.com"]}],
    }  # fmt: skip
    kept = ask("POST", f"/tenants/{name}/alerts", rule, status=201)
    assert (kept["alert_name"], kept["condition"], kept["duration"]) == (
        "high_cpu_usage",
        "cpu_usage > 80",
        "300s",
    )
    at_once = {"alert_name": "hot", "condition": "cpu > 80", "severity": "warning"}
    ask("POST", f"/tenants/{name}/alerts", at_once, status=201)
    with socket(application, f"/ws/alerts/{name}") as opened:
        ask("POST", f"/tenants/{name}/monitoring", {"metrics": {"cpu": 85.25}}, status=202)
        told = json.loads(opened.recv())
    assert_shaped(
        told,
        {"alert_id": str, "tenant_id": {name}, "severity": {"warning"}, "type": str, "message": str,
         "metric": {"cpu_usage"}, "current_value": {85.25}, "threshold": {80.0}, "timestamp": TIME},
    )  # fmt: skip


# --- 000: the simulator


def test_the_four_phases_request_by_request(application: Application, ask: Ask) -> None:
    name = application.name()
    ask(
        "POST",
        "/tenants/",
        {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}},
        status=201,
    )
    content = ask("POST", f"/tenants/{name}/manifest")
    report = ask("POST", "/tenants/validate-manifest", {
        "tenant_id": name, "manifest_content": content, "strict_validation": True, "target_simulator": True,
    })  # fmt: skip
    assert_shaped(report, {"valid": {True}, "warnings": [], "errors": [], "simulator_compatible": {True},
                           "resource_summary": dict})  # fmt: skip
    options = {"include_monitoring": True, "enable_sla_tracking": True, "failure_scenarios": False}
    deployed = ask("POST", f"/simulator/deploy/{name}", options)
    assert_shaped(deployed, {"status": {"success"}, "deployment_id": str, "simulator_dashboard": (str, None),
                             "resources_count": int, "sla_monitoring": {True}})  # fmt: skip
    assert deployed["deployment_id"].startswith("sim-deploy-")
    with socket(application, f"/api/v1/simulator/realtime/{name}") as opened:
        told = json.loads(opened.recv())
    sla = {"availability": (float, None), "status": str, "uptime_percentage": (float, None),
           "downtime_minutes": (float, None)}  # fmt: skip
    assert_shaped(told, {"timestamp": TIME, "tenant_id": {name}, "metrics": dict, "sla_data": sla})
    assert_shaped(ask("GET", "/simulator/status"), {"status": {"running"}})
    analysis = ask("GET", f"/simulator/sla/{name}/analysis?period=24h")
    assert_shaped(analysis, {"tenant_id": {name}, "current_sla": (float, None), "target_sla": {99.5}, "status": str,
                             "uptime_percentage": (float, None), "failure_count": int,
                             "recovery_time_avg": (float, None)})  # fmt: skip
    asked = {"failure_type": "cpu_spike"}
    assert (
        ask("POST", f"/simulator/failures/{name}/trigger", asked, status=202)["failure_type"] == "cpu_spike"
    )


def test_the_simulator_takes_business_metrics_and_tells_its_own(application: Application, ask: Ask) -> None:
    name, base = application.tenant(), application.simulator_url
    ask("POST", f"/simulator/deploy/{name}", {})
    body = {"tenant_id": name, "source": "ecp-orchestrator",
            "metrics": {"business_requests": 1250, "active_sessions": 85, "revenue": 15000.5}}  # fmt: skip
    taken = requests.post(f"{base}/api/v1/external-metrics", json=body, timeout=PATIENCE)
    assert (taken.status_code, taken.json()["accepted"]) == (202, 3)

    def told(path: str) -> Any:
        answer = requests.get(base + path, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.text

    assert_shaped(told(f"/api/v1/metrics/{name}"), {"tenant_id": {name}, "metrics": dict})
    assert_shaped(told("/api/v1/metrics/system"), {"capacity": dict, "used": dict, "nodes": []})
    assert name in {t["tenant_id"] for t in told("/api/metrics")["tenants"]}
    assert told("/health")["status"] == "ok"
    assert "/api/v1/external-metrics" in told("/openapi.json")["paths"]
    assert "swagger-ui" in told("/docs")


# --- 001 and 003: curl, metrics, the dashboard


CURL = """
get() { curl -sS "$@"; }
get -o manifest.yaml -w '%{http_code}\\n' -H "X-Demo-Mode: false" "$API/tenants/$NAME/manifest"
python -c 'import json, sys
text = open("manifest.yaml").read()
json.dump({"tenant_id": sys.argv[1], "manifest_content": text}, open("valid-manifest.json", "w"))
json.dump({"tenant_id": sys.argv[1], "manifest_content": "kind: ["}, open("invalid-manifest.json", "w"))' "$NAME"
for which in valid invalid; do
  get -X POST "$API/tenants/validate-manifest" -H "Content-Type: application/json" -d @$which-manifest.json; echo
done
get -X POST "$API/tenants/calculate-resources" -H "Content-Type: application/json" -H "X-Demo-Mode: false" \\
  -d @service-requirements.json; echo
get -v -H "X-Demo-Mode: false" "$API/tenants/" 2> headers.txt > /dev/null
get -X POST "$API/simulator/deploy/$NAME" -H "Content-Type: application/json" \\
  -d '{"include_monitoring": true, "enable_sla_tracking": true}'; echo
get -X POST "$API/simulator/deploy/nobody-made-me" -H "Content-Type: application/json" -d '{}'; echo
get -X POST "$API/tenants/$NAME/deployment-status" -H "Content-Type: application/json" \\
  -d '{"status": "completed", "deployed_at": "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'"}'; echo
get -f "${API%/api/v1}/health" > /dev/null && get -f "${API%/api/v1}/ready" > /dev/null && echo '"well"'
"""


def test_the_commands_of_the_documents_by_curl(application: Application, tmp_path: Path) -> None:
    name = application.tenant()
    # As the guide has it: all of a tenant, of which only the services and the target are asked for.
    (tmp_path / "service-requirements.json").write_text(json.dumps(wanted(name)))
    done = subprocess.run(
        ["sh", "-ec", CURL], cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
        env={**os.environ, "API": application.base_url, "NAME": name},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, *lines = done.stdout.split("\n")[:-1]
    valid, invalid, plan, deployed, unknown, status, well = map(json.loads, lines)
    assert (code, well) == ("200", "well")
    assert (valid["valid"], invalid["valid"], plan["recommended_preset"]) == (True, False, "medium")
    assert (deployed["status"], unknown["error"]["code"]) == ("success", "TENANT_NOT_FOUND")
    assert status["status"] == "completed"
    assert "x-request-id: req-" in (tmp_path / "headers.txt").read_text().lower()


def test_the_names_that_prometheus_and_grafana_are_shown_to_ask_for_are_exposed(
    application: Application, ask: Ask
) -> None:
    name = application.tenant()
    usage = {"cpu_usage": 65.5, "memory_usage": 78.25, "gpu_usage": 85.0}
    ask("POST", f"/tenants/{name}/monitoring", {"metrics": usage}, status=202)

    def mine() -> dict[str, dict[str, str]]:
        text = requests.get(f"{application.url}/metrics", timeout=PATIENCE).text
        found = [s for f in text_string_to_metric_families(text) for s in f.samples]
        return {s.name: dict(s.labels) for s in found if s.labels.get("tenant_id") == name} | {
            s.name: {} for s in found if s.name == "ecp_active_tenants_total"
        }

    kinds = [f"ecp_tenant_{what}" for what in usage]
    wait_until(lambda: {*kinds, "ecp_active_tenants_total"} <= mine().keys(), "the gauges are there")
    assert {"method", "status"} <= mine()["ecp_tenant_requests_total"].keys()
    assert mine()["ecp_tenant_requests_total"]["status"] in {"success", "client_error", "server_error"}


def test_the_dashboard_of_operations_has_what_the_guide_shows_but_redis(ask: Ask) -> None:
    component = {"status": str}
    preset = dict.fromkeys(("small", "medium", "large"), int)
    found = ask("GET", "/operations/dashboard")
    assert_shaped(
        found,
        {"timestamp": TIME,
         "system_status": {"overall_status": {"healthy", "degraded", "critical"},
                           "components": {"api": {**component, "response_time": float}, "database": component,
                                          "kubernetes": component}},
         "tenant_stats": {"total_tenants": int, "active_tenants": int, "pending_deployments": int,
                          "failed_deployments": int, "by_preset": preset,
                          "resource_utilization": dict.fromkeys(("cpu", "memory", "gpu"), (float, None))},
         "resource_usage": dict, "recent_deployments": [], "active_alerts": [],
         "sla_metrics": dict.fromkeys(("availability", "avg_response_time", "deployment_success_rate"), (float, None))},
    )  # fmt: skip
    assert "redis" not in found["system_status"]["components"]


def test_json_with_comments_is_refused_with_the_place(application: Application) -> None:
    body = (
        '{\n  "service_requirements": {\n    "callbot": 100,        // sessions\n    "chatbot": 200\n  }\n}'
    )
    url = f"{application.base_url}/tenants/calculate-resources"
    refused = requests.post(url, data=body, headers=HEADERS, timeout=PATIENCE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert "line 3" in refused.json()["error"]["message"]
