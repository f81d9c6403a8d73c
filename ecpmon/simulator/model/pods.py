"""Pods of the simulated cluster, and what each of them waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ecpmon.simulator.model.objects import Manifest, Meta, Resources, group_of
from ecpmon.simulator.model.times import Micros


class PodPhase(StrEnum):
    """What `kubectl get pods` shows as STATUS; CrashLoopBackOff is a waiting container of a running pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    CRASH_LOOP = "CrashLoopBackOff"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Timer(StrEnum):
    """The one thing a pod waits for."""

    NONE = ""
    RUN = "pod:run"
    READY = "pod:ready"
    CRASH = "pod:crash"
    RESTART = "pod:restart"
    PULL = "pod:pull"
    FINISH = "pod:finish"


class Fault(StrEnum):
    """What is wrong with an image, as its tag says: `does-not-exist`, `crash` or `never-ready`."""

    NONE = ""
    PULL = "does-not-exist"
    CRASH = "crash"
    UNREADY = "never-ready"


# Reason of a pod that is not to be placed yet.
GATED: Final = "SchedulingGated"


@dataclass(frozen=True, slots=True)
class Ended:
    """A container's last run, `[start, end)`."""

    start: Micros
    end: Micros
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Resize:
    """New resources that are not in effect yet: what each container still has, InProgress, Deferred or Infeasible
    since when, and why."""

    allotted: Manifest
    state: str
    message: str
    since: Micros


@dataclass(frozen=True, slots=True)
class Pod:
    """`ready` is the probe's answer; failures that cut off a whole service lie above it (`silenced`).

    `manifest` is empty for a pod that is exactly its replica set's template. `deployment` and `replica_set`
    are keys, empty for a pod that neither controls; `controller` is the group of another controller's pods
    (`workloads.group_of`). `task` is how long the container of a pod runs that is not to run for ever, else 0.
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
    controller: str = ""
    task: Micros = 0
    resize: Resize | None = None

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
        return self.deployment or (group_of(self.replica_set) if self.replica_set else self.controller)

    @property
    def over(self) -> bool:
        """It has run to its end, well or not: it is still there, and uses nothing."""
        return self.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)
