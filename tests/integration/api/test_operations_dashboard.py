"""The operators' dashboard: measured or stored, of the caller's tenants, in a few statements."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api.conftest import Service

pytestmark = pytest.mark.demo

URL = "/api/v1/operations/dashboard"
SLA = """INSERT INTO sla_current (tenant, window_name, as_of, status, availability, budget_remaining_seconds)
SELECT id, '30d', $2, $3, $4, 0 FROM tenants WHERE tenant_id = $1"""


@pytest.fixture
def service_settings() -> dict[str, Any]:
    # Nobody listens there.
    return {"simulator_url": "http://127.0.0.1:1", "pull_timeout": 2.0}


async def shown(service: Service, who: str = "admin", **headers: str) -> Any:
    status, answer, _ = await service.ask("GET", URL, who=who, **headers)
    assert status == 200, answer
    return answer


async def report(service: Service, name: str, status: str) -> None:
    path = f"/api/v1/tenants/{name}/deployment-status"
    assert (await service.ask("POST", path, {"status": status}))[0] == 200


async def tell(service: Service, name: str, status: str) -> None:
    alert = {
        "status": status, "labels": {"alertname": "Full", "tenant_id": name, "severity": "page"}, "annotations": {},
        "startsAt": "2026-03-02T08:59:00Z", "fingerprint": f"f-{name}",
    }  # fmt: skip
    body = {"version": "4", "alerts": [alert]}
    assert (await service.ask("POST", "/api/v1/webhooks/tenant-alert", body))[1]["new"] == 1


async def test_it_counts_what_is_stored_of_the_callers_tenants_and_of_no_others(service: Service) -> None:
    mine, other = await service.tenant(), await service.tenant()
    await service.token("owner", ["viewer"], [mine])
    for name, status, availability in ((mine, "at_risk", 0.995), (other, "violated", 0.5)):
        await service.runtime.database.execute(SLA, name, service.clock.now(), status, availability)
        await report(service, name, "completed")
        await report(service, name, "failed")
        await service.ask(
            "POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu": availability * 100}}
        )
        await tell(service, name, "firing")
    service.clock.advance(360)
    await service.runtime.jobs.run("rollups")
    found, stats = await shown(service, "owner"), (await shown(service, "owner"))["tenant_stats"]
    assert (stats["total_tenants"], stats["active_tenants"], stats["by_status"]) == (1, 1, {"running": 1})
    assert sum(stats["by_preset"].values()) == 1
    assert (stats["failed_deployments"], stats["pending_deployments"], stats["firing_alerts"]) == (1, 0, 1)
    assert stats["resource_utilization"] == {"cpu": 99.5, "memory": None, "gpu": None}
    assert found["sla_metrics"] == {
        "window": "30d", "availability": 99.5, "measured_tenants": 1, "as_of": "2026-03-02T09:00:00Z",
        "by_status": {"meeting": 0, "at_risk": 1, "violated": 0, "no_data": 0},
        "avg_response_time": None, "deployment_success_rate": 50.0,
    }  # fmt: skip
    assert {d["tenant_id"] for d in found["recent_deployments"]} == {mine}
    assert {d["status"] for d in found["recent_deployments"]} == {"completed", "failed"}
    [alert] = found["active_alerts"]
    assert (alert["source"], alert["tenant_id"], alert["severity"]) == ("alertmanager", mine, "page")
    whole = await shown(service)
    assert whole["tenant_stats"]["total_tenants"] >= 2
    assert {a["tenant_id"] for a in whole["active_alerts"]} >= {mine, other}
    # How many are connected to the database concerns those who run it.
    assert found["system_status"]["components"]["database"]["connections"] is None
    assert whole["system_status"]["components"]["database"]["connections"] >= 1


async def test_what_is_over_is_not_active_and_what_fires_is(service: Service) -> None:
    name = await service.tenant()
    await service.token("owner", ["viewer"], [name])
    rule = {
        "alert_name": "hot",
        "condition": "cpu_usage > 80",
        "duration": "0s",
        "severity": "ticket",
        "actions": [],
    }
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule))[0] == 201
    await tell(service, name, "firing")
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu": 91}})
    await service.runtime.jobs.run("alerts")
    found = (await shown(service, "owner"))["active_alerts"]
    assert [(a["source"], a["alert_name"], a["current_value"]) for a in found] == [
        ("ecpmon", "hot", 91.0),
        ("alertmanager", "Full", None),
    ]
    await tell(service, name, "resolved")
    await service.ask("DELETE", f"/api/v1/tenants/{name}/alerts/{(await rules_of(service, name))['hot']}")
    assert (await shown(service, "owner"))["active_alerts"] == []


async def rules_of(service: Service, name: str) -> dict[str, str]:
    _, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts")
    return {r["alert_name"]: r["rule_id"] for r in answer["alerts"]}


async def test_where_nothing_was_measured_nothing_is_claimed(service: Service) -> None:
    found = await shown(service, "outsider")
    assert found["tenant_stats"]["total_tenants"] == 0
    sla = found["sla_metrics"]
    assert (sla["availability"], sla["avg_response_time"], sla["deployment_success_rate"]) == (
        None,
        None,
        None,
    )
    assert (found["recent_deployments"], found["active_alerts"]) == ([], [])
    # The cluster does not answer, and costs nobody the rest.
    assert found["resource_usage"] is None
    status = found["system_status"]
    assert status["components"]["kubernetes"] == {"status": "unavailable", "nodes_ready": None}
    assert status["overall_status"] == "degraded"
    assert status["components"]["api"]["response_time"] > 0


async def test_it_costs_two_statements_however_many_tenants_there_are(service: Service) -> None:
    async def asked() -> int:
        _, _, headers = await service.ask("GET", URL, who="viewer", **{"X-Debug": "true"})
        return int(json.loads(headers["X-Debug-Info"])["queries"])

    await asked()  # the token is known from now on
    assert await asked() == 2
    for _ in range(3):
        await service.tenant()
    await asked()  # and what it holds may be other tenants now
    assert await asked() == 2


async def test_demo_tenants_have_a_dashboard_of_their_own(service: Service) -> None:
    demo = {"X-Demo-Mode": "true"}
    before = (await shown(service, **demo))["tenant_stats"]["total_tenants"]
    await service.tenant()
    found = await shown(service, **demo)
    assert found["tenant_stats"]["total_tenants"] == before
    assert found["system_status"]["components"]["kubernetes"]["status"] == "unavailable"
