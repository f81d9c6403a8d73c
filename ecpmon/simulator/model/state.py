"""The whole cluster as one value, and the draft in which a new one is prepared."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ecpmon.simulator.model.failures import Failure
from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.objects import Deployment, Meta, Node, Pod, ReplicaSet, Resources, Tenant, Timer
from ecpmon.simulator.model.times import HOUR, Micros

# (due, sequence, kind, key): entries of a heap. A pod's entry counts only while the pod waits for it.
Event = tuple[Micros, int, str, str]
CHECKPOINT = "checkpoint"

NODE_CAPACITY = Resources(cpu_millicores=96_000, memory_bytes=768 * 1024**3, gpu=8)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Everything the simulator knows at `now`. Mappings are never changed in place.

    `pods_of` maps a deployment's key to its pods' keys in order of creation; `pending` holds the keys of
    pods without a node, oldest first; `revision` is the source of resourceVersions and generated names.
    """

    seed: int
    now: Micros
    nodes: Mapping[str, Node]
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    replica_sets: Mapping[str, ReplicaSet] = field(default_factory=dict)
    pods: Mapping[str, Pod] = field(default_factory=dict)
    pods_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    failures: Mapping[str, Failure] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    revision: int = 1
    sequence: int = 0
    ordinals: int = 0

    def next_due(self) -> Micros | None:
        return self.events[0][0] if self.events else None


def new_state(seed: int, now: Micros, *, nodes: int = 4, capacity: Resources = NODE_CAPACITY) -> ClusterState:
    """An empty cluster of `nodes` equal nodes at `now`."""
    made = {}
    for number in range(1, nodes + 1):
        name = f"node-{number}"
        labels = {"kubernetes.io/hostname": name, "nvidia.com/gpu.present": str(capacity.gpu > 0).lower()}
        meta = Meta(name, "", uid(seed, "node", name), now, number, labels=labels)
        made[name] = Node(meta, capacity)
    return ClusterState(seed, now, made, events=first_events(now), revision=nodes, sequence=1)


def first_events(now: Micros) -> tuple[Event, ...]:
    """What an empty cluster waits for: the next full hour."""
    return (((now // HOUR + 1) * HOUR, 0, CHECKPOINT, ""),)


class Draft:
    """A state being changed within one instant; `freeze` makes it a value again."""

    def __init__(self, state: ClusterState) -> None:
        self.base = state
        self.seed = state.seed
        self.now = state.now
        self.nodes = dict(state.nodes)
        self.tenants = dict(state.tenants)
        self.deployments = dict(state.deployments)
        self.replica_sets = dict(state.replica_sets)
        self.pods = dict(state.pods)
        self.pods_of = dict(state.pods_of)
        self.pending = list(state.pending)
        self.failures = dict(state.failures)
        self.events = list(state.events)
        self.revision = state.revision
        self.sequence = state.sequence
        self.ordinals = state.ordinals
        self.touched: set[str] = set()
        self.capacity_changed = False

    def freeze(self, now: Micros) -> ClusterState:
        return ClusterState(
            seed=self.seed,
            now=now,
            nodes=self.nodes,
            tenants=self.tenants,
            deployments=self.deployments,
            replica_sets=self.replica_sets,
            pods=self.pods,
            pods_of=self.pods_of,
            pending=tuple(self.pending),
            failures=self.failures,
            events=tuple(self.events),
            revision=self.revision,
            sequence=self.sequence,
            ordinals=self.ordinals,
        )

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def push(self, due: Micros, kind: str, key: str) -> None:
        heapq.heappush(self.events, (due, self.sequence, kind, key))
        self.sequence += 1

    def put_pod(self, pod: Pod) -> None:
        """Store a changed pod, with its timer, and mark its tenant for a fresh look."""
        meta = replace(pod.meta, resource_version=self.next_revision())
        before = self.pods.get(meta.key)
        self.pods[meta.key] = replace(pod, meta=meta)
        self.touched.add(pod.tenant_id)
        waits = (pod.timer, pod.timer_due)
        if pod.timer is not Timer.NONE and (before is None or waits != (before.timer, before.timer_due)):
            self.push(pod.timer_due, pod.timer, meta.key)

    def bind(self, key: str, node: str) -> None:
        """Take `key`'s requests from `node`'s capacity."""
        host = self.nodes[node]
        self.nodes[node] = replace(host, used=host.used.plus(self.pods[key].resources))

    def drop_pod(self, key: str) -> None:
        """Remove a pod and give back what it used."""
        pod = self.pods.pop(key)
        owner = pod.deployment
        self.pods_of[owner] = tuple(other for other in self.pods_of[owner] if other != key)
        self.touched.add(pod.tenant_id)
        if pod.node is None:
            self.pending.remove(key)
        else:
            host = self.nodes[pod.node]
            self.nodes[pod.node] = replace(host, used=host.used.minus(pod.resources))
            self.capacity_changed = True

    def pods_in(self, deployment: str) -> list[Pod]:
        return [self.pods[key] for key in self.pods_of.get(deployment, ())]

    def active_failures(self, tenant_id: str) -> list[Failure]:
        return [f for f in self.failures.values() if f.active and f.tenant_id == tenant_id]
