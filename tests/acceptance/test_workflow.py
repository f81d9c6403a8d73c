"""The whole workflow of the source documents on one clock, once into the simulator and once through git."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.world import INTERVAL, World
from tests.waiting import PATIENCE, until

TENANT = {
    "tenant_id": "contact-centre",
    "name": "Contact centre",
    "service_requirements": {"callbot": 25, "chatbot": 50},
    "sla_target": {"availability": "99.5%", "response_time": "500ms"},
}


async def until_over(world: World, name: str, seconds: int = 600) -> dict[str, Any]:
    """Let time pass until the tenant's deployment is over, `seconds` at most on the world's clock."""
    found: dict[str, Any] = {}

    async def over() -> bool:
        nonlocal seconds
        found.update(await world.call("GET", f"/api/v1/tenants/{name}/deployment-status"))
        if found["status"] in ("completed", "failed", "rolled-back"):
            return True
        if seconds > 0 and found["phase"] == "scaling-services":  # pods need time to start
            await world.advance(INTERVAL)
            seconds -= INTERVAL
        return False

    # The deployer looks at the cluster in real time, however far the clock is.
    await until(over, f"the deployment of {name} is over")
    return found


async def validated_manifest(world: World, name: str) -> str:
    async with world.session.get(f"{world.api}/api/v1/tenants/{name}/manifest") as answer:
        manifest = await answer.text()
    report = await world.call(
        "POST",
        "/api/v1/tenants/validate-manifest",
        {
            "tenant_id": name,
            "manifest_content": manifest,
            "strict_validation": True,
            "target_simulator": True,
        },
    )
    assert (report["valid"], report["errors"], report["simulator_compatible"]) == (True, [], True)
    return manifest


async def test_from_a_new_tenant_to_the_analysis_of_its_outage(world: World) -> None:
    name = TENANT["tenant_id"]
    created = await world.call("POST", "/api/v1/tenants/", TENANT, 201)
    assert created["status"] == "pending"
    manifest = await validated_manifest(world, str(name))
    assert f"ecp-ai-{name}" in manifest

    begun = await world.call("POST", f"/api/v1/tenants/{name}/deploy", {"method": "simulator"}, 202)
    await world.call("POST", f"/api/v1/tenants/{name}/deploy", {"method": "simulator"}, 409)
    socket = await world.session.ws_connect(f"{world.api}/ws/deployment/{begun['deployment_id']}")
    done = await until_over(world, str(name))
    assert done["status"] == "completed", done
    steps = [m.json()["status"] async for m in socket]
    assert steps[-1] == "completed"
    ready = [o for o in done["created_resources"] if o["type"] == "Deployment"]
    assert ready, done
    assert all(o["replicas"].split("/")[0] == o["replicas"].split("/")[1] for o in ready)

    await world.advance(60)
    live = await world.session.ws_connect(f"{world.api}/api/v1/simulator/realtime/{name}")
    message = await asyncio.wait_for(live.receive_json(), PATIENCE)
    assert message["sla_data"]["availability"] == 100
    assert {"cpu", "error_rate"} <= message["metrics"].keys()

    rule = {
        "alert_name": "broken", "condition": "error_rate >= 0.9",
        "actions": [{"type": "webhook", "url": f"{world.receiver.url}/broken"}],
    }  # fmt: skip
    await world.call("POST", f"/api/v1/tenants/{name}/alerts", rule, 201)
    failure = {"failure_type": "full_outage", "duration_seconds": 120.0}
    await world.call("POST", f"/api/v1/simulator/failures/{name}/trigger", failure, 202)
    await world.advance(180)
    told = await world.receiver.wait_for(lambda seen: sum(d.path == "/hook/broken" for d in seen) >= 2)
    assert [d.document["status"] for d in told if d.path == "/hook/broken"] == ["firing", "resolved"]

    analysis = await world.call("GET", f"/api/v1/simulator/sla/{name}/analysis?period=1h")
    assert analysis["failure_count"] == 1
    assert abs(analysis["recovery_time_avg"] - 120) <= 2 * INTERVAL
    listed = await world.call("GET", f"/api/v1/tenants/{name}/deployments")
    burned = listed["deployments"][0]["burned_minutes"]
    assert abs(burned - 2) <= 2 * INTERVAL / 60
    await world.call("DELETE", f"/api/v1/tenants/{name}?force=true", status=202)
    async with world.session.get(f"{world.simulator_url}/api/v1/namespaces/ecp-ai-{name}") as gone:
        assert gone.status == 404 or (await gone.json())["status"]["phase"] == "Terminating"


def git(*words: str, at: Path) -> str:
    return subprocess.run(["git", *words], cwd=at, check=True, capture_output=True, text=True).stdout


async def test_the_same_tenant_through_git(world_of: Any, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", at=remote)
    async with world_of(gitops_url=remote.as_uri(), gitops_dir=str(tmp_path / "work")) as world:
        name = TENANT["tenant_id"]
        await world.call("POST", "/api/v1/tenants/", TENANT, 201)
        manifest = await validated_manifest(world, str(name))
        await world.call("POST", f"/api/v1/tenants/{name}/deploy", {"method": "gitops"}, 202)
        assert (await until_over(world, str(name)))["status"] == "completed"
        stored = git("show", f"main:tenants/{name}/manifest.yaml", at=remote)
        assert list(yaml.safe_load_all(stored)) == list(yaml.safe_load_all(manifest))

        head = git("rev-parse", "main", at=remote)
        await world.call("POST", f"/api/v1/tenants/{name}/deploy", {"method": "gitops"}, 202)
        again = await until_over(world, str(name))
        assert (again["status"], git("rev-parse", "main", at=remote)) == ("completed", head)

        await world.call("DELETE", f"/api/v1/tenants/{name}?force=true", status=202)
        assert git("ls-tree", "-r", "--name-only", "main", at=remote).strip() == ""


async def test_what_the_simulators_own_deploy_call_takes(world: World) -> None:
    await world.add_tenant("acme", deploy=False)
    path = "/api/v1/simulator/deploy/acme"
    refused = await world.call("POST", path, {"enable_sla_tracking": False}, 422)
    assert refused["error"]["details"]["fields"][0]["field"] == "enable_sla_tracking"
    answer = await world.call("POST", path, {"failure_scenarios": True})
    assert (answer["sla_monitoring"], answer["failure_scenario"]) == (True, "short_outage")
    told = await world.call("GET", "/api/v1/tenants/acme/deployment-status")
    made = {(o["type"], o["status"]) for o in told["created_resources"]}
    assert made == {("Namespace", "created"), ("Deployment", "created")}
    await world.advance(90)
    assert (await world.call("GET", "/api/v1/tenants/acme/incidents"))["incidents"]
    await world.add_tenant("pusher", deploy=False, sli_source="push")
    body = {"enable_sla_tracking": False}
    assert not (await world.call("POST", "/api/v1/simulator/deploy/pusher", body))["sla_monitoring"]
