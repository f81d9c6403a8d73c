"""Objects of the simulated cluster, shaped so that a Kubernetes API can serve them later.

CPU is in millicores, memory in bytes, GPUs in whole devices, instants in microseconds (see `times`).
Keys of namespaced objects are `namespace/name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ecpmon.simulator.model.times import Micros

LABEL_TENANT: Final = "ecp.ai/tenant"
LABEL_SERVICE: Final = "ecp.ai/service"
LABEL_TEMPLATE: Final = "pod-template-hash"


# Words that stand in the place of a tenant in the paths of the REST interface.
RESERVED_TENANTS: Final = frozenset({"system", "types"})


def namespace_of(tenant_id: str) -> str:
    return f"ecp-ai-{tenant_id}"


class PodPhase(StrEnum):
    """What `kubectl get pods` shows as STATUS; CrashLoopBackOff is a waiting container of a running pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    CRASH_LOOP = "CrashLoopBackOff"


class Timer(StrEnum):
    """The one thing a pod waits for."""

    NONE = ""
    RUN = "pod:run"
    READY = "pod:ready"
    CRASH = "pod:crash"
    RESTART = "pod:restart"
    PULL = "pod:pull"


@dataclass(frozen=True, slots=True)
class Owner:
    """An ownerReference; the controller is always the owner here."""

    kind: str
    name: str
    uid: str


# A part of a Kubernetes object as plain JSON; never changed in place.
Manifest = Mapping[str, Any]


class Fault(StrEnum):
    """What is wrong with an image, as its tag says: `does-not-exist`, `crash` or `never-ready`."""

    NONE = ""
    PULL = "does-not-exist"
    CRASH = "crash"
    UNREADY = "never-ready"


@dataclass(frozen=True, slots=True)
class Meta:
    """Kubernetes' ObjectMeta, as far as it is modelled."""

    name: str
    namespace: str
    uid: str
    created_at: Micros
    resource_version: int
    generation: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resources:
    cpu_millicores: int = 0
    memory_bytes: int = 0
    gpu: int = 0

    def plus(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_millicores + other.cpu_millicores,
            self.memory_bytes + other.memory_bytes,
            self.gpu + other.gpu,
        )

    def minus(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_millicores - other.cpu_millicores,
            self.memory_bytes - other.memory_bytes,
            self.gpu - other.gpu,
        )


@dataclass(frozen=True, slots=True)
class Node:
    """`used` is the sum of the requests of the pods bound to the node, ready or not."""

    meta: Meta
    capacity: Resources
    used: Resources = field(default_factory=Resources)
    ready: bool = True
    manifest: Manifest = field(default_factory=dict)
    # Since when `ready` is what it is; None since the node was made.
    turned_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What a tenant asks for: `sessions` is the design peak of the whole service."""

    name: str
    replicas: int
    resources: Resources
    sessions: int
    startup: Micros


@dataclass(frozen=True, slots=True)
class Condition:
    """What a service's users and its metrics feel; constant between two events.

    `alive` pods run and pass their probe, `up` pods can be reached as well. Shares are in [0, 1].
    """

    desired: int = 0
    alive: int = 0
    up: int = 0
    cpu_spike: float = 0.0
    latency_ms: float = 0.0
    error_share: float = 0.0
    leak_from: Micros | None = None
    leak_period: Micros = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Cumulative requests and errors, exact up to `counted_to`."""

    counted_to: Micros
    requests: float = 0.0
    errors: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkloadCondition:
    """An entry of a workload's `status.conditions`."""

    type: str
    status: str
    reason: str
    message: str
    changed_at: Micros
    updated_at: Micros


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """Counts of the pods that a workload owns, and what follows from them."""

    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    observed_generation: int = 0
    conditions: tuple[WorkloadCondition, ...] = ()

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.replicas, self.updated, self.ready, self.available


