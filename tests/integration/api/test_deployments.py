"""Deployments over the API: one at a time, gated, followed, resumed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from ecpmon.api import deployments
from ecpmon.app import RUNTIMES
from ecpmon.app.backend import BackendRuntime
from ecpmon.errors import DatabaseUnavailable, EcpError, KubernetesUnavailable
from ecpmon.model.deployments import DeployedObject, DeploymentStatus
from ecpmon.orchestrator.deployers.gitops import GitopsDeployer
from ecpmon.orchestrator.validation import validate_manifest
from tests.integration.api.conftest import Service
from tests.waiting import PATIENCE

pytestmark = pytest.mark.demo

DEMO = {"X-Demo-Mode": "true"}
DEPLOY = {"method": "kubernetes"}
WAY = [
    "pending", "validating", "creating-namespace", "creating-services", "scaling-services", "verifying", "completed",
]  # fmt: skip


@pytest.fixture
def demo(service: Service) -> BackendRuntime:
    return service.app[RUNTIMES][1]


async def demo_tenant(service: Service) -> str:
    name = f"{await service.tenant()}-demo"
    body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
    status, answer, _ = await service.ask("POST", "/api/v1/tenants/", body, **DEMO)
    assert status == 201, answer
    return name


async def deployed(service: Service, demo: BackendRuntime, name: str, **body: Any) -> dict[str, Any]:
    path = f"/api/v1/tenants/{name}"
    status, answer, _ = await service.ask("POST", f"{path}/deploy", {**DEPLOY, **body}, **DEMO)
    assert (status, answer["status"]) == (202, "pending"), answer
    await demo.deployments.wait(answer["deployment_id"])
    _, found, _ = await service.ask("GET", f"{path}/deployment-status", **DEMO)
    assert found["deployment_id"] == answer["deployment_id"]
    return dict(found)


async def break_for_good(service: Service, name: str, **headers: str) -> None:
    """A deployment by a pipeline, then an hour of down time: more than the budget of a tenant of that age."""
    told = {
        "status": "completed",
        "deployed_at": (service.clock.now() - timedelta(minutes=61)).isoformat(),
    }
    status, answer, _ = await service.ask(
        "POST", f"/api/v1/tenants/{name}/deployment-status", told, **headers
    )
    assert status == 200, answer
    for minute in range(60):
        stamp = (service.clock.now() - timedelta(minutes=60 - minute)).isoformat()
        body = {"timestamp": stamp, "metrics": {"up": 0}}
        status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body, **headers)
        assert status == 202, answer


async def test_a_manifest_that_is_not_valid_is_refused_and_begins_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await demo_tenant(service)
    path, found = f"/api/v1/tenants/{name}", validate_manifest(name, "apiVersion: v1\nkind: Pod\n")
    monkeypatch.setattr(deployments, "rendered", lambda *_: ((), found))
    for language, korean in (("en", False), ("ko", True)):
        status, answer, _ = await service.ask(
            "POST", f"{path}/deploy", DEPLOY, **DEMO, **{"Accept-Language": language}
        )
        assert (status, answer["error"]["code"]) == (422, "MANIFEST_INVALID")
        assert answer["error"]["details"] == {"errors": [e.line(korean=korean) for e in found.errors]}
    _, shown, _ = await service.ask("GET", f"{path}/deployment-status", **DEMO)
    assert (shown["status"], shown["message"]) == ("pending", "not deployed yet")


async def test_a_deployment_goes_through_every_phase(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    found = await deployed(service, demo, name)
    assert (found["status"], found["progress"], found["method"]) == ("completed", 100, "demo")
    assert (found["phase"], found["pending_resources"]) == ("completed", [])
    assert found["estimated_completion"] == found["finished_at"]
    kinds = {o["type"] for o in found["created_resources"]}
    assert {"Namespace", "Deployment", "Service"} <= kinds
    assert found["burned_minutes"] == 0
    _, tenant, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **DEMO)
    assert tenant["status"] == "running"


async def test_a_socket_follows_it_to_the_end(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    _, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/deploy", DEPLOY, **DEMO)
    url = f"{service.url}/ws/deployment/{answer['deployment_id']}?demo=true"
    steps = []
    async with service.session.ws_connect(url, headers=service.headers("viewer")) as socket:
        async for message in socket:
            steps.append(message.json())
        assert socket.close_code == 1000
    assert (steps[-1]["status"], steps[-1]["progress"]) == ("completed", 100)
    order = [WAY.index(s["phase"]) for s in steps]
    assert order == sorted(order)
    assert {s["status"] for s in steps} <= {"pending", "deploying", "completed"}
    # A browser says its language in the address; what was logged is told in it as well.
    async with service.session.ws_connect(f"{url}&language=ko", headers=service.headers("viewer")) as socket:
        assert [m.json()["message"] async for m in socket] == ["데모: 실제로 실행되는 것은 없습니다"]
    korean = {**DEMO, "Accept-Language": "ko"}
    _, told, _ = await service.ask("GET", f"/api/v1/tenants/{name}/deployments", **korean)
    found = next(d for d in told["deployments"] if d["deployment_id"] == answer["deployment_id"])
    assert [line["message"] for line in found["logs"] if line["message"].isascii()] == []
    with pytest.raises(aiohttp.WSServerHandshakeError, match="422"):
        await service.session.ws_connect(f"{url}&language=fr", headers=service.headers("viewer"))


async def test_the_id_of_a_new_tenant_tells_of_the_deployment_that_comes(
    service: Service, demo: BackendRuntime
) -> None:
    name = await demo_tenant(service)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/deployment-status", **DEMO)
    made_with = found["deployment_id"]
    url = f"{service.url}/ws/deployment/{made_with}?demo=true"
    async with service.session.ws_connect(url, headers=service.headers("viewer")) as socket:
        first = (await socket.receive(timeout=PATIENCE)).json()
        assert (first["deployment_id"], first["status"], first["phase"]) == (made_with, "pending", "pending")
        await deployed(service, demo, name)
        steps = [message.json() async for message in socket]
        assert socket.close_code == 1000
    assert {s["deployment_id"] for s in steps} == {made_with}
    assert (steps[-1]["status"], steps[-1]["progress"]) == ("completed", 100)


async def test_a_tenant_has_each_status_in_its_turn(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    path = f"/api/v1/tenants/{name}"

    async def status() -> tuple[str, str | None]:
        _, found, _ = await service.ask("GET", path, **DEMO)
        return found["status"], found["status_reason"]

    store = demo.deployments.store
    assert await status() == ("pending", None)
    await store.request(
        await demo.tenants.get(name), "dep-1" + name, "demo", {}, "kim", None, service.clock.now()
    )
    assert await status() == ("deploying", None)
    key = (await demo.tenants.get(name)).key
    await store.advance(key, "dep-1" + name, DeploymentStatus.FAILED, "no such image", service.clock.now())
    assert await status() == ("failed", "no such image")
    await deployed(service, demo, name)
    assert await status() == ("running", None)
    # What ran before runs on, unless it was broken.
    for broken, after in ((False, "running"), (True, "failed")):
        number = f"dep-{broken}{name}"
        await store.request(
            await demo.tenants.get(name), number, "demo", {}, "kim", None, service.clock.now()
        )
        failed = DeploymentStatus.ROLLED_BACK
        await store.advance(key, number, failed, "no quota", service.clock.now(), broken=broken)
        assert await status() == (after, "no quota")
    await deployed(service, demo, name)
    for up, expected in ((0, "degraded"), (1, "running")):
        service.clock.advance(60)
        body = {"metrics": {"up": up}}
        await service.ask("POST", f"{path}/monitoring", body, **DEMO)
        changed = await demo.tenants.tell_apart(service.clock.now())
        assert name in changed
        assert (await status())[0] == expected


async def test_what_nobody_has_seen_run_is_deploying_with_why(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, why = await demo_tenant(service), "nobody has seen it run"
    deployer = demo.deployments.deployers["demo"]
    apply = deployer.apply

    async def unseen(release: Any, progress: Any) -> Any:
        return replace(await apply(release, progress), unseen=why)

    monkeypatch.setattr(deployer, "apply", unseen)
    await deployed(service, demo, name)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **DEMO)
    assert (found["status"], found["status_reason"]) == ("deploying", why)
    report = {"status": "failed", "message": "the pods crash"}
    await service.ask("POST", f"/api/v1/tenants/{name}/deployment-status", report, **DEMO)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **DEMO)
    assert (found["status"], found["status_reason"]) == ("failed", "the pods crash")
    report = {"status": "completed"}
    await service.ask("POST", f"/api/v1/tenants/{name}/deployment-status", report, **DEMO)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **DEMO)
    assert (found["status"], found["status_reason"]) == ("running", None)


async def test_another_method_lets_go_of_the_tenant_in_the_repository(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.integration.orchestrator.test_gitops_deployer import Remote

    name, remote = await demo_tenant(service), Remote(tmp_path / "remote.git")
    gitops = GitopsDeployer(remote.url, tmp_path / "work")
    monkeypatch.setitem(cast(Any, demo.deployments.deployers), "gitops", gitops)
    tenant = await demo.tenants.get(name)
    begun = await demo.deployments.request(tenant, "gitops", {}, "kim", None)
    await demo.deployments.wait(begun)
    assert remote.files() == [f"tenants/{name}/manifest.yaml"]
    found = await deployed(service, demo, name)
    assert remote.files() == [f"released/{name}/manifest.yaml"]
    assert "gitops does not bring the tenant out any more" in [line["message"] for line in found["logs"]]


async def test_a_tenant_that_is_being_deleted_says_so_and_stays_what_it_was_when_it_is_not_gone(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await demo_tenant(service)
    await deployed(service, demo, name)
    path, seen = f"/api/v1/tenants/{name}", []

    async def status() -> str:
        return str((await service.ask("GET", path, **DEMO))[1]["status"])

    async def away(tenant_id: str) -> None:
        seen.append(await status())
        raise KubernetesUnavailable("the cluster is away")

    monkeypatch.setattr(demo.deployments.deployers["demo"], "delete", away)
    assert (await service.ask("DELETE", f"{path}?force=true", **DEMO))[0] == 503
    assert (seen, await status()) == (["deleting"], "running")


async def test_one_that_runs_says_when_it_will_be_over_and_what_is_to_come(
    service: Service, demo: BackendRuntime
) -> None:
    name = await demo_tenant(service)
    tenant, now, store = await demo.tenants.get(name), service.clock.now(), demo.deployments.store
    path, number = f"/api/v1/tenants/{name}/deployment-status", f"dep-{name}"
    await store.request(tenant, number, "demo", {}, "kim", None, now)
    objects = [
        DeployedObject("Namespace", "n", "created"),
        DeployedObject("Deployment", "chatbot", "pending"),
    ]
    phase = DeploymentStatus.CREATING_SERVICES
    await store.advance(tenant.key, number, phase, "on its way", now, objects=objects)
    _, found, _ = await service.ask("GET", path, **DEMO)
    assert (found["status"], found["phase"]) == ("deploying", "creating-services")
    assert found["pending_resources"] == [{"type": "Deployment", "name": "chatbot", "status": "Pending"}]
    # Nothing of its own is known yet: as its preset usually takes.
    assert datetime.fromisoformat(found["estimated_completion"]) == now + timedelta(minutes=5)
    service.clock.advance(40)
    await store.advance(tenant.key, number, DeploymentStatus.COMPLETED, "over", service.clock.now())
    await store.request(tenant, f"{number}-2", "demo", {}, "kim", None, service.clock.now())
    _, found, _ = await service.ask("GET", path, **DEMO)
    assert datetime.fromisoformat(found["estimated_completion"]) == service.clock.now() + timedelta(
        seconds=40
    )
    service.clock.advance(41)
    assert (await service.ask("GET", path, **DEMO))[1]["estimated_completion"] is None
    await store.advance(tenant.key, f"{number}-2", DeploymentStatus.FAILED, "over", service.clock.now())


async def test_the_entrance_of_a_manifest_is_as_it_is_asked_for(service: Service) -> None:
    name = await service.tenant()
    asked = (
        "include_ingress=true&ingress_domain=apps.example.com&ingress_class=traefik&tls_issuer=letsencrypt"
    )
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/manifest?format=json&{asked}")
    [ingress] = [o for o in body["items"] if o["kind"] == "Ingress"]
    assert ingress["spec"]["rules"][0]["host"] == f"{name}.apps.example.com"
    assert ingress["spec"]["ingressClassName"] == "traefik"
    route = "include_ingress=true&route=httproute&gateway=gateways/public"
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/manifest?format=json&{route}")
    assert "HTTPRoute" in {o["kind"] for o in body["items"]}
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/manifest?gateway=a/b/c")
    assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, "gateway")


async def test_a_dry_run_warns_of_kinds_that_the_cluster_does_not_know(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await demo_tenant(service)
    deployer = demo.deployments.deployers["demo"]

    async def left_out(objects: Any) -> tuple[str, ...]:
        return tuple(f"{o['kind']}/{o['metadata']['name']}" for o in objects if o["kind"] == "ServiceMonitor")

    monkeypatch.setattr(deployer, "left_out", left_out)
    path = f"/api/v1/tenants/{name}/deploy"
    status, body, _ = await service.ask("POST", path, {**DEPLOY, "dry_run": True}, **DEMO)
    assert (status, body["valid"]) == (202, True)
    assert "KIND_NOT_SERVED" in json.dumps(body)


async def test_anothers_deployment_does_not_exist(service: Service, demo: BackendRuntime) -> None:
    found = await deployed(service, demo, await demo_tenant(service))
    for who, name in (("outsider", found["deployment_id"]), ("admin", "dep-none"), ("admin", "a%00b")):
        url = f"{service.url}/ws/deployment/{name}?demo=true"
        async with service.session.ws_connect(url, headers=service.headers(who)) as socket:
            message = await socket.receive(timeout=PATIENCE)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4404)


async def test_a_second_deployment_of_a_tenant_is_refused(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    tenant = await demo.tenants.get(name)
    store = demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, service.clock.now())
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/deploy", DEPLOY, **DEMO)
    assert (status, body["error"]["code"]) == (409, "CONFLICT")
    await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.FAILED, "over", service.clock.now())
    assert (await deployed(service, demo, name))["status"] == "completed"


async def test_a_tenant_is_not_deleted_while_it_is_deployed(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    tenant, store = await demo.tenants.get(name), demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, service.clock.now())
    path = f"/api/v1/tenants/{name}?force=true"
    status, body, _ = await service.ask("DELETE", path, **DEMO)
    assert (status, body["error"]["details"]["deployment_id"]) == (409, f"dep-{name}")
    # A pipeline's report does not hide the one that runs.
    report = {"status": "completed", "message": "elsewhere"}
    await service.ask("POST", f"/api/v1/tenants/{name}/deployment-status", report, **DEMO)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/deployment-status", **DEMO)
    assert found["deployment_id"] == f"dep-{name}"
    await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.FAILED, "over", service.clock.now())
    assert (await service.ask("DELETE", path, **DEMO))[0] == 202


async def test_a_database_that_is_away_for_a_moment_fails_no_deployment(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await demo_tenant(service)
    real, failures = demo.tenants.get, 1

    async def get(tenant_id: str) -> Any:
        nonlocal failures
        if asyncio.current_task().get_name().startswith("deployment") and failures:  # type: ignore[union-attr]
            failures -= 1
            raise DatabaseUnavailable("away")
        return await real(tenant_id)

    monkeypatch.setattr(demo.tenants, "get", get)
    monkeypatch.setattr("ecpmon.orchestrator.deployments.RETRY_SECONDS", 0.01)
    assert (await deployed(service, demo, name))["status"] == "completed"
    assert failures == 0


@pytest.mark.parametrize(
    "body",
    [
        {"status": "completed", "message": "a\x00b"},
        {"status": "completed", "deployed_at": "yesterday"},
        {"status": "running"},
    ],
)
async def test_what_a_pipeline_may_not_say(service: Service, body: dict[str, str]) -> None:
    name = await service.tenant()
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/deployment-status", body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")


async def test_what_a_dead_process_left_is_taken_up(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    tenant, now = await demo.tenants.get(name), service.clock.now()
    store = demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, now)
    await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.SCALING_SERVICES, "half way", now)
    service.clock.advance(10)
    await demo.deployments.resume()
    assert (await store.get(f"dep-{name}", None)).status is DeploymentStatus.SCALING_SERVICES
    service.clock.advance(60)
    await demo.deployments.resume()
    await demo.deployments.wait(f"dep-{name}")
    record = await store.get(f"dep-{name}", None)
    assert (record.status, record.tries) == (DeploymentStatus.COMPLETED, 1)
    assert record.logs[0].message == "half way"


async def test_who_was_overtaken_has_nothing_to_say_any_more(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    tenant, now, store = await demo.tenants.get(name), service.clock.now(), demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, now)
    first = await store.get(f"dep-{name}", None)
    assert await store.remember(first, [{"kind": "ConfigMap"}]) == ({"kind": "ConfigMap"},)
    [second] = await store.take_over(now + timedelta(seconds=1), now + timedelta(seconds=60))
    assert (second.tries, second.before) == (1, ({"kind": "ConfigMap"},))
    # What ran before is what ran before the first try; and only the newest try goes on.
    assert await store.remember(second, []) == ({"kind": "ConfigMap"},)
    assert await store.remember(first, []) is None
    later = now + timedelta(seconds=120)
    await store.beat(first, later)
    assert not await store.advance(
        tenant.key, first.deployment_id, DeploymentStatus.FAILED, "I gave up", later
    )
    [third] = await store.take_over(later, later)  # the first one's sign of life did not count
    assert await store.advance(
        tenant.key, first.deployment_id, DeploymentStatus.COMPLETED, "done", later, tries=third.tries
    )
    assert (await store.get(first.deployment_id, None)).before is None


async def test_a_process_that_was_overtaken_stops(
    service: Service, demo: BackendRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await demo_tenant(service)
    deployer, begun, go_on = demo.deployments.deployers["demo"], asyncio.Event(), asyncio.Event()
    apply = deployer.apply

    async def slow(release: Any, progress: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await apply(release, progress)

    monkeypatch.setattr(deployer, "apply", slow)
    _, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/deploy", DEPLOY, **DEMO)
    await begun.wait()
    store, now = demo.deployments.store, service.clock.now()
    [taken] = await store.take_over(now + timedelta(seconds=1), now)
    go_on.set()
    await demo.deployments.wait(answer["deployment_id"])
    record = await store.get(answer["deployment_id"], None)
    assert (record.status, record.tries) == (DeploymentStatus.VALIDATING, taken.tries)
    assert (await demo.tenants.get(name)).deployed_to is None


async def test_a_socket_is_told_that_the_server_stops(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    tenant, store = await demo.tenants.get(name), demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, service.clock.now())
    url = f"{service.url}/ws/deployment/dep-{name}?demo=true"
    async with service.session.ws_connect(url, headers=service.headers("viewer")) as socket:
        assert (await socket.receive(timeout=PATIENCE)).json()["status"] == "pending"
        await service.app.shutdown()
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)


async def test_the_database_refuses_a_step_backwards_and_life_after_the_end(
    service: Service, demo: BackendRuntime
) -> None:
    name = await demo_tenant(service)
    tenant, now, store = await demo.tenants.get(name), service.clock.now(), demo.deployments.store
    await store.request(tenant, f"dep-{name}", "demo", {}, "kim", None, now)
    await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.VERIFYING, "almost", now)
    with pytest.raises(EcpError, match="cannot go from"):
        await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.CREATING_SERVICES, "back", now)
    assert await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.ROLLED_BACK, "over", now)
    assert not await store.advance(tenant.key, f"dep-{name}", DeploymentStatus.VALIDATING, "again", now)


async def test_a_spent_budget_stops_deployments_unless_somebody_answers_for_it(
    service: Service, demo: BackendRuntime
) -> None:
    name = await demo_tenant(service)
    await break_for_good(service, name, **DEMO)
    path = f"/api/v1/tenants/{name}/deploy"
    for more in ({}, {"force": True}, {"force": True, "reason": "because"}):
        status, body, _ = await service.ask("POST", path, {**DEPLOY, **more}, **DEMO)
        assert (status, body["error"]["code"]) == (409, "ERROR_BUDGET_EXHAUSTED")
        assert body["error"]["details"]["remaining_minutes"] < 0
    found = await deployed(service, demo, name, force=True, reason="it is the fix for the outage")
    assert (found["status"], found["forced_because"]) == ("completed", "it is the fix for the outage")
    assert found["requested_by"] == "admin"


async def test_the_simulators_deploy_call_obeys_the_gate(service: Service) -> None:
    name = await service.tenant()
    await break_for_good(service, name)
    status, body, _ = await service.ask("POST", f"/api/v1/simulator/deploy/{name}", {})
    assert status in (409, 503), body  # no simulator is configured here: either says so


async def test_what_a_deployment_burned_within_its_hour(service: Service, demo: BackendRuntime) -> None:
    name = await demo_tenant(service)
    path = f"/api/v1/tenants/{name}"
    await service.ask("POST", f"{path}/monitoring", {"metrics": {"up": 1}}, **DEMO)
    await deployed(service, demo, name)
    for up in (0, 0, 0, 1):
        service.clock.advance(60)
        await service.ask("POST", f"{path}/monitoring", {"metrics": {"up": up}}, **DEMO)
    _, body, _ = await service.ask("GET", f"{path}/deployments", **DEMO)
    latest, first = body["deployments"][0], body["deployments"][-1]
    assert latest["burned_minutes"] == pytest.approx(3.0)
    assert (first["status"], first["burned_minutes"]) == ("pending", None)


async def test_a_dry_run_tells_and_does_nothing(service: Service) -> None:
    name = await demo_tenant(service)
    status, body, _ = await service.ask(
        "POST", f"/api/v1/tenants/{name}/deploy", {**DEPLOY, "dry_run": True}, **DEMO
    )
    assert (status, body["valid"], body["deployment_id"]) == (202, True, None)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/deployment-status", **DEMO)
    assert found["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"method": "kubernetes"}, 503, "KUBERNETES_ERROR"),
        ({"method": "kubernetes", "dry_run": True}, 503, "KUBERNETES_ERROR"),
        ({"method": "ftp"}, 400, "VALIDATION_FAILED"),
        # As the settings say, which is the simulator; that is not configured here.
        ({}, 503, "KUBERNETES_ERROR"),
        ({"method": "gitops", "quickly": True}, 400, "VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_be_deployed(service: Service, body: Any, status: int, code: str) -> None:
    name = await service.tenant()
    got, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/deploy", body)
    assert got in (status, 422), answer
    assert answer["error"]["code"] == code


async def test_a_pipeline_tells_how_its_deployment_went(service: Service) -> None:
    name = await service.tenant()
    path = f"/api/v1/tenants/{name}/deployment-status"
    status, answer, _ = await service.ask(
        "POST", path, {"status": "completed", "deployed_at": "2026-03-02T09:00:00Z"}
    )
    assert (status, answer["status"]) == (200, "completed")
    _, found, _ = await service.ask("GET", path)
    assert (found["deployment_id"], found["method"]) == (answer["deployment_id"], "gitops")
    _, tenant, _ = await service.ask("GET", f"/api/v1/tenants/{name}")
    assert tenant["status"] == "running"
