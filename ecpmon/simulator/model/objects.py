"""Objects of the simulated cluster, shaped so that a Kubernetes API can serve them later.

CPU is in millicores, memory in bytes, GPUs in whole devices, instants in microseconds (see `times`).
Keys of namespaced objects are `namespace/name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ecpmon.simulator.model.times import Micros

LABEL_TENANT: Final = "ecp.ai/tenant"
LABEL_SERVICE: Final = "ecp.ai/service"
LABEL_TEMPLATE: Final = "pod-template-hash"


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


@dataclass(frozen=True, slots=True)
class Owner:
    """An ownerReference; the controller is always the owner here."""

    kind: str
    name: str
    uid: str


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
class Deployment:
    """`pod_sessions` is what one pod serves at full utilisation; it stays when replicas are changed."""

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


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    meta: Meta
    deployment: str
    template_hash: str
    resources: Resources
    replicas: int
    revision: int


@dataclass(frozen=True, slots=True)
class Pod:
    """`ready` is the probe's answer; failures that cut off a whole service lie above it (`Condition`)."""

    meta: Meta
    tenant_id: str
    service: str
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

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    @property
    def deployment(self) -> str:
        return f"{self.meta.namespace}/{self.service}"


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
    truth: tuple[tuple[Micros, bool], ...] = ()
    past: PastRecord | None = None
    external: Mapping[str, ExternalMetrics] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return namespace_of(self.tenant_id)

    @property
    def ready(self) -> bool | None:
        """None until the tenant was ready for the first time."""
        return self.truth[-1][1] if self.truth else None
