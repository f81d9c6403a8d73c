"""What a preset leaves beside the planned pods, and who gets it. Pure.

The quota is what was bought, so it never gives: the autoscalers' maxima do. First the room for one pod is set aside, so
that services of a single pod can be rolled out without an interruption where that is possible at all; then the
services take turns, a pod each, until nothing fits or a service has twice its planned pods.

Invariants, for any plan: every pod at the maxima together fits the quota; so does one more pod of any service with
`surge`. GPUs count as containers ask for them, whole devices each, against what the ResourceQuota grants (`gpu_quota`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ecpmon.orchestrator.catalogue import PresetSpec
from ecpmon.orchestrator.plans import ServicePlan

# Millicores, MiB, devices, GB.
Amounts = tuple[int, int, int, int]


def gpu_quota(granted: int, services: Sequence[ServicePlan]) -> int:
    """Devices that the quota admits: shared ones are asked for whole, so their sum may exceed the grant."""
    return max(granted, sum(s.gpu * s.replicas for s in services))


def share_room(services: tuple[ServicePlan, ...], preset: PresetSpec) -> tuple[ServicePlan, ...]:
    """The same services with their maxima and surges."""
    granted = (preset.cpu, preset.memory, gpu_quota(preset.gpu, services), preset.storage)
    left = _minus(granted, *(pod_of(s) for s in services for _ in range(s.replicas)))
    rolled = {s.service_name: _rolled(s) for s in services if s.replicas == 1 and not s.spec.stateful}
    surging = {name: pod for name, pod in rolled.items() if _fits(pod, left)}
    maxima = _take_turns(services, _minus(left, _largest(surging.values())))
    return tuple(
        s.model_copy(update={"max_replicas": maxima[s.service_name], "surge": s.service_name in surging})
        for s in services
    )


def room_reasons(services: Sequence[ServicePlan], preset: str) -> Iterator[str]:
    """Which of quota and maxima gives, in words."""
    grown = [f"{s.service_name} to {s.max_replicas}" for s in services if s.max_replicas > s.replicas]
    held = [s.service_name for s in services if not s.spec.stateful and s.max_replicas < 2 * s.replicas]
    said = f"autoscaling: the quota stays what {preset} grants"
    if held:
        said += f", so the maxima give: {', '.join(held)} cannot double"
    yield f"{said}; all pods at their maxima fit it together ({', '.join(grown) or 'nobody may grow'})"
    stopped = [s.service_name for s in services if s.replicas == 1 and not s.surge and not s.spec.stateful]
    if stopped:
        yield (
            f"rollouts: beside the maxima there is no room for a second pod of {', '.join(stopped)}: "
            "its pod ends before its successor begins"
        )


def pod_of(service: ServicePlan) -> Amounts:
    """What one pod of a service takes of the quota, its GPUs as whole devices."""
    needs, count = service.needs, service.replicas
    return (needs.cpu_millicores // count, needs.memory_mib // count, service.gpu, service.storage_gb)


def _rolled(service: ServicePlan) -> Amounts:
    """What a second pod takes while the first goes: storage is the node's, and no quota counts it."""
    cpu, memory, gpu, _ = pod_of(service)
    return cpu, memory, gpu, 0


def _largest(pods: Collection[Amounts]) -> Amounts:
    """Room for any one of them."""
    cpu, memory, gpu, storage = (max((pod[i] for pod in pods), default=0) for i in range(4))
    return cpu, memory, gpu, storage


def _take_turns(services: Sequence[ServicePlan], left: Amounts) -> dict[str, int]:
    maxima = {s.service_name: s.replicas for s in services}
    growing = [s for s in services if not s.spec.stateful]
    while growing:
        still = []
        for service in growing:
            pod = pod_of(service)
            if maxima[service.service_name] < 2 * service.replicas and _fits(pod, left):
                maxima[service.service_name] += 1
                left = _minus(left, pod)
                still.append(service)
        growing = still
    return maxima


def _fits(pod: Amounts, left: Amounts) -> bool:
    """What a pod does not ask for may be used up."""
    return all(asked <= free for asked, free in zip(pod, left, strict=True) if asked)


def _minus(left: Amounts, *taken: Amounts) -> Amounts:
    cpu, memory, gpu, storage = left
    for one in taken:
        cpu, memory, gpu, storage = cpu - one[0], memory - one[1], gpu - one[2], storage - one[3]
    return cpu, memory, gpu, storage
