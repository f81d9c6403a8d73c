"""Settings over HTTP: stored, audited, and counting in every process without a restart where that can be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from tests.integration.api.conftest import Service, another
from tests.waiting import until

URL = "/api/v1/settings"
SIMULATOR = "http://127.0.0.1:1"


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {
        "simulator_url": "http://somebody:s3cret@127.0.0.1:1",
        "pull_timeout": 2.0,
        "simulator_interval": 7.0,
    }


@pytest.fixture(autouse=True)
async def as_at_first(service: Service) -> AsyncIterator[None]:
    yield
    await service.runtime.database.execute("DELETE FROM operating_settings")


async def put(service: Service, status: int = 200, **body: Any) -> Any:
    got, answer, _ = await service.ask("PUT", URL, body)
    assert got == status, answer
    return answer


async def test_what_nobody_has_set_is_as_the_environment_says_without_its_secrets(service: Service) -> None:
    status, shown, _ = await service.ask("GET", URL)
    assert status == 200
    assert shown["deployment"] == {
        "deploymentMethod": "k8s-simulator", "deploymentEndpoint": SIMULATOR, "simulatorUrl": None,
        "validationStrict": False,
    }  # fmt: skip
    assert shown["monitoring"] == {
        "monitoringStack": "all", "customApiEndpoint": None, "slaTarget": 99.5, "realTimeMonitoring": True,
        "dataCollectionInterval": 7.0,
    }  # fmt: skip
    assert {f["source"] for f in shown["fields"].values()} == {"environment"}
    assert shown["fields"].keys() == {*shown["deployment"], *shown["monitoring"]}
    assert (shown["version"], shown["changed_by"]) == (0, None)
    assert "s3cret" not in str(shown)


async def test_the_settings_of_the_source_documents_are_taken_and_null_takes_one_back(
    service: Service,
) -> None:
    deployment = {
        "deploymentMethod": "k8s-simulator", "deploymentEndpoint": "http://localhost:6360",
        "simulatorUrl": "http://localhost:6390", "validationStrict": True,
    }  # fmt: skip
    monitoring = {
        "monitoringStack": "custom", "customApiEndpoint": "http://localhost:6360/api/metrics", "slaTarget": 99.5,
        "realTimeMonitoring": True, "dataCollectionInterval": 5,
    }  # fmt: skip
    shown = await put(service, deployment=deployment, monitoring=monitoring)
    assert (shown["deployment"], shown["monitoring"]) == (deployment, monitoring)
    assert (shown["version"], shown["changed_by"], shown["changed_at"]) == (
        1,
        "admin",
        "2026-03-02T09:00:00Z",
    )
    assert (await service.ask("GET", URL))[1] == shown
    shown = await put(service, monitoring={"dataCollectionInterval": None})
    assert shown["monitoring"] == {**monitoring, "dataCollectionInterval": 7.0}
    assert shown["fields"]["dataCollectionInterval"]["source"] == "environment"
    assert shown["fields"]["slaTarget"]["source"] == "stored"


async def test_every_bad_field_is_named_and_nothing_of_it_is_stored(service: Service) -> None:
    answer = await put(
        service,
        422,
        deployment={
            "deploymentMethod": "docker", "deploymentEndpoint": "ftp://x", "simulatorUrl": "http://a:b@c",
            "validationStrict": "yes",
        },
        monitoring={
            "monitoringStack": "nagios", "customApiEndpoint": "http://x/?key=1", "slaTarget": 100,
            "realTimeMonitoring": 1, "dataCollectionInterval": 0.5, "password": "x",
        },
        more={},
    )  # fmt: skip
    assert answer["error"]["code"] == "VALIDATION_FAILED"
    fields = [f["field"] for f in answer["error"]["details"]["fields"]]
    assert sorted(fields) == sorted(
        [
            *(f"deployment.{n}" for n in (
                "deploymentMethod", "deploymentEndpoint", "simulatorUrl", "validationStrict",
            )),
            *(f"monitoring.{n}" for n in (
                "monitoringStack", "customApiEndpoint", "slaTarget", "realTimeMonitoring", "dataCollectionInterval",
                "password",
            )),
            "more",
        ]
    )  # fmt: skip
    assert (await service.ask("GET", URL))[1]["version"] == 0


async def test_what_is_not_configured_here_cannot_be_chosen(service: Service) -> None:
    answer = await put(service, 422, deployment={"deploymentMethod": "gitops", "validationStrict": True})
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == ["deployment.deploymentMethod"]
    assert (await service.ask("GET", URL))[1]["version"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest", "http://[fd00:ec2::254]", "http://169.254.1.1:6360", "http://224.0.0.1",
        "http://0.0.0.0:6360", "http://[64:ff9b::a9fe:a9fe]", "http://2130706433:6360", "http://10.0.0.5:6379",
    ],
)  # fmt: skip
async def test_no_endpoint_is_where_machines_are_told_secrets_or_other_protocols_listen(
    service: Service, url: str
) -> None:
    answer = await put(
        service, 422, deployment={"deploymentEndpoint": url}, monitoring={"customApiEndpoint": url}
    )
    named = [f["field"] for f in answer["error"]["details"]["fields"]]
    assert named == ["deployment.deploymentEndpoint", "monitoring.customApiEndpoint"]


async def test_a_simulator_may_be_in_a_private_network(service: Service) -> None:
    await put(service, deployment={"deploymentEndpoint": "http://10.0.0.5:6360"})


async def test_nobody_loses_the_evidence_it_is_judged_by(service: Service) -> None:
    await put(service, monitoring={"monitoringStack": "custom"})
    await put(service, monitoring={"monitoringStack": None})
    await service.tenant(sli_source="prometheus")
    answer = await put(service, 422, monitoring={"monitoringStack": "custom"})
    [field] = answer["error"]["details"]["fields"]
    assert field["field"] == "monitoring.monitoringStack"
    assert "1 tenants are judged by what prometheus says" in field["message"]


async def test_a_change_is_in_the_audit_log_with_it_and_one_that_changes_nothing_is_not(
    service: Service,
) -> None:
    for _ in range(2):
        await put(service, monitoring={"slaTarget": 99.9})
    rows = await service.runtime.database.fetch(
        "SELECT actor, subject, before, after FROM audit_log WHERE action = 'settings.changed' ORDER BY id DESC LIMIT 2"
    )
    assert dict(rows[0]) == {
        "actor": "admin", "subject": "settings", "before": {"slaTarget": None}, "after": {"slaTarget": 99.9},
    }  # fmt: skip
    assert (await service.ask("GET", URL))[1]["version"] == 1


async def test_only_administrators_of_every_tenant_see_or_change_them(service: Service) -> None:
    name = await service.tenant()
    await service.token("mine", ["admin"], [name])
    for method, body in (("GET", None), ("PUT", {"monitoring": {"slaTarget": 50}})):
        for who in ("mine", "outsider"):
            status, answer, _ = await service.ask(method, URL, body, who=who)
            assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")
    assert (await service.ask("GET", URL))[1]["version"] == 0


async def counts(service: Service, version: int) -> bool:
    return bool(service.runtime.operating.version == version)


async def test_a_change_counts_in_every_process_without_a_restart(
    service: Service, elsewhere: Service
) -> None:
    await put(
        service,
        deployment={"validationStrict": True, "simulatorUrl": "http://localhost:6390"},
        monitoring={
            "slaTarget": 99.95, "realTimeMonitoring": False, "dataCollectionInterval": 60,
            "customApiEndpoint": "http://localhost:1/api/metrics",
        },
    )  # fmt: skip
    await until(lambda: counts(elsewhere, 1), "the other process has heard of it")
    for each in (service, elsewhere):
        name = await each.tenant()
        _, tenant, _ = await each.ask("GET", f"/api/v1/tenants/{name}")
        assert tenant["sla_target"]["availability"] == "99.95%"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await each.session.ws_connect(f"{each.url}/ws/monitoring/{name}", headers=each.headers("admin"))
        assert refused.value.status == 503
        runtime = each.runtime
        assert runtime.jobs.periods["collect_simulator"] == 60
        assert runtime.work is not None
        [runner] = runtime.work.pulling.runners
        assert runner.collector.interval.total_seconds() == 60
        assert runner.collector.url == "http://localhost:1/api/metrics"  # type: ignore[attr-defined]
    # Evidence that comes every minute holds for longer, also that of tenants that are there.
    pulled = await service.tenant(sli_source="simulator")
    service.clock.advance(1)
    await put(service, monitoring={"dataCollectionInterval": 30})

    async def held() -> bool:
        rows = await service.runtime.database.fetch(
            "SELECT r.holds FROM evidence_regimes r JOIN tenants t ON t.id = r.tenant WHERE t.tenant_id = $1"
            " ORDER BY r.valid_from DESC LIMIT 2",
            pulled,
        )
        return [row["holds"].total_seconds() for row in rows] == [75, 150]

    await until(held, "the worker has given tenants the new interval")


async def test_what_validation_does_when_nobody_says_is_as_it_is_set(service: Service) -> None:
    name = await service.tenant()
    manifest = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ecp-ai-x\n  colour: blue\n"
    body = {"tenant_id": name, "manifest_content": manifest}
    path = "/api/v1/tenants/validate-manifest"
    said = [await service.ask("POST", path, body | more) for more in ({}, {"strict_validation": True})]
    assert said[0][1] != said[1][1]
    await put(service, deployment={"validationStrict": True})
    assert (await service.ask("POST", path, body))[1] == said[1][1]
    assert (await service.ask("POST", path, body | {"strict_validation": False}))[1] == said[0][1]


async def test_where_tenants_are_deployed_changes_at_the_next_start_and_is_said_to(
    service: Service, free_port: Callable[[], int]
) -> None:
    shown = await put(service, deployment={"deploymentEndpoint": "http://127.0.0.1:2/"})
    assert shown["deployment"]["deploymentEndpoint"] == "http://127.0.0.1:2"
    field = shown["fields"]["deploymentEndpoint"]
    assert (field["takes_effect"], field["in_force"]) == ("next_start", SIMULATOR)
    assert {n for n, f in shown["fields"].items() if f["takes_effect"] == "next_start"} == {
        "deploymentEndpoint"
    }
    async with another(service, free_port()) as later:
        assert later.runtime.simulator is not None
        assert later.runtime.simulator.url == "http://127.0.0.1:2"
        _, shown, _ = await later.ask("GET", URL)
        assert shown["fields"]["deploymentEndpoint"]["in_force"] == "http://127.0.0.1:2"
