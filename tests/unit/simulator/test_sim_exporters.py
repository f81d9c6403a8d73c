"""The pages of kube-state-metrics and of kubelets: what is in them, and that they hold nobody up."""

from __future__ import annotations

import asyncio
import re

from cluster_kube import DEPLOYMENTS, HPAS, NS, autoscaler, cluster, deployment, put, remove
from sim_cluster import fail, later, running, spec

from ecpmon.simulator.exporters.cadvisor import cadvisor_page, kubelet_page, resource_page
from ecpmon.simulator.exporters.meters import Meters
from ecpmon.simulator.exporters.page import Page
from ecpmon.simulator.exporters.state_metrics import state_page
from ecpmon.simulator.kube.announcing import announced

_LINE = re.compile(r"([a-z_]+)\{(.*)\} (\S+)")


async def series(page: Page) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By name: labels and value of each sample."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    async for piece in page.pieces():
        for line in piece.decode().splitlines():
            if not line.startswith("#"):
                match = _LINE.fullmatch(line)
                assert match is not None, line
                labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2]))
                found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


async def test_states_are_told_as_kube_state_metrics_tells_them() -> None:
    state = put(cluster(), DEPLOYMENTS, "web", deployment(2))
    state = put(state, DEPLOYMENTS, "bad", deployment(1, image="web:does-not-exist"))
    state = put(state, HPAS, "web", autoscaler(70))
    quota = {"spec": {"hard": {"requests.cpu": "10"}}}
    state = later(put(state, "resourcequotas", "quota", quota), 60)
    found = await series(await state_page(state))
    (replicas,) = [v for labels, v in found["kube_deployment_status_replicas_available"]
                   if labels == {"namespace": NS, "deployment": "web"}]  # fmt: skip
    assert replicas == 2
    phases = {(x["pod"].split("-")[0], x["phase"]) for x, v in found["kube_pod_status_phase"] if v}
    assert phases == {("web", "Running"), ("bad", "Pending")}
    reasons = {x["reason"] for x, _ in found["kube_pod_container_status_waiting_reason"]}
    assert reasons <= {"ImagePullBackOff", "ErrImagePull"}
    limits = {(x["resource"], x["unit"], v) for x, v in found["kube_pod_container_resource_limits"]}
    assert limits == {("cpu", "core", 0.5), ("memory", "byte", 256.0 * 1024**2)}
    assert {
        x["condition"] for x, v in found["kube_node_status_condition"] if v and x["status"] == "true"
    } == {"Ready"}
    assert ({"namespace": NS, "resourcequota": "quota", "resource": "requests.cpu", "type": "used"}, 1.5) in (
        found["kube_resourcequota"]
    )
    assert [v for _, v in found["kube_horizontalpodautoscaler_spec_max_replicas"]] == [8]
    closing = await series(await state_page(remove(state, "namespaces", NS, "")))
    ending = {
        x["namespace"] for x, v in closing["kube_namespace_status_phase"] if x["phase"] == "Terminating" and v
    }
    assert ending == {NS}


async def test_counters_grow_with_what_is_used_and_begin_again_with_a_container() -> None:
    state, meters = running(spec(replicas=4), nodes=1), Meters()
    node = state.nodes["node-1"]
    await cadvisor_page(state, node, meters)
    after = later(state, 10)
    found = await series(await cadvisor_page(after, node, meters))
    used = [(x, v) for x, v in found["container_cpu_usage_seconds_total"] if x["container"] == "callbot"]
    assert len(used) == 4
    # 500 millicores are requested; what ten seconds of a share of them come to.
    assert all(0.2 < v < 5.0 for _, v in used)
    whole = sum(v for x, v in found["container_cpu_usage_seconds_total"] if x["pod"] and not x["container"])
    assert abs(whole - sum(v for _, v in used)) < 0.001
    assert all(v > 0 for _, v in found["container_network_receive_bytes_total"])
    assert {v for _, v in found["container_cpu_cfs_periods_total"]} == {100.0}
    assert [v for _, v in found["machine_cpu_cores"]] == [96.0]
    crashed = later(fail(after, "pod_crash", 30, 1.0), 120)
    again = await series(await cadvisor_page(crashed, node, meters))
    (first,) = {v for x, v in again["container_cpu_usage_seconds_total"] if x["container"] == "callbot"}
    assert first == 0.0
    assert [v for _, v in (await series(await kubelet_page(after, node)))["kubelet_running_pods"]] == [4.0]
    assert (
        len((await series(await resource_page(after, node, Meters())))["pod_memory_working_set_bytes"]) == 4
    )


async def test_a_page_of_many_pods_lets_others_have_their_turn() -> None:
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment(300)), 60)
    turns, done = 0, False

    async def others() -> None:
        nonlocal turns
        while not done:
            await asyncio.sleep(0)
            turns += 1

    watcher = asyncio.create_task(others())
    size = 0
    async for piece in (await state_page(state)).pieces():
        assert len(piece) < 300_000
        size += len(piece)
    done = True
    await watcher
    assert size > 1_000_000
    # Made at once it would be no turn at all; a slice is a millisecond, and the page takes ten of them at least.
    assert turns > 20


def test_where_exporters_are_is_announced_once() -> None:
    state = announced(cluster(), 6360)
    assert announced(state, 6360) is state
    moved = announced(state, 7000)
    assert {node.port for node in moved.nodes.values()} == {7000}
    (endpoints,) = [d for path, d in moved.objects["kube-system"].items() if path.startswith("endpoints/")]
    assert endpoints["subsets"][0]["ports"][0]["port"] == 7000