@dataclass(frozen=True, slots=True)
class Deployment:
    """`pod_sessions` is what one pod serves at full utilisation; it stays when replicas are changed.

    `manifest` is the object without what the server alone writes. `tenant_id` is empty for a deployment
    that is nobody's; `spec.name` is its service then all the same.
    """

    meta: Meta
    tenant_id: str
    spec: ServiceSpec
    template_hash: str
    revision: int
    pod_sessions: float
    traffic: Traffic
    condition: Condition = field(default_factory=Condition)
    # A service that never had a reachable pod is being created: it is not down.
    counted: bool = False
    manifest: Manifest = field(default_factory=dict)
    status: WorkloadStatus = field(default_factory=WorkloadStatus)
    progressed_at: Micros = 0
    silenced: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """`replicas` pods exist, `desired` are wanted. `deployment` is empty for one that nobody owns."""

    meta: Meta
    deployment: str
    template_hash: str
    resources: Resources
    replicas: int
    revision: int
    manifest: Manifest = field(default_factory=dict)
    desired: int = 0
    ready: int = 0
    available: int = 0
    refused: str = ""
    refused_at: Micros = 0

    @property
    def group(self) -> str:
        return self.deployment or group_of(self.meta.key)


def group_of(replica_set: str) -> str:
    """Under which key `pods_of` holds the pods of a replica set without a deployment."""
    return f"replicasets/{replica_set}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A container's last run, `[start, end)`."""

    start: Micros
    end: Micros
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Pod:
    """`ready` is the probe's answer; failures that cut off a whole service lie above it (`silenced`).

    `manifest` is empty for a pod that is exactly its replica set's template. `deployment` and `replica_set`
    are keys, empty for a pod that nobody controls.
    """

    meta: Meta
    tenant_id: str
    service: str
    deployment: str
    replica_set: str
    resources: Resources
    phase: PodPhase = PodPhase.PENDING
    reason: str = "Scheduling"
    message: str = ""
    node: str | None = None
    started_at: Micros | None = None
    ready_since: Micros | None = None
    restarts: int = 0
    backoff_step: int = 0
    timer: Timer = Timer.NONE
    timer_due: Micros = 0
    manifest: Manifest = field(default_factory=dict)
    startup: Micros = 0
    fault: Fault = Fault.NONE
    address: int = 0
    bound_at: Micros | None = None
    turned_at: Micros | None = None
    silenced: bool = False
    ended: Ended | None = None
    deleted_at: Micros | None = None

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    @property
    def serving(self) -> bool:
        """The Ready condition of the Kubernetes object."""
        return self.ready_since is not None and not self.silenced

    @property
    def group(self) -> str:
        """The key of `pods_of` that holds this pod."""
        return self.deployment or (group_of(self.replica_set) if self.replica_set else "")


@dataclass(frozen=True, slots=True)
class Happening:
    """A Kubernetes Event: something about an object, counted when it repeats."""

    resource_version: int
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool
    component: str
    first: Micros
    last: Micros
    count: int = 1


@dataclass(frozen=True, slots=True)
class ExternalMetrics:
    """Numbers somebody posted about a tenant; shown beside the simulator's own."""

    received_at: Micros
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PastRecord:
    """The written history of a tenant: `[start, end)`, for the services as they were when it was written."""

    start: Micros
    end: Micros
    services: tuple[ServiceSpec, ...]


@dataclass(frozen=True, slots=True)
class Tenant:
    """`truth` holds the transitions `(since, up)` of the live time, strictly increasing and alternating."""

    tenant_id: str
    ordinal: int
    created_at: Micros
    services: tuple[str, ...]
    # Services whose deployment has another name.
    aliases: Mapping[str, str] = field(default_factory=dict)
    truth: tuple[tuple[Micros, bool], ...] = ()
    past: PastRecord | None = None
    external: Mapping[str, ExternalMetrics] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return namespace_of(self.tenant_id)

    def key_of(self, service: str) -> str:
        """The key of the deployment that runs `service`."""
        return f"{self.namespace}/{self.aliases.get(service, service)}"

    @property
    def ready(self) -> bool | None:
        """None until the tenant was ready for the first time."""
        return self.truth[-1][1] if self.truth else None
