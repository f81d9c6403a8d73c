"""The pages of one kubelet: `/metrics`, `/metrics/cadvisor`, `/metrics/resource`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from ecpmon.simulator.exporters.meters import Meters
from ecpmon.simulator.exporters.page import Page, text
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.claims import names_in
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.objects import Manifest, Node
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quantities import container_limits, container_requests, quantity
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND
from ecpmon.slices import in_slices

_PERIOD_SECONDS: Final = 0.1  # of the scheduler that keeps to CPU limits
_BUSY: Final = 0.85  # of its limit: what a container may use on average before single periods are cut
_USER: Final = 0.8  # of the CPU time; the rest is the kernel's
_RESIDENT: Final = 0.92  # of the working set
_FILES: Final = 1.12  # usage with the cache of files, over the working set
_IDLE_CORES: Final = 0.15  # what a node needs for itself
_IDLE_BYTES: Final = 1.5 * 1024**3


@dataclass(frozen=True, slots=True)
class Used:
    """What one container of a running pod uses: cores and bytes."""

    pod: Pod
    container: Manifest
    cores: float
    memory: float

    @property
    def labels(self) -> str:
        meta = self.pod.meta
        return text(container=self.container["name"], namespace=meta.namespace, pod=meta.name)

    @property
    def key(self) -> str:
        """A container that is started again begins again."""
        return f"{self.pod.meta.uid}/{self.pod.restarts}/{self.container['name']}"

    @property
    def limit(self) -> float:
        """Cores; 0 without a limit."""
        return float(quantity(container_limits(self.container).get("cpu", 0)))


async def _running(state: ClusterState, node: str) -> AsyncIterator[tuple[Pod, Document, list[Used]]]:
    """The node's running pods with their documents and what their containers use: the model knows pods alone."""
    async for pod in in_slices(state.pods.values()):
        if pod.node != node:
            continue
        use = cluster.pod_usage(state, ObjectKey("pods", pod.meta.namespace, pod.meta.name))
        if use is not None:
            document = cluster.pod_of(state, pod)
            containers = document["spec"]["containers"]
            cores, memory = use[0] / 1000 / len(containers), use[1] / len(containers)
            yield pod, document, [Used(pod, container, cores, memory) for container in containers]


async def cadvisor_page(state: ClusterState, node: Node, meters: Meters) -> Page:
    """`container_*` of the node's pods, by container and for the whole pod, and `machine_*`."""
    page = Page()
    cores = memory = 0.0
    async for pod, document, used in _running(state, node.meta.name):
        for one in used:
            _container(page, state, one, meters)
        _whole_pod(page, state, pod, document, used, meters)
        cores += sum(one.cores for one in used)
        memory += sum(one.memory for one in used)
    _machine(page, state, node, cores + _IDLE_CORES, memory + _IDLE_BYTES, meters)
    meters.sweep()
    return page


