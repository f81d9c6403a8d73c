"""What `/metrics` says of tenants' usage, state and deployments. All through HTTP, on a clock of its own."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from ecpmon.model.deployments import DeploymentStatus
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import Service
from tests.integration.hand_made import insert_by_hand


async def push(service: Service, name: str, ago: float = 0, **metrics: float) -> None:
    body = {"timestamp": rfc3339(service.clock.now() - timedelta(seconds=ago)), "metrics": metrics}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer


async def shown(service: Service, name: str) -> dict[str, float]:
    """Family (with the labels that follow) -> value, of one tenant."""
    status, page, _ = await service.ask("GET", "/metrics")
    assert status == 200
    found = re.findall(rf'^(\w+){{(.*)tenant_id="{name}"(.*)}} (\S+)$', page, re.M)
    return {family + before.rstrip(",") + after: float(value) for family, before, after, value in found}


async def cpu(service: Service, name: str) -> float | None:
    return (await shown(service, name)).get("ecp_tenant_cpu_usage")


async def turn(service: Service, seconds: float = 0) -> None:
    service.clock.advance(seconds)
    await service.runtime.work.rolling.run_once()
    await service.runtime.jobs.run("usage")
    await service.runtime.work.update_gauges()


async def test_late_data_never_replaces_newer_not_even_after_a_restart(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    await push(service, name, cpu_usage=95)
    await push(service, name, ago=90, cpu_usage=5)
    assert await cpu(service, name) == 95
    # As a process that has just started: it knows nothing of what was committed before.
    service.runtime.telemetry.tenants.clear()
    await push(service, name, ago=3600, cpu_usage=6)
    assert await cpu(service, name) is None
    await turn(service)
    await push(service, name, ago=80, cpu_usage=7)
    assert await cpu(service, name) == 95


async def test_the_gauges_of_a_silent_tenant_disappear(service: Service) -> None:
    name, talking = await service.tenant(push_interval=60), await service.tenant(push_interval=600)
    for each in (name, talking):
        await push(service, each, cpu_usage=95, up=1)
    await turn(service, 149)
    assert (await cpu(service, name), (await shown(service, name))["ecp_tenant_up"]) == (95, 1)
    await turn(service, 2)
    found = await shown(service, name)
    assert not {"ecp_tenant_cpu_usage", "ecp_tenant_up"} & found.keys()
    assert found["ecp_tenant_sla_stale"] == 1
    assert (await cpu(service, talking), (await shown(service, talking))["ecp_tenant_up"]) == (95, 1)
    await push(service, name, cpu_usage=20, up=0)
    await turn(service)
    assert (await cpu(service, name), (await shown(service, name))["ecp_tenant_up"]) == (20, 0)


async def test_rows_that_people_write_count_like_others(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    database, now = service.runtime.database, service.clock.now()
    await insert_by_hand(database, name, "cpu_usage", 88.5, now - timedelta(seconds=30), now)
    await insert_by_hand(database, name, "gpu_usage", 12, now - timedelta(hours=1), now)
    await turn(service)
    found = await shown(service, name)
    assert found["ecp_tenant_cpu_usage"] == 88.5
    assert "ecp_tenant_gpu_usage" not in found, "an hour old"
    await push(service, name, ago=40, cpu_usage=1)
    await turn(service)
    assert await cpu(service, name) == 88.5
    await push(service, name, ago=20, cpu_usage=2)
    assert await cpu(service, name) == 2
    await turn(service, 131)
    assert await cpu(service, name) is None


async def test_rows_under_a_data_source_of_ones_own_count_for_gauges_and_rules_as_for_what_is_shown(
    service: Service,
) -> None:
    name = await service.tenant(push_interval=60)
    url, database, now = f"/api/v1/tenants/{name}", service.runtime.database, service.clock.now()
    await push(service, name, ago=50, cpu_usage=10)
    await insert_by_hand(database, name, "cpu_usage", 93, now - timedelta(seconds=20), now, "my-script")
    await insert_by_hand(database, name, "queue", 4, now - timedelta(seconds=20), now, "my-script")
    rules = {"hot": "cpu_usage > 90", "full": "avg(queue, 5m) > 3", "warm": "avg(cpu_usage, 5m) > 3"}
    for alert, condition in rules.items():
        body = {"alert_name": alert, "condition": condition, "actions": []}
        status, answer, _ = await service.ask("POST", f"{url}/alerts", body)
        assert status == 201, answer
    await turn(service)
    assert await cpu(service, name) == 93
    await service.runtime.work.evaluate_alerts()
    active = (await service.ask("GET", f"{url}/alerts/active"))[1]
    values = {a["alert_name"]: a["value"] for a in active["alerts"] if a["alert_name"] in rules}
    # A window is the evidence's while that speaks in it, as plots are.
    assert values == {"hot": 93, "full": 4, "warm": 10}
    plots = (await service.ask("GET", f"{url}/monitoring"))[1]
    assert plots["metric_sources"]["queue"] == "my-script"
    tried = {"condition": "cpu_usage > 90", "from": rfc3339(now - timedelta(minutes=2)), "step": "5s"}
    replay = (await service.ask("POST", f"{url}/alerts/test", tried))[1]
    assert [f["value"] for f in replay["firings"]] == [93]
    # It holds as long as what is pushed.
    await turn(service, 129)
    assert await cpu(service, name) == 93
    await turn(service, 2)
    assert await cpu(service, name) is None


async def test_usage_is_that_of_the_tenant_as_a_whole_and_of_what_sources_say_the_newest(
    service: Service,
) -> None:
    name = await service.tenant(push_interval=60)
    await push(service, name, cpu_usage=30)
    at = service.clock.now() + timedelta(seconds=2)
    service.clock.advance(3)
    database = service.runtime.database
    async with database.transaction() as connection:
        await connection.execute("SELECT set_config('ecpmon.now', $1, true)", str(at))
        for source, labels, value in (("simulator", "{}", 40), ("push", '{"service": "bot"}', 99)):
            await connection.execute(
                "INSERT INTO monitoring_data (tenant_id, metric_name, metric_value, timestamp, data_source, labels)"
                f" VALUES ($1, 'cpu_usage', $2, '{at}', '{source}', '{labels}')",
                name, value,
            )  # fmt: skip
    await turn(service)
    assert await cpu(service, name) == 40
    # What the simulator says is good for 2.5 of its intervals of 5 s; what was pushed before is known no more.
    await turn(service, 12)
    assert await cpu(service, name) is None
    await push(service, name, cpu_usage=31)
    assert await cpu(service, name) == 31


async def test_a_deployments_duration_is_observed_once_and_stays_whoever_leads(service: Service) -> None:
    name = await service.tenant(preset="small")
    tenant = await service.runtime.tenants.get(name)
    store = service.runtime.deployments.store
    for number, (seconds, status) in enumerate(
        ((45, DeploymentStatus.COMPLETED), (700, DeploymentStatus.COMPLETED), (30, DeploymentStatus.FAILED))
    ):
        one = f"dep-{name}-{number}"
        await store.request(tenant, one, "gitops", {}, "somebody", None, service.clock.now())
        service.clock.advance(seconds)
        assert await store.advance(tenant.key, one, status, "over", service.clock.now())
    path = f"/api/v1/tenants/{name}/deployment-status"
    assert (await service.ask("POST", path, {"status": "completed"}))[0] == 200
    family = "ecp_tenant_deployment_duration_seconds"
    for _ in range(2):
        service.runtime.telemetry.tenants.clear()  # as when somebody else begins to lead
        await turn(service)
        found = {k: v for k, v in (await shown(service, name)).items() if k.startswith(family)}
        assert found[f'{family}_countpreset="small"'] == 2, "what a pipeline tells has no duration"
        assert found[f'{family}_sumpreset="small"'] == 745
        buckets = {k.split('"')[1]: v for k, v in found.items() if "_bucket" in k}
        assert [buckets[le] for le in ("30.0", "60.0", "600.0", "1800.0", "+Inf")] == [0, 1, 1, 2, 2]
    # What was counted under the preset of then does not move.
    await service.runtime.database.execute("UPDATE tenants SET preset = 'large' WHERE id = $1", tenant.key)
    await turn(service)
    found = {k: v for k, v in (await shown(service, name)).items() if k.startswith(f"{family}_count")}
    assert found == {f'{family}_countpreset="small"': 2}


@pytest.mark.parametrize("status", ["success", "client_error"])
async def test_requests_are_counted_by_what_came_of_them(service: Service, status: str) -> None:
    name = await service.tenant()
    await push(service, name, up=1)
    body = {"metrics": {"up": 1}} if status == "success" else [1]
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    found = {k: v for k, v in (await shown(service, name)).items() if k.startswith("ecp_tenant_requests")}
    expected = {'code="202",method="POST",status="success"': 2.0}
    if status != "success":
        expected = {
            'code="202",method="POST",status="success"': 1.0,
            'code="422",method="POST",status="client_error"': 1.0,
        }
    assert found == {f"ecp_tenant_requests_total{labels}": count for labels, count in expected.items()}
