"""Objects of the simulated cluster, shaped so that a Kubernetes API can serve them later.

CPU is in millicores, memory in bytes, GPUs in whole devices, instants in microseconds (see `times`).
Keys of namespaced objects are `namespace/name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ecpmon.simulator.model.times import Micros

LABEL_TENANT: Final = "ecp.ai/tenant"
LABEL_SERVICE: Final = "ecp.ai/service"
LABEL_TEMPLATE: Final = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Owner:
    """An ownerReference; the controller is always the owner here."""

    kind: str
    name: str
    uid: str


# A part of a Kubernetes object as plain JSON; never changed in place.
Manifest = Mapping[str, Any]


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
    # Where its kubelet listens; 0: nowhere, and the document says the usual port.
    port: int = 0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What a tenant asks for: `sessions` is the design peak of the whole service.

    `cpu_limit` in millicores is what one pod can use at most; 0: what it requests and no more.
    """

    name: str
    replicas: int
    resources: Resources
    sessions: int
    startup: Micros
    cpu_limit: int = 0

    @property
    def most_cpu(self) -> float:
        """What one pod can use, in percent of the CPU that it requests."""
        requested = self.resources.cpu_millicores
        return 100.0 * self.cpu_limit / requested if self.cpu_limit > requested > 0 else 100.0


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
