"""The official Python client, unmodified: typed, dynamic, asynchronous, and its watches; and helm."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, dynamic, utils, watch
from kubernetes.aio import client as aio_client
from kubernetes.aio import watch as aio_watch
from kubernetes.client.exceptions import ApiException

from tests.helm import helm_program
from tests.integration.simulator.kube.kube_objects import config_map, deployment, namespace, service_monitor
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE

TIMEOUT = 10.0
_numbers = itertools.count(1)


@pytest.fixture
def api(simulator: Simulator) -> Iterator[client.ApiClient]:
    with client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{simulator.port}")) as made:
        yield made


@pytest.fixture
def space(api: client.ApiClient) -> Iterator[str]:
    name = f"client-{next(_numbers)}"
    core = client.CoreV1Api(api)
    core.create_namespace(namespace(name), _request_timeout=TIMEOUT)
    yield name
    core.delete_namespace(name, _request_timeout=TIMEOUT)


def _until_ready(api: client.ApiClient, space: str, replicas: int) -> Any:
    limit = time.monotonic() + PATIENCE
    while True:
        found = client.AppsV1Api(api).read_namespaced_deployment("web", space, _request_timeout=TIMEOUT)
        if found.status.ready_replicas == replicas and found.status.updated_replicas == replicas:
            return found
        assert time.monotonic() < limit, found.status
        time.sleep(0.1)


def test_the_typed_client_reads_and_writes(api: client.ApiClient, space: str) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    apps.create_namespaced_deployment(space, deployment("web", space), _request_timeout=TIMEOUT)
    found = _until_ready(api, space, 2)
    assert found.spec.strategy.rolling_update.max_surge == "25%"
    scale = apps.read_namespaced_deployment_scale("web", space, _request_timeout=TIMEOUT)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    apps.patch_namespaced_deployment_scale("web", space, {"spec": {"replicas": 3}}, _request_timeout=TIMEOUT)
    _until_ready(api, space, 3)
    pods = core.list_namespaced_pod(space, label_selector="app=web", _request_timeout=TIMEOUT)
    assert {pod.status.phase for pod in pods.items} == {"Running"}
    assert core.read_namespaced_pod_log(pods.items[0].metadata.name, space, _request_timeout=TIMEOUT)
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("nothing", space, _request_timeout=TIMEOUT)
    assert refused.value.status == 404
    for version in (client.VersionApi(api).get_code(_request_timeout=TIMEOUT),):
        assert version.major == "1"


def test_pages_are_one_consistent_list(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    names = [f"item-{number:02d}" for number in range(7)]
    for name in names:
        core.create_namespaced_config_map(space, config_map(name, space), _request_timeout=TIMEOUT)
    page = core.list_namespaced_config_map(space, limit=3, _request_timeout=TIMEOUT)
    assert page.metadata.remaining_item_count == 4
    found = [item.metadata.name for item in page.items]
    core.delete_namespaced_config_map("item-05", space, _request_timeout=TIMEOUT)
    while token := page.metadata._continue:
        page = core.list_namespaced_config_map(space, limit=3, _continue=token, _request_timeout=TIMEOUT)
        found += [item.metadata.name for item in page.items]
    assert found == names  # as it was when the list began


def test_a_stale_replace_is_refused(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    made = core.create_namespaced_config_map(space, config_map("c", space, a="1"), _request_timeout=TIMEOUT)
    core.patch_namespaced_config_map("c", space, {"data": {"a": "2"}}, _request_timeout=TIMEOUT)
    body = {**config_map("c", space, a="3")}
    body["metadata"] = {**body["metadata"], "resourceVersion": made.metadata.resource_version}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("c", space, body, _request_timeout=TIMEOUT)
    assert refused.value.status == 409
    assert "the object has been modified" in refused.value.body


def test_a_watch_tells_every_change_in_order(api: client.ApiClient, space: str) -> None:
    core = client.CoreV1Api(api)
    start = core.list_namespaced_config_map(space, _request_timeout=TIMEOUT).metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(space, config_map("w", space, a="1"), _request_timeout=TIMEOUT)
        core.patch_namespaced_config_map("w", space, {"data": {"a": "2"}}, _request_timeout=TIMEOUT)
        core.delete_namespaced_config_map("w", space, _request_timeout=TIMEOUT)

    worker = threading.Timer(0.3, change)
    worker.start()
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map, space, resource_version=start,
        timeout_seconds=10, _request_timeout=TIMEOUT,
    ):  # fmt: skip
        if event["object"].metadata.name != "w":
            continue
        seen.append(
            (event["type"], event["object"].data["a"], int(event["object"].metadata.resource_version))
        )
        if event["type"] == "DELETED":
            watcher.stop()
    worker.join()
    assert [entry[:2] for entry in seen] == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
    versions = [entry[2] for entry in seen]
    assert versions == sorted(set(versions))
    replayed = watch.Watch().stream(
        core.list_namespaced_config_map, space, resource_version=start, field_selector="metadata.name=w",
        timeout_seconds=1, _request_timeout=TIMEOUT,
    )  # fmt: skip
    assert [event["type"] for event in replayed] == ["ADDED", "MODIFIED", "DELETED"]


def test_the_dynamic_client_discovers_and_applies(api: client.ApiClient, space: str) -> None:
    found = dynamic.DynamicClient(api)
    apps = found.resources.get(api_version="apps/v1", kind="Deployment")
    body = deployment("web", space)
    applied = apps.server_side_apply(body=body, namespace=space, field_manager="tests")
    assert applied.metadata.managedFields[0].operation == "Apply"
    changed = deepcopy(body)
    changed["spec"]["replicas"] = 1
    with pytest.raises(Exception, match="conflict"):
        apps.server_side_apply(body=changed, namespace=space, field_manager="others")
    apps.server_side_apply(body=changed, namespace=space, field_manager="others", force_conflicts=True)
    assert apps.get(name="web", namespace=space).spec.replicas == 1
    monitors = found.resources.get(api_version="monitoring.coreos.com/v1", kind="ServiceMonitor")
    monitors.create(body=service_monitor("web", space), namespace=space)
    assert monitors.get(name="web", namespace=space).spec.endpoints[0].port == "http"


def test_utilities_create_from_manifests(api: client.ApiClient, space: str) -> None:
    utils.create_from_dict(api, deployment("web", space))
    utils.create_from_dict(api, config_map("c", space, a="1"))
    _until_ready(api, space, 2)


async def test_the_asynchronous_client_and_its_watch(simulator: Simulator) -> None:
    configuration = aio_client.Configuration(host=f"http://127.0.0.1:{simulator.port}")
    name = f"client-{next(_numbers)}"
    async with aio_client.ApiClient(configuration) as api:
        core = aio_client.CoreV1Api(api)
        await core.create_namespace(namespace(name), _request_timeout=TIMEOUT)
        await core.create_namespaced_config_map(name, config_map("c", name, a="1"), _request_timeout=TIMEOUT)
        async with aio_watch.Watch() as watcher:
            async for event in watcher.stream(
                core.list_namespaced_config_map, name, timeout_seconds=5, _request_timeout=TIMEOUT
            ):
                if event["object"].metadata.name == "c":
                    assert event["type"] == "ADDED"
                    break
        await core.delete_namespace(name, _request_timeout=TIMEOUT)


def test_helm_installs_upgrades_tests_and_rolls_back_a_chart_with_hooks(
    api: client.ApiClient, simulator: Simulator, space: str, tmp_path: Path
) -> None:
    config = tmp_path / "kubeconfig"
    config.write_bytes(simulator.raw("GET", "/kubeconfig")[1])
    program, chart = helm_program(), Path(__file__).parent / "chart"
    environ = {"HOME": str(tmp_path), "KUBECONFIG": str(config), "PATH": ""}

    def helm(*arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments, "--namespace", space],
            capture_output=True, text=True, timeout=2 * PATIENCE, env=environ, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def images() -> set[str]:
        pods = client.CoreV1Api(api).list_namespaced_pod(
            space, label_selector="app=web", _request_timeout=TIMEOUT
        )
        return {p.spec.containers[0].image for p in pods.items if p.metadata.deletion_timestamp is None}

    wait = ("--wait", f"--timeout={PATIENCE:g}s")
    assert "STATUS: deployed" in helm("install", "shop", str(chart), *wait)
    jobs = client.BatchV1Api(api).list_namespaced_job(space, _request_timeout=TIMEOUT).items
    assert [(j.metadata.name, j.status.succeeded) for j in jobs] == [("migrate", 1)]
    helm("upgrade", "shop", str(chart), "--set=image=web:2", *wait)
    assert images() == {"web:2"}
    assert "Succeeded" in helm("test", "shop")
    helm("rollback", "shop", "1", *wait)
    assert images() == {"web:1"}
    history = json.loads(helm("history", "shop", "-o", "json"))
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "deployed"]
    helm("uninstall", "shop", *wait)
    assert images() == set()
