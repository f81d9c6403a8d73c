"""The Kubernetes deployer against a simulator process: what it prunes, rolls back, leaves alone and says."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from ecpmon.errors import DeploymentFailed, KubernetesUnavailable
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.orchestrator.deployers.cluster import Cluster, ClusterAddress
from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer
from ecpmon.orchestrator.manifests import namespace_of
from tests.integration.orchestrator.releases import (
    NOW,
    Told,
    labels_of,
    made,
    rendered_release,
    small_release,
    tenant_of,
)
from tests.integration.simulator.sim_process import Simulator, free_port
from tests.waiting import PATIENCE, until

GOOD = "registry.example/web:1.0"
BROKEN = "registry.example/web:does-not-exist"
# A pod whose image is not there says one, then the other, and so on: which of them depends on when somebody looks.
NO_IMAGE = r"(ErrImagePull|ImagePullBackOff)"


def config_map(tenant_id: str, name: str) -> dict[str, Any]:
    return made(tenant_id, "v1", "ConfigMap", name, data={"a": "1"})


def autoscaler(tenant_id: str, at_least: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": at_least, "maxReplicas": 6}
    return made(tenant_id, "autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=spec)


def path(tenant_id: str, plural: str, name: str, root: str = "/api/v1") -> str:
    return f"{root}/namespaces/{namespace_of(tenant_id)}/{plural}/{name}"


def web_path(tenant_id: str) -> str:
    return path(tenant_id, "deployments", "web", "/apis/apps/v1")


def image_of(deployment: dict[str, Any]) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_only_labelled_leftovers_are_pruned(
    kubernetes: KubernetesDeployer, cluster: Cluster, simulator: Simulator, tenant_id: str
) -> None:
    await kubernetes.apply(small_release(tenant_id, config_map(tenant_id, "old")), Told())
    space = namespace_of(tenant_id)
    others = {
        "unlabelled": {},
        "managed-only": {"ecp.ai/managed-by": "ecp-orchestrator"},
        "tenant-only": {"ecp.ai/tenant": tenant_id},
        "another": labels_of("another"),
    }
    for name, labels in others.items():
        body = config_map(tenant_id, name)
        body["metadata"]["labels"] = labels
        await cluster.call("POST", f"/api/v1/namespaces/{space}/configmaps", body=body)
    secret = made(tenant_id, "v1", "Secret", "ours-but-never-rendered")
    await cluster.call("POST", f"/api/v1/namespaces/{space}/secrets", body=secret)

    outcome = await kubernetes.apply(small_release(tenant_id), Told())

    assert outcome.changed
    assert [o for o in outcome.objects if o.status == "pruned"] == [
        DeployedObject("ConfigMap", "old", "pruned")
    ]
    assert simulator.call("GET", path(tenant_id, "configmaps", "old"))[0] == 404
    for name in others:
        assert simulator.call("GET", path(tenant_id, "configmaps", name))[0] == 200, name
    assert simulator.call("GET", path(tenant_id, "secrets", "ours-but-never-rendered"))[0] == 200


async def test_a_failing_image_is_rolled_back_and_named(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    leftover, settings = config_map(tenant_id, "old"), config_map(tenant_id, "settings")
    await kubernetes.apply(small_release(tenant_id, leftover, settings), Told())
    before = simulator.ok("GET", web_path(tenant_id))

    broken = small_release(tenant_id, {**settings, "data": {"b": "2"}}, image=BROKEN)
    extra = broken.objects[1]["spec"]["template"]["spec"]["containers"][0]
    extra["env"] = [{"name": "ADDED", "value": "1"}]
    with pytest.raises(DeploymentFailed, match=rf"Deployment/web .*{NO_IMAGE}") as failed:
        await kubernetes.apply(broken, Told())

    assert failed.value.rolled_back
    after = simulator.ok("GET", web_path(tenant_id))
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["status"]["availableReplicas"] == 2
    for name in ("old", "settings"):
        assert simulator.ok("GET", path(tenant_id, "configmaps", name))["data"] == {"a": "1"}
    again = await kubernetes.apply(small_release(tenant_id, leftover, settings), Told())
    assert {o.status for o in again.objects} == {"unchanged"}


async def test_a_second_try_rolls_back_to_what_ran_before_the_first(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    leftover, settings = config_map(tenant_id, "old"), config_map(tenant_id, "settings")
    await kubernetes.apply(small_release(tenant_id, leftover, settings), Told())
    broken = small_release(tenant_id, {**settings, "data": {"b": "2"}}, image=BROKEN)
    broken = replace(broken, before=await kubernetes.snapshot(broken))

    class Killed(Exception):
        pass

    async def progress(phase: DeploymentStatus, message: str, objects: Any) -> None:
        if phase is DeploymentStatus.SCALING_SERVICES:  # everything is applied, and the leftover pruned
            raise Killed

    with pytest.raises(Killed):
        await kubernetes.apply(broken, progress)
    assert image_of(simulator.ok("GET", web_path(tenant_id))) == BROKEN
    assert simulator.call("GET", path(tenant_id, "configmaps", "old"))[0] == 404

    told = Told()
    with pytest.raises(DeploymentFailed, match=NO_IMAGE) as failed:
        await kubernetes.apply(broken, told)
    assert failed.value.rolled_back
    assert {o.name: o.status for o in told.objects if o.kind != "Namespace"} == {
        "web": "configured", "settings": "configured", "old": "pruned",
    }  # fmt: skip
    assert image_of(simulator.ok("GET", web_path(tenant_id))) == GOOD
    for name in ("old", "settings"):
        assert simulator.ok("GET", path(tenant_id, "configmaps", name))["data"] == {"a": "1"}


async def test_a_rendered_release_comes_back_as_it_was(
    kubernetes: KubernetesDeployer, tenant_id: str
) -> None:
    good = rendered_release(tenant_id)
    await kubernetes.apply(good, Told())
    objects = deepcopy(good.objects)
    for document in objects:
        document["metadata"]["labels"]["ecp.ai/preset"] = "changed"
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = BROKEN
            document["spec"]["progressDeadlineSeconds"] = 60  # of the simulator's clock
    told = Told()
    with pytest.raises(DeploymentFailed, match=NO_IMAGE) as failed:
        await kubernetes.apply(replace(good, objects=objects), told)
    assert failed.value.rolled_back
    assert told.phases[-1] is DeploymentStatus.SCALING_SERVICES
    again = await kubernetes.apply(good, Told())
    # What a rollback leaves: services, claims and the namespace serve either version.
    assert {o.kind for o in again.objects if o.status != "unchanged"} <= {
        "Namespace", "Service", "PersistentVolumeClaim",
    }  # fmt: skip


async def test_a_claim_is_pruned_only_after_success(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = made(tenant_id, "v1", "PersistentVolumeClaim", "data", spec=spec)
    where = path(tenant_id, "persistentvolumeclaims", "data")
    await kubernetes.apply(small_release(tenant_id, claim), Told())
    before = simulator.ok("GET", where)["metadata"]["uid"]
    with pytest.raises(DeploymentFailed):
        await kubernetes.apply(small_release(tenant_id, image=BROKEN), Told())
    assert simulator.ok("GET", where)["metadata"]["uid"] == before
    await kubernetes.apply(small_release(tenant_id), Told())

    async def is_gone() -> bool:
        return bool(simulator.call("GET", where)[0] == 404)

    await until(is_gone, "a claim that nobody uses goes a moment after it was deleted")


async def test_a_first_release_that_fails_leaves_no_workload(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    with pytest.raises(DeploymentFailed, match=NO_IMAGE) as failed:
        await kubernetes.apply(small_release(tenant_id, image=BROKEN), Told())
    assert failed.value.rolled_back
    assert simulator.call("GET", web_path(tenant_id))[0] == 404


async def test_pods_that_fit_on_no_node_are_named_after_the_timeout(
    simulator: Simulator, tenant_id: str
) -> None:
    release = small_release(tenant_id)
    container = release.objects[1]["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "9999"}}
    address = ClusterAddress(url=f"http://127.0.0.1:{simulator.port}")
    impatient = KubernetesDeployer(address, rollout_timeout=1, poll=0.1)
    try:
        with pytest.raises(DeploymentFailed, match=r"after 1 s: Deployment/web 0/2 ready: Unschedulable: "):
            await impatient.apply(release, Told())
    finally:
        await impatient.close()


async def test_what_broke_by_itself_is_not_called_rolled_back(
    kubernetes: KubernetesDeployer, cluster: Cluster, simulator: Simulator, tenant_id: str
) -> None:
    broken = small_release(tenant_id, image=BROKEN)
    for document in broken.objects:
        await cluster.apply(document)
    told = Told()
    with pytest.raises(DeploymentFailed, match=NO_IMAGE) as failed:
        await kubernetes.apply(broken, told)
    assert not failed.value.rolled_back
    assert {o.status for o in told.objects} == {"unchanged"}
    assert image_of(simulator.ok("GET", web_path(tenant_id))) == BROKEN


async def test_a_refusal_names_the_object_and_what_the_server_said(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    await kubernetes.apply(small_release(tenant_id), Told())
    bad = made(tenant_id, "v1", "Service", "web", spec={"ports": [{"port": 99999999}]})
    release = small_release(tenant_id, bad, image="registry.example/web:2.0")
    with pytest.raises(DeploymentFailed, match=r"Service/web: .*port") as failed:
        await kubernetes.apply(release, Told())
    assert failed.value.rolled_back
    assert image_of(simulator.ok("GET", web_path(tenant_id))) == GOOD


async def test_what_the_autoscaler_decided_survives(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    release = small_release(tenant_id, autoscaler(tenant_id, at_least=4))
    first = Told()
    await kubernetes.apply(release, first)
    assert first.applied == {"web": 2}
    async with asyncio.timeout(PATIENCE):
        while simulator.ok("GET", web_path(tenant_id))["status"].get("readyReplicas") != 4:
            await asyncio.sleep(0.1)
    again = await kubernetes.apply(release, Told())
    assert {o.status for o in again.objects} == {"unchanged"}

    newer = small_release(tenant_id, release.objects[2], image="registry.example/web:2.0")
    told = Told()
    outcome = await kubernetes.apply(newer, told)
    assert told.applied == {"web": 4}
    assert [o.status for o in outcome.objects] == ["unchanged", "configured", "unchanged"]
    found = simulator.ok("GET", web_path(tenant_id))
    assert (found["spec"]["replicas"], image_of(found)) == (4, "registry.example/web:2.0")


async def test_an_autoscaler_that_asks_for_more_while_we_verify_is_no_failure(
    kubernetes: KubernetesDeployer, cluster: Cluster, simulator: Simulator, tenant_id: str
) -> None:
    class ScaledMeanwhile(Told):
        async def __call__(self, phase: DeploymentStatus, message: str, objects: Any) -> None:
            await super().__call__(phase, message, objects)
            if phase is DeploymentStatus.VERIFYING:
                # As many as it wants from now on: the simulated one would take them away again on a slow machine.
                scaler = path(tenant_id, "horizontalpodautoscalers", "web", "/apis/autoscaling/v2")
                await cluster.merge(scaler, {"spec": {"minReplicas": 6}})
                await cluster.merge(web_path(tenant_id), {"spec": {"replicas": 6}})

    told = ScaledMeanwhile()
    outcome = await kubernetes.apply(small_release(tenant_id, autoscaler(tenant_id, at_least=2)), told)
    assert outcome.changed
    assert told.phases[-1] is DeploymentStatus.VERIFYING
    assert simulator.ok("GET", web_path(tenant_id))["spec"]["replicas"] == 6


async def test_an_autoscaler_added_later_keeps_the_number(
    kubernetes: KubernetesDeployer, tenant_id: str
) -> None:
    await kubernetes.apply(small_release(tenant_id), Told())
    told = Told()
    await kubernetes.apply(small_release(tenant_id, autoscaler(tenant_id, at_least=1)), told)
    assert told.applied == {"web": 2}  # just left out, it would be reset to 1


async def test_a_restart_with_the_same_time_makes_no_new_generation(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    release = small_release(tenant_id)
    await kubernetes.apply(release, Told())
    generations = []
    for _ in range(2):
        assert await kubernetes.restart(tenant_of(tenant_id), NOW) == 1
        found = simulator.ok("GET", web_path(tenant_id))
        generations.append(found["metadata"]["generation"])
    assert generations == [2, 2]
    annotations = found["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"kubectl.kubernetes.io/restartedAt": "2026-03-02T00:00:00Z"}
    assert not (await kubernetes.apply(release, Told())).changed  # a restart is not undone


async def test_a_namespace_that_is_not_ours_is_not_deleted(
    kubernetes: KubernetesDeployer, cluster: Cluster, simulator: Simulator, tenant_id: str
) -> None:
    space = namespace_of(tenant_id)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
    await cluster.call("POST", "/api/v1/namespaces", body=body)
    with pytest.raises(DeploymentFailed, match="not ours"):
        await kubernetes.delete(tenant_id)
    with pytest.raises(DeploymentFailed, match="not ours"):  # nor taken over, to be deleted later
        await kubernetes.apply(small_release(tenant_id), Told())
    found = simulator.ok("GET", f"/api/v1/namespaces/{space}")
    assert found["status"]["phase"] == "Active"
    assert "ecp.ai/tenant" not in found["metadata"].get("labels", {})
    assert simulator.call("GET", web_path(tenant_id))[0] == 404


async def test_a_namespace_that_the_simulator_made_for_the_tenant_is_taken_over(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    simulator.deploy(tenant_id)
    outcome = await kubernetes.apply(small_release(tenant_id), Told())
    assert [o.status for o in outcome.objects] == ["configured", "created"]
    found = simulator.ok("GET", path(tenant_id, "deployments", "callbot", "/apis/apps/v1"))
    assert found["metadata"]["labels"]["ecp.ai/managed-by"] == "ecp-simulator"  # and not pruned


async def test_manifests_are_applied_over_what_a_rest_call_has_deployed(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    """As the walk-through of the README does; a Deployment's selector cannot change."""
    simulator.deploy(tenant_id)
    outcome = await kubernetes.apply(rendered_release(tenant_id), Told())
    assert ("callbot", "configured") in {
        (o.name, o.status) for o in outcome.objects if o.kind == "Deployment"
    }


