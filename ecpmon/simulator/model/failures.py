"""The failure catalogue: what can go wrong, what it does and what its severity means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecpmon.simulator.model.times import MINUTE, SECOND, Micros


class FailureType(StrEnum):
    CPU_SPIKE = "cpu_spike"
    MEMORY_LEAK = "memory_leak"
    POD_CRASH = "pod_crash"
    NETWORK_LATENCY = "network_latency"
    NETWORK_PARTITION = "network_partition"
    NODE_DOWN = "node_down"
    GPU_FAILURE = "gpu_failure"
    ERROR_BURST = "error_burst"
    FULL_OUTAGE = "full_outage"


class Reach(StrEnum):
    """How far a failure goes, and how far who orders it may go: into its own tenant, or into what tenants share."""

    TENANT = "tenant"
    CLUSTER = "cluster"

    def allows(self, other: Reach) -> bool:
        return self is Reach.CLUSTER or other is Reach.TENANT


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One line of the catalogue. `outage` says whether it can make a tenant not ready."""

    description: str
    severity_means: str
    default_duration: Micros
    default_severity: float
    outage: str
    reach: Reach = Reach.TENANT


@dataclass(frozen=True, slots=True)
class Failure:
    """A scheduled or running failure of a tenant, `[start, end)`; its victims are chosen when it starts."""

    failure_id: str
    tenant_id: str
    failure_type: FailureType
    severity: float
    start: Micros
    end: Micros
    target_service: str | None = None
    active: bool = False
    pods: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    leak_from: Micros = 0

    @property
    def reach(self) -> Reach:
        return CATALOGUE[self.failure_type].reach


TOLERATION: Final[Micros] = 30 * SECOND  # pods of a dead node are replaced after this
LEAK_PERIOD: Final[Micros] = 10 * MINUTE  # a leak of severity 1 fills the memory in this time
# However slight it is: an instant that no journal can hold is none.
LONGEST_LEAK: Final[Micros] = 100 * 366 * 24 * 60 * MINUTE
ADDED_LATENCY_MS: Final = 1000.0  # network_latency of severity 1

CATALOGUE: Final[Mapping[FailureType, FailureKind]] = {
    FailureType.CPU_SPIKE: FailureKind(
        "other work takes the CPU of the pods: CPU % and latency rise",
        "share of the idle CPU that is taken",
        5 * MINUTE,
        0.8,
        "never",
    ),
    FailureType.MEMORY_LEAK: FailureKind(
        "memory fills up linearly within 10 min / severity, then one pod per service is OOM-killed and it "
        "starts again; the last ready pod of a service is never killed, its memory stays full",
        "speed of the leak",
        30 * MINUTE,
        0.5,
        "never",
    ),
    FailureType.POD_CRASH: FailureKind(
        "pods crash into CrashLoopBackOff; at the end they start again and need their start-up time",
        "share of each service's pods; below 1 at least one ready pod of several stays",
        2 * MINUTE,
        0.5,
        "when a service has no other ready pod, or at severity 1",
    ),
    FailureType.NETWORK_LATENCY: FailureKind(
        "every answer takes longer", "part of 1000 ms that is added", 5 * MINUTE, 0.5, "never"
    ),
    FailureType.NETWORK_PARTITION: FailureKind(
        "pods run and are ready but cannot be reached; over at once at the end",
        "share of the services, at least one",
        2 * MINUTE,
        0.5,
        "always",
    ),
    FailureType.NODE_DOWN: FailureKind(
        "the nodes with most of the tenant's pods die, with the pods of every tenant on them; pods are "
        "replaced on other nodes after 30 s, or start again when the node returns earlier",
        "share of the nodes that carry the tenant, at least one",
        5 * MINUTE,
        0.1,
        "when all ready pods of a service were on those nodes",
        Reach.CLUSTER,
    ),
    FailureType.GPU_FAILURE: FailureKind(
        "GPU pods crash and cannot start until the end; without GPU pods nothing happens",
        "share of each service's GPU pods, at least one",
        5 * MINUTE,
        1.0,
        "when a service loses all its pods",
    ),
    FailureType.ERROR_BURST: FailureKind(
        "requests fail although the pods are ready",
        "share of the requests that fail",
        2 * MINUTE,
        0.3,
        "never",
    ),
    FailureType.FULL_OUTAGE: FailureKind(
        "every pod of the tenant (or of the target service) stops serving at once and serves again exactly "
        "at the end, without start-up time",
        "ignored: a full outage is always full",
        2 * MINUTE,
        1.0,
        "always",
    ),
}


def leak_period(severity: float) -> Micros:
    """Time a leak needs to fill the memory."""
    return round(min(LEAK_PERIOD / severity, LONGEST_LEAK))
