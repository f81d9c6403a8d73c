"""The whole cluster as one value, and the draft in which a new one is prepared."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ecpmon.simulator.model.document_draft import MAX_TOMBSTONES, DocumentDraft
from ecpmon.simulator.model.failures import Failure
from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.objects import Deployment, Happening, Manifest, Meta, Node, ReplicaSet, Resources
from ecpmon.simulator.model.pods import Pod, Timer
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import DAY, HOUR, Micros

# (due, sequence, kind, key): entries of a heap. A pod's entry counts only while the pod waits for it.
Event = tuple[Micros, int, str, str]
CHECKPOINT = "checkpoint"

MAX_WAIT: Micros = 100 * 365 * DAY
TERMINATED = "pod:terminated"
MAX_HAPPENINGS = 60  # per namespace

NODE_CAPACITY = Resources(cpu_millicores=96_000, memory_bytes=768 * 1024**3, gpu=8)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Everything the simulator knows at `now`. Mappings are never changed in place.

    `pods_of` maps a deployment's key (see `Pod.group`) to its pods' keys in order of creation; `pending`
    holds the keys of pods without a node, oldest first; `terminating` pods are deleted, serve nobody, hold
    no capacity and are gone soon. `objects` are the Kubernetes objects that are kept as documents, and
    `happenings` the events, both by namespace. `tombstones` are the latest deletions, as (revision, key).
    `revision` is the source of resourceVersions and generated names.
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
    terminating: Mapping[str, Pod] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, Document]] = field(default_factory=dict)
    happenings: Mapping[str, Mapping[str, Happening]] = field(default_factory=dict)
    tombstones: tuple[tuple[int, str], ...] = ()
    addresses: int = 0
    # By autoscaler: (instant, replicas) it would have wanted lately.
    recommendations: Mapping[str, tuple[tuple[Micros, int], ...]] = field(default_factory=dict)

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
    empty = ClusterState(seed, now, made, events=first_events(now), revision=nodes, sequence=1)
    draft = Draft(empty)
    for name in ("default", "kube-system"):
        draft.open_namespace(name, {})
    draft.open_storage_class()
    return draft.freeze(now)


def first_events(now: Micros) -> tuple[Event, ...]:
    """What an empty cluster waits for: the next full hour."""
    return (((now // HOUR + 1) * HOUR, 0, CHECKPOINT, ""),)


Index = dict[str, dict[str, None]]


class _Kept:
    """The index of the mapping that was frozen last, so that it is not made again for every command.

    It belongs to one draft at a time, which changes it together with its own mapping.
    """

    def __init__(self) -> None:
        self._of: object = None
        self._index: Index | None = None

    def keep(self, mapping: object, index: Index | None) -> None:
        self._of, self._index = mapping, index

    def take(self, mapping: object) -> Index | None:
        found = self._index if self._of is mapping else None
        self._of = self._index = None
        return found


# Keys of pods by their namespace, and of replica sets by their group.
_NAMESPACES, _GROUPS = _Kept(), _Kept()


class Draft(DocumentDraft):
    """A state being changed within one instant; `freeze` makes it a value again.

    What has to be looked at again when the instant is over: `touched` tenants, `stirred` workloads (keys of
    `pods_of`) and `dirty` namespaces.
    """

    def __init__(self, state: ClusterState) -> None:
        super().__init__(
            state.seed, state.now, state.revision, state.objects, state.happenings, state.tombstones
        )
        self.base = state
        self.nodes = dict(state.nodes)
        self.tenants = dict(state.tenants)
        self.deployments = dict(state.deployments)
        self.replica_sets = dict(state.replica_sets)
        self.pods = dict(state.pods)
        self.pods_of = dict(state.pods_of)
        self.pending = list(state.pending)
        self.failures = dict(state.failures)
        self.events = list(state.events)
        self.sequence = state.sequence
        self.ordinals = state.ordinals
        self.terminating = dict(state.terminating)
        self.addresses = state.addresses
        self.recommendations = dict(state.recommendations)
        self.touched: set[str] = set()
        self.stirred: set[str] = set()
        self.capacity_changed = False
        # Taken from whoever made the state: what a draft that is thrown away has changed is lost with it.
        self._pods_by_namespace = _NAMESPACES.take(state.pods)
        self._sets_by_group = _GROUPS.take(state.replica_sets)

    def freeze(self, now: Micros) -> ClusterState:
        _NAMESPACES.keep(self.pods, self._pods_by_namespace)
        _GROUPS.keep(self.replica_sets, self._sets_by_group)
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
            terminating=self.terminating,
            objects=self.objects,
            happenings=self.happenings,
            tombstones=tuple(self.tombstones[-MAX_TOMBSTONES:]),
            addresses=self.addresses,
            recommendations=self.recommendations,
        )

    def push(self, due: Micros, kind: str, key: str) -> None:
        # Whatever an object asks for: time does not run backwards, and instants stay 64-bit integers.
        due = min(max(due, self.now), self.now + MAX_WAIT)
        heapq.heappush(self.events, (due, self.sequence, kind, key))
        self.sequence += 1

    def push_once(self, due: Micros, kind: str, key: str) -> None:
        """`push`, unless the same comes as soon anyway: what every look asks for would come ever more often."""
        if not any(event[2:] == (kind, key) and event[0] <= due for event in self.events):
            self.push(due, kind, key)

    def stir(self, group: str) -> None:
        """Have the workload looked at when this instant is over."""
        if group:
            self.stirred.add(group)

    # Pods

    def put_pod(self, pod: Pod) -> None:
        """Store a changed pod, with its timer, and mark its tenant for a fresh look."""
        meta = replace(pod.meta, resource_version=self.next_revision())
        before = self.pods.get(meta.key)
        if before is not None and before.serving != pod.serving:
            pod = replace(pod, turned_at=self.now)
        self.pods[meta.key] = replace(pod, meta=meta)
        if before is None and self._pods_by_namespace is not None:
            self._pods_by_namespace.setdefault(meta.namespace, {})[meta.key] = None
        self._mark(pod)
        waits = (pod.timer, pod.timer_due)
        if pod.timer is not Timer.NONE and (before is None or waits != (before.timer, before.timer_due)):
            self.push(pod.timer_due, pod.timer, meta.key)

    def _mark(self, pod: Pod) -> None:
        if pod.tenant_id:
            self.touched.add(pod.tenant_id)
        self.stir(pod.group)
        self.dirty.add(pod.meta.namespace)

    def bind(self, key: str, node: str) -> None:
        """Take `key`'s requests from `node`'s capacity."""
        host = self.nodes[node]
        self.nodes[node] = replace(host, used=host.used.plus(self.pods[key].resources))

    def release(self, pod: Pod) -> None:
        """Give back what a placed pod used; nothing when it is over, as it did that then."""
        if pod.node is not None and not pod.over:
            host = self.nodes[pod.node]
            self.nodes[pod.node] = replace(host, used=host.used.minus(pod.resources))
            self.capacity_changed = True

    def drop_pod(self, key: str, grace: Micros = 0) -> None:
        """Remove a pod and give back what it used; with a grace it can be seen terminating so long."""
        pod = self.pods.pop(key)
        if pod.group in self.pods_of:
            self.pods_of[pod.group] = tuple(other for other in self.pods_of[pod.group] if other != key)
        if self._pods_by_namespace is not None:
            self._pods_by_namespace[pod.meta.namespace].pop(key, None)
        self._mark(pod)
        if pod.node is None:
            self.pending.remove(key)
        else:
            self.release(pod)
        if grace and pod.node is not None:
            meta = replace(pod.meta, resource_version=self.next_revision())
            self.terminating[key] = replace(
                pod,
                meta=meta,
                manifest=self.manifest_of(pod),
                deleted_at=self.now,
                ready_since=None,
                turned_at=self.now,
                timer=Timer.NONE,
            )
            self.push(self.now + grace, TERMINATED, key)
        else:
            self.bury("pods", pod.meta.namespace, pod.meta.name)

    def end_pod(self, key: str) -> None:
        """The last that is seen of a terminating pod."""
        pod = self.terminating.pop(key, None)
        if pod is not None:
            self.bury("pods", pod.meta.namespace, pod.meta.name)
            self.stir(pod.group)
            self.dirty.add(pod.meta.namespace)

    def pods_in(self, group: str) -> list[Pod]:
        return [self.pods[key] for key in self.pods_of.get(group, ())]

    def pods_within(self, namespace: str) -> list[Pod]:
        """Every pod of a namespace that is not terminating."""
        if self._pods_by_namespace is None:
            self._pods_by_namespace = {}
            for key, pod in self.pods.items():
                self._pods_by_namespace.setdefault(pod.meta.namespace, {})[key] = None
        return [self.pods[key] for key in self._pods_by_namespace.get(namespace, ())]

    def manifest_of(self, pod: Pod) -> Manifest:
        """The pod's own manifest, or its replica set's template."""
        if pod.manifest:
            return pod.manifest
        found: Manifest = self.replica_sets[pod.replica_set].manifest["spec"]["template"]
        return found

    # Workloads

    def put_replica_set(self, replica_set: ReplicaSet) -> None:
        key = replica_set.meta.key
        meta = replace(replica_set.meta, resource_version=self.next_revision())
        self.replica_sets[key] = replace(replica_set, meta=meta)
        if self._sets_by_group is not None:
            self._sets_by_group.setdefault(replica_set.group, {})[key] = None

    def drop_replica_set(self, key: str) -> None:
        gone = self.replica_sets.pop(key)
        if self._sets_by_group is not None:
            self._sets_by_group[gone.group].pop(key, None)
        self.bury("replicasets.apps", gone.meta.namespace, gone.meta.name)

    def replica_sets_of(self, group: str) -> list[ReplicaSet]:
        if self._sets_by_group is None:
            self._sets_by_group = {}
            for key, found in self.replica_sets.items():
                self._sets_by_group.setdefault(found.group, {})[key] = None
        return [self.replica_sets[key] for key in self._sets_by_group.get(group, ())]

    def active_failures(self, tenant_id: str) -> list[Failure]:
        return [f for f in self.failures.values() if f.active and f.tenant_id == tenant_id]