def http_route(tenant_id: str) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": "gateway"}]}
    return made(tenant_id, "gateway.networking.k8s.io/v1", "HTTPRoute", "web", spec=spec)


async def test_what_the_cluster_does_not_know_is_left_out_and_told(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    monitor = made(tenant_id, "monitoring.coreos.com/v1", "ServiceMonitor", "web", spec={"endpoints": []})
    release = small_release(tenant_id, http_route(tenant_id), monitor)
    assert await kubernetes.left_out(release.objects) == ("HTTPRoute/web",)
    told: list[str] = []

    async def progress(phase: DeploymentStatus, message: str, objects: Any) -> None:
        told.append(message)

    outcome = await kubernetes.apply(release, progress)
    said = "left out, since the cluster does not know their kinds: HTTPRoute/web"
    assert said in told
    assert outcome.message == f"deployed; {said}"
    assert {o.kind for o in outcome.objects} == {"Namespace", "Deployment", "ServiceMonitor"}


async def test_somebody_elses_rollout_is_seen(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    impatient = KubernetesDeployer(
        ClusterAddress(url=f"http://127.0.0.1:{simulator.port}"), rollout_timeout=1, poll=0.1
    )
    release = rendered_release(tenant_id)
    try:
        assert "not seen to run yet: callbot" in await impatient.seen(release, Told())
        await kubernetes.apply(release, Told())
        assert await kubernetes.seen(release, Told()) == ""
        objects = deepcopy(release.objects)
        for document in objects:
            if document["kind"] == "Deployment" and document["metadata"]["name"] == "callbot":
                document["spec"]["template"]["spec"]["containers"][0]["image"] = GOOD
        told = await impatient.seen(replace(release, objects=objects), Told())
        assert told.startswith("not seen to run yet: callbot (looked for")
    finally:
        await impatient.close()


async def test_what_is_being_deleted_is_waited_for(
    kubernetes: KubernetesDeployer, cluster: Cluster, simulator: Simulator, tenant_id: str
) -> None:
    """As a claim is while a pod uses it: whoever applies to it loses it all the same."""
    settings = config_map(tenant_id, "settings")
    settings["metadata"]["finalizers"] = ["example.com/held"]
    await kubernetes.apply(small_release(tenant_id, settings), Told())
    where = path(tenant_id, "configmaps", "settings")
    held = simulator.ok("GET", where)["metadata"]["uid"]
    await cluster.delete(where)
    assert "deletionTimestamp" in simulator.ok("GET", where)["metadata"]
    again = asyncio.create_task(
        kubernetes.apply(small_release(tenant_id, config_map(tenant_id, "settings")), Told())
    )
    impatient = KubernetesDeployer(
        ClusterAddress(url=f"http://127.0.0.1:{simulator.port}"), rollout_timeout=0.5, poll=0.1
    )
    with pytest.raises(
        DeploymentFailed, match=r"ConfigMap/settings: still being deleted .* example.com/held"
    ):
        await impatient.apply(small_release(tenant_id, config_map(tenant_id, "settings")), Told())
    await impatient.close()
    await cluster.merge(where, {"metadata": {"finalizers": None}})
    await again
    assert simulator.ok("GET", where)["metadata"]["uid"] != held


async def test_a_new_deployment_begins_with_the_least_of_its_autoscaler(
    kubernetes: KubernetesDeployer, simulator: Simulator, tenant_id: str
) -> None:
    release = small_release(tenant_id, autoscaler(tenant_id, at_least=3))
    document = deepcopy(release.objects[1])
    del document["spec"]["replicas"]
    told = Told()
    await kubernetes.apply(replace(release, objects=(release.objects[0], document, release.objects[2])), told)
    assert told.applied == {"web": 3}
    fields = simulator.ok("GET", web_path(tenant_id))["metadata"]["managedFields"]
    owners = {f["manager"] for f in fields if "f:replicas" in f["fieldsV1"].get("f:spec", {})}
    assert "ecp-orchestrator" not in owners


async def test_nobody_answers() -> None:
    away = KubernetesDeployer(ClusterAddress(url=f"http://127.0.0.1:{free_port()}", timeout=2))
    calls = (
        away.apply(small_release("acme"), Told()),
        away.restart(tenant_of("acme"), NOW),
        away.delete("acme"),
    )
    try:
        for call in calls:
            with pytest.raises(KubernetesUnavailable):
                await call
    finally:
        await away.close()


async def test_a_server_that_says_nothing_or_nonsense_is_away() -> None:
    answers = {
        "silence": b"",
        "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
        "429": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    }
    for name, answer in answers.items():

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not answer:
                await reader.read()  # until the client gives up
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        deployer = KubernetesDeployer(ClusterAddress(url=f"http://127.0.0.1:{port}", timeout=0.5))
        try:
            with pytest.raises(KubernetesUnavailable):
                await deployer.delete(name.replace(" ", "-"))
        finally:
            await deployer.close()
            server.close()
            await server.wait_closed()


async def test_a_kubeconfig_leads_to_the_cluster(simulator: Simulator, tenant_id: str, tmp_path: Any) -> None:
    config = tmp_path / "kubeconfig"
    config.write_bytes(simulator.raw("GET", "/kubeconfig")[1])
    deployer = KubernetesDeployer(ClusterAddress(kubeconfig=str(config)), poll=0.1)
    try:
        assert (await deployer.apply(small_release(tenant_id), Told())).changed
    finally:
        await deployer.close()
    lost = KubernetesDeployer(ClusterAddress(kubeconfig=str(config), context="nowhere"))
    with pytest.raises(KubernetesUnavailable, match="configuration"):
        await lost.delete(tenant_id)


async def test_a_kind_that_no_tenant_has_is_refused(kubernetes: KubernetesDeployer, tenant_id: str) -> None:
    release = small_release(tenant_id)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "x", "namespace": release.namespace},
    }
    bad: Release = replace(release, objects=(*release.objects, role))
    with pytest.raises(DeploymentFailed, match="ClusterRole"):
        await kubernetes.apply(bad, Told())