def _container(page: Page, state: ClusterState, used: Used, meters: Meters) -> None:
    image, now = str(used.container.get("image", "")), state.now
    labels = f"{used.labels},{text(id=_path(used.pod, used.container['name']), image=image, name=used.key)}"
    _cpu(page, labels, used.key, now, used.cores, meters)
    _memory(page, labels, used.memory)
    started = (used.pod.started_at or now) / SECOND
    page.add("container_start_time_seconds", labels, started)
    page.add("container_last_seen", labels, now // SECOND)
    ended = used.pod.ended
    page.add("container_oom_events_total", labels, int(ended is not None and ended.reason == "OOMKilled"))
    requests = container_requests(used.container)
    limits = container_limits(used.container)
    page.add("container_spec_cpu_period", labels, round(_PERIOD_SECONDS * 1_000_000))
    page.add(
        "container_spec_cpu_shares", labels, max(2, round(float(quantity(requests.get("cpu", 0))) * 1024))
    )
    page.add("container_spec_memory_limit_bytes", labels, float(quantity(limits.get("memory", 0))))
    if used.limit:
        page.add("container_spec_cpu_quota", labels, round(used.limit * _PERIOD_SECONDS * 1_000_000))
        _throttling(page, labels, used, now, meters)


def _throttling(page: Page, labels: str, used: Used, now: int, meters: Meters) -> None:
    """A container near its limit is held up in some of the periods, at its limit in all of them."""
    share = min(1.0, max(0.0, (used.cores / used.limit - _BUSY) / (1.0 - _BUSY)))
    periods = 1.0 / _PERIOD_SECONDS
    rates = {"periods": periods, "throttled_periods": periods * share, "throttled_seconds": 0.3 * share}
    for name, rate in rates.items():
        total = meters.read(f"{used.key}/{name}", now, rate)
        value = total if name.endswith("seconds") else round(total)
        page.add(f"container_cpu_cfs_{name}_total", labels, value)


def _whole_pod(
    page: Page, state: ClusterState, pod: Pod, document: Document, used: list[Used], meters: Meters
) -> None:
    """The group of the pod as a whole, which has no container's name; its network."""
    labels = text(
        container="", id=_path(pod, ""), image="", name="", namespace=pod.meta.namespace, pod=pod.meta.name
    )
    _cpu(page, labels, pod.meta.uid, state.now, sum(one.cores for one in used), meters)
    _memory(page, labels, sum(one.memory for one in used))
    received, sent = cluster.pod_network(state, pod)
    wire = f'{labels},interface="eth0"'
    for name, rate in (("receive", received), ("transmit", sent)):
        total = round(meters.read(f"{pod.meta.uid}/{name}", state.now, rate))
        page.add(f"container_network_{name}_bytes_total", wire, total)
        packets = round(meters.read(f"{pod.meta.uid}/{name}/packets", state.now, rate / 900))
        page.add(f"container_network_{name}_packets_total", wire, packets)
        for bad in ("errors", "packets_dropped"):
            page.add(f"container_network_{name}_{bad}_total", wire, 0)


def _path(pod: Pod, container: str) -> str:
    path = f"/kubepods/burstable/pod{pod.meta.uid}"
    return f"{path}/{container}" if container else path


def _cpu(page: Page, labels: str, key: str, now: int, cores: float, meters: Meters) -> None:
    total = meters.read(f"{key}/cpu", now, cores)
    page.add("container_cpu_usage_seconds_total", f'{labels},cpu="total"', total)
    page.add("container_cpu_user_seconds_total", labels, total * _USER)
    page.add("container_cpu_system_seconds_total", labels, total * (1 - _USER))


def _memory(page: Page, labels: str, memory: float) -> None:
    page.add("container_memory_working_set_bytes", labels, round(memory))
    page.add("container_memory_rss", labels, round(memory * _RESIDENT))
    page.add("container_memory_usage_bytes", labels, round(memory * _FILES))
    page.add("container_memory_cache", labels, round(memory * (_FILES - _RESIDENT)))


def _machine(
    page: Page, state: ClusterState, node: Node, cores: float, memory: float, meters: Meters
) -> None:
    root = text(container="", id="/", image="", name="", namespace="", pod="")
    _cpu(page, root, f"node/{node.meta.name}", state.now, cores, meters)
    _memory(page, root, memory)
    uid = node.meta.uid
    labels = text(boot_id=uid, machine_id=uid.replace("-", ""), system_uuid=uid)
    page.add("machine_cpu_cores", labels, node.capacity.cpu_millicores // 1000)
    page.add("machine_memory_bytes", labels, node.capacity.memory_bytes)
    page.add("machine_scrape_error", "", 0)


async def resource_page(state: ClusterState, node: Node, meters: Meters) -> Page:
    """What metrics-server reads."""
    page, cores, memory = Page(), _IDLE_CORES, _IDLE_BYTES
    async for pod, _, used in _running(state, node.meta.name):
        whole = text(namespace=pod.meta.namespace, pod=pod.meta.name)
        for one in used:
            total = meters.read(f"{one.key}/resource", state.now, one.cores)
            page.add("container_cpu_usage_seconds_total", one.labels, total)
            page.add("container_memory_working_set_bytes", one.labels, round(one.memory))
            page.add("container_start_time_seconds", one.labels, (pod.started_at or state.now) / SECOND)
        own, held = sum(one.cores for one in used), sum(one.memory for one in used)
        page.add("pod_cpu_usage_seconds_total", whole, meters.read(f"{pod.meta.uid}/pod", state.now, own))
        page.add("pod_memory_working_set_bytes", whole, round(held))
        cores, memory = cores + own, memory + held
    total = meters.read(f"node/{node.meta.name}/resource", state.now, cores)
    page.add("node_cpu_usage_seconds_total", "", total)
    page.add("node_memory_working_set_bytes", "", round(memory))
    page.add("resource_scrape_error", "", 0)
    meters.sweep()
    return page


async def kubelet_page(state: ClusterState, node: Node) -> Page:
    """What a kubelet says of itself and of the volumes it has mounted."""
    page, pods, containers = Page(), 0, 0
    async for pod, document, used in _running(state, node.meta.name):
        pods, containers = pods + 1, containers + len(used)
        for name in names_in(document["spec"]):
            claim = state.objects.get(pod.meta.namespace, {}).get(f"{CLAIMS}/{name}")
            if claim is not None:
                _volume(page, claim)
    page.add("kubelet_node_name", text(node=node.meta.name), 1)
    page.add("kubelet_running_pods", "", pods)
    page.add("kubelet_running_containers", text(container_state="running"), containers)
    return page


def _volume(page: Page, claim: Document) -> None:
    """A disk of which a third is used: what is written there is not simulated."""
    metadata = claim["metadata"]
    size = float(quantity(((claim.get("status") or {}).get("capacity") or {}).get("storage", 0)))
    labels = text(namespace=metadata["namespace"], persistentvolumeclaim=metadata["name"])
    page.add("kubelet_volume_stats_capacity_bytes", labels, size)
    page.add("kubelet_volume_stats_used_bytes", labels, round(size / 3))
    page.add("kubelet_volume_stats_available_bytes", labels, round(size * 2 / 3))
