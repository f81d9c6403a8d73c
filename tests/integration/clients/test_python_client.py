"""The Python clients against the real application: what the source documents show of them, and what they promise."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import requests
import websocket
import yaml

from ecp_orchestrator import AsyncECPClient, Conflict, ECPClient, InvalidRequest, NotFound, Rejected, Sizes
from ecpmon.api.direct import DirectPushes
from ecpmon.client import types as t
from tests.integration.clients.conftest import Application
from tests.waiting import PATIENCE, wait_until


def assert_shaped(answer: Any, kind: Any) -> None:
    """Everything that a type promises is there."""
    assert kind.__required_keys__ <= answer.keys(), kind.__required_keys__ - answer.keys()
    for name, hint in get_type_hints(kind).items():
        if getattr(hint, "__required_keys__", None) and answer.get(name) is not None:
            assert_shaped(answer[name], hint)


@pytest.fixture
def client(application: Application) -> Any:
    with ECPClient(application.base_url) as made:
        yield made


def test_the_sdk_of_the_reference(application: Application, tmp_path: Path) -> None:
    name, client = application.name(), ECPClient(base_url=application.base_url, is_demo=False)
    tenant = client.create_tenant(
        {"tenant_id": name, "name": "내 서비스", "preset": "medium", "service_requirements": {"chatbot": 100}}
    )
    assert (tenant["tenant_id"], tenant["status"]) == (name, "pending")
    assert_shaped(tenant, t.CreatedTenant)
    result = client.send_metrics(name, {"cpu": 65.5, "memory": 78.2})
    assert (result["accepted"], result["rejected"]) == (2, [])
    manifest = client.get_manifest(name)
    (tmp_path / "deployment.yaml").write_text(manifest)
    assert {d["kind"] for d in yaml.safe_load_all(manifest)} >= {"Namespace", "Deployment", "Service"}
    client.close()


def test_the_demo_scenario_of_the_guide(application: Application) -> None:
    demo_client = ECPClient(base_url=application.base_url, is_demo=True)
    demo_tenant = demo_client.create_tenant(
        {
            "tenant_id": application.name(),
            "name": "테스트 AI 서비스",
            "preset": "small",
            "service_requirements": {"chatbot": 10},
        }
    )
    assert demo_client.send_test_metrics(demo_tenant["tenant_id"])["rejected"] == []
    manifest = demo_client.get_manifest(demo_tenant["tenant_id"])
    validation_result = demo_client.validate_manifest(manifest)
    assert_shaped(validation_result, t.ManifestReport)
    assert (validation_result["valid"], validation_result["errors"]) == (True, [])
    with ECPClient(application.base_url) as production, pytest.raises(NotFound):
        production.get_tenant(demo_tenant["tenant_id"])
    demo_client.close()


def test_the_guides_own_monitoring_client(application: Application) -> None:
    class MonitoringClient:
        def __init__(self, base_url: str, is_demo: bool = False) -> None:
            self.base_url = base_url
            self.headers = {"Content-Type": "application/json", "X-Demo-Mode": str(is_demo).lower()}

        def send_metrics(self, tenant_id: str, metrics: dict[str, float]) -> Any:
            naive = datetime.now(UTC).replace(tzinfo=None).isoformat()
            return requests.post(
                f"{self.base_url}/tenants/{tenant_id}/monitoring",
                headers=self.headers,
                json={"timestamp": naive, "metrics": metrics},
                timeout=PATIENCE,
            ).json()

    name = application.tenant()
    metrics = {"cpu_usage": 65.5, "memory_usage": 78.2, "gpu_usage": 85.0, "request_count": 1250,
               "response_time": 145.8}  # fmt: skip
    result = MonitoringClient(application.base_url).send_metrics(name, metrics)
    assert (result["accepted"], result["rejected"]) == (5, [])


def test_a_push_that_shows_nothing_at_all_is_taken_the_short_way(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, plain = list[bool](), DirectPushes._pushed

    async def pushed(self: DirectPushes, *args: Any) -> Any:
        answer = await plain(self, *args)
        answered.append(
            isinstance(answer, bytes)
        )  # what is refused there is a call, what is given back nothing
        return answer

    monkeypatch.setattr(DirectPushes, "_pushed", pushed)
    url = f"{application.base_url}/tenants/{application.tenant()}/monitoring"

    def taken() -> bool:
        answer = requests.post(url, json={"metrics": {"cpu": 1.5}}, timeout=PATIENCE)
        assert answer.json()["accepted"] == 1
        return any(answered)

    wait_until(taken, "the tenant is in memory")


def test_a_manifest_is_downloaded_and_the_debug_header_says_what_it_took(
    application: Application, tmp_path: Path
) -> None:
    def download_manifest(tenant_id: str, is_demo: bool, output_file: Path) -> int:
        headers = {"X-Demo-Mode": str(is_demo).lower(), "X-Debug": "true"}
        url = f"{application.base_url}/tenants/{tenant_id}/manifest"
        response = requests.get(url, headers=headers, timeout=PATIENCE)
        if response.status_code == 200:
            output_file.write_text(response.text)
            assert json.loads(response.headers["X-Debug-Info"])["mode"] == "production"
        return response.status_code

    assert download_manifest(application.tenant(), False, tmp_path / "manifest.yaml") == 200
    assert "kind: Namespace" in (tmp_path / "manifest.yaml").read_text()
    assert download_manifest("nobody", False, tmp_path / "none.yaml") == 404


def test_live_metrics_by_the_library_that_the_guide_uses(application: Application, client: ECPClient) -> None:
    name = application.tenant()
    client.send_metrics(name, {"cpu": 91.0, "memory": 50.0, "gpu": 10.0})
    seen: list[Any] = []

    def on_message(ws: Any, message: str) -> None:
        metrics = json.loads(message)["metrics"]
        if metrics["cpu"] > 80:
            seen.append(metrics)
            ws.close()

    url = f"{application.url}/ws/monitoring/{name}".replace("http://", "ws://")
    ws = websocket.WebSocketApp(url, on_message=on_message)
    ws.run_forever()
    assert seen == [{"cpu": 91.0, "memory": 50.0, "gpu": 10.0}]


def test_the_four_phases_of_the_integration_guide(application: Application, client: ECPClient) -> None:
    name = application.name()
    client.create_tenant({"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}})
    manifest = client.get_manifest(name)
    report = client.validate_manifest(manifest, name, strict_validation=True, target_simulator=True)
    assert (report["valid"], report["simulator_compatible"]) == (True, True)
    deployed = client.deploy_to_simulator(name)
    assert_shaped(deployed, t.SimulatorDeployment)
    assert (deployed["status"], deployed["sla_monitoring"]) == ("success", True)
    assert client.get_simulator_status()["status"] == "running"
    assert client.trigger_failure(name, "cpu_spike")["failure_type"] == "cpu_spike"
    assert client.clear_failures(name)["tenant_id"] == name
    analysis = client.get_sla_analysis(name, period="24h")
    assert_shaped(analysis, t.SlaAnalysis)
    assert analysis["target_sla"] == 99.5
    with client.realtime(name) as messages:
        assert_shaped(next(messages), t.RealtimeMessage)


def test_what_is_read_has_the_shapes_that_its_types_promise(
    application: Application, client: ECPClient
) -> None:
    name = application.tenant()
    client.send_batch(name, [{"metrics": {"up": 1, "cpu": n}} for n in range(1)])
    tenant = client.get_tenant(name)
    assert_shaped(tenant, t.Tenant)
    assert_shaped(tenant["services"][0], t.Service)
    page = client.get_tenants(limit=1)
    assert_shaped(page, t.TenantPage)
    assert_shaped(page["tenants"][0], t.TenantRow)
    updated = client.update_tenant(name, {"name": "Renamed"}, etag=tenant["etag"])
    assert_shaped(updated, t.UpdatedTenant)
    with pytest.raises(Conflict):
        client.update_tenant(name, {"name": "Again"}, etag=tenant["etag"])
    plan = client.calculate_resources({"chatbot": 200, "callbot": 100}, {"availability": "99.9%"})
    assert_shaped(plan, t.ResourcePlan)
    assert_shaped(client.get_monitoring(name, metric_type="cpu", hours=1, interval="1m"), t.Monitoring)
    assert_shaped(client.get_system_metrics(), t.SystemMetrics)
    sla = client.get_sla(name, windows=["1h", "30d"])
    assert [w["window"] for w in sla["windows"]] == ["1h", "30d"]
    assert_shaped(sla, t.Sla)
    assert_shaped(sla["windows"][0], t.SlaWindow)
    assert_shaped(client.get_sla_summary(), t.SlaSummary)
    assert_shaped(client.get_incidents(name, since=datetime.now(UTC) - timedelta(days=1)), t.Incidents)
    assert client.get_statement(name, f"{datetime.now(UTC):%Y-%m}", format="csv")
    audit = client.get_audit(name, limit=1)
    assert_shaped(audit["entries"][0], t.AuditEntry)
    assert_shaped(client.get_audit(cursor=audit["next_cursor"], action="tenant.changed"), t.AuditEntries)
    assert_shaped(client.get_received_alerts(name), t.ReceivedAlerts)
    assert {"system_status", "sla_metrics"} <= client.get_dashboard().keys()
    before = client.get_settings()["monitoring"]["slaTarget"]
    assert client.change_settings({"monitoring": {"slaTarget": before}})["monitoring"]["slaTarget"] == before
    told = client.report_deployment(name, "completed", deployed_at=datetime.now(UTC))
    assert told["status"] == "completed"
    assert_shaped(client.get_deployment_status(name), t.Deployment)
    assert client.request("GET", "/health") is not None
    assert_shaped(client.delete_tenant(name, force=True), t.Deletion)


def test_rules_and_windows_come_and_go(application: Application, client: ECPClient) -> None:
    name = application.tenant()
    hook = {"type": "webhook", "url": "http://127.0.0.1:9/alerts", "method": "POST"}
    mail = {"type": "email", "recipients": ["admin@company.com"]}
    rule: Any = {"alert_name": "high_cpu_usage", "condition": "cpu_usage > 80", "duration": "5m",
                 "actions": [hook, mail]}  # fmt: skip
    made = client.create_alert(name, rule)
    assert_shaped(made, t.AlertRule)
    assert made["rule_id"] in {r["rule_id"] for r in client.get_alerts(name)["alerts"]}
    assert (
        client.replace_alert(name, made["rule_id"], {**rule, "severity": "critical"})["severity"]
        == "critical"
    )
    assert client.get_active_alerts(name)["alerts"] == []
    client.delete_alert(name, made["rule_id"])
    with pytest.raises(InvalidRequest) as error:
        client.create_alert(name, {**rule, "condition": "cpu_usage >"})
    assert error.value.fields[0]["field"] == "condition"
    assert isinstance(error.value.details["position"], int)
    window = client.add_maintenance(
        name, {"start": "2030-01-01T00:00:00Z", "duration": "1h", "reason": "upgrade"}
    )
    assert [m["id"] for m in client.get_maintenance(name)["maintenance"]] == [window["id"]]
    client.remove_maintenance(name, window["id"])


def test_a_deployment_is_waited_for_and_tells_its_steps(application: Application) -> None:
    name, steps = application.tenant(is_demo=True), list[t.DeploymentStep]()
    with ECPClient(application.base_url, is_demo=True) as client:
        report = client.deploy(name, dry_run=True)
        assert (report["deployment_id"], report["valid"]) == (None, True)
        done = client.deploy(name, wait=True, progress=steps.append, timeout=PATIENCE)
    assert_shaped(done, t.Deployment)
    assert (done["status"], done["progress"]) == ("completed", 100)
    assert (steps[-1]["status"], steps[-1]["progress"]) == ("completed", 100)
    assert [s["progress"] for s in steps] == sorted(s["progress"] for s in steps)


async def test_the_asynchronous_client_does_the_same(application: Application) -> None:
    name = application.tenant(is_demo=True)
    async with AsyncECPClient(application.base_url, is_demo=True) as client:
        begun = await client.deploy(name)
        assert begun["deployment_id"] is not None
        async with client.follow_deployment(begun["deployment_id"]) as stream:
            assert [step["status"] async for step in stream][-1] == "completed"
        async with client.alerts(name) as alerts, client.monitoring(name, ["cpu"], interval=0.1) as live:
            await client.create_alert(name, {"alert_name": "hot", "condition": "cpu > 80"})
            first = anext(live)
            await client.send_metrics(name, {"cpu": 95})
            while (await first)["metrics"] != {"cpu": 95.0}:
                first = anext(live)
            assert not alerts.connected


def test_a_batch_delivers_everything_and_says_what_was_rejected(
    application: Application, client: ECPClient
) -> None:
    name, rejected = application.tenant(), list[Rejected]()
    began = datetime.now(UTC) - timedelta(minutes=10)
    with client.batch(Sizes(entries=100), on_rejected=rejected.append) as batch:
        for second in range(250):
            batch.add(name, {"cpu": float(second)}, timestamp=began + timedelta(seconds=second))
        batch.add(name, {"cpu": float("nan")}, timestamp=began)
        batch.add(name, {"cpu": 1.0}, timestamp="2020-01-01T00:00:00Z")
        batch.flush(PATIENCE)
        assert (batch.accepted, batch.rejected) == (250, 2)
    assert sorted(s["reason"] for r in rejected for s in r.samples) == ["not_a_number", "too_old"]
    found = client.get_monitoring(name, metric_type="cpu", hours=1, interval="1m")
    assert found["summary"]["max_cpu"] == 249.0


def test_a_callback_hears_of_live_metrics(application: Application, client: ECPClient) -> None:
    name, heard, came = application.tenant(), list[Any](), threading.Event()

    def hear(message: t.MonitoringMessage) -> None:
        heard.append(message["metrics"])
        if heard[-1] == {"cpu": 12.0}:  # the first one may have come before we said what we want
            came.set()

    client.send_metrics(name, {"cpu": 12.0, "memory": 5.0})
    subscription = client.subscribe_to_monitoring(name, hear, ["cpu"], interval=0.1)
    assert came.wait(PATIENCE)
    subscription.close()
    with pytest.raises(NotFound):
        client.subscribe_to_monitoring("nobody", hear).join(PATIENCE)
