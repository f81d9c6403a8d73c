"""What a failure does when it starts, while it lasts and when it ends."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from ecpmon.simulator.model import happenings
from ecpmon.simulator.model.failures import ADDED_LATENCY_MS, TOLERATION, Failure, FailureType, leak_period
from ecpmon.simulator.model.hashing import unit
from ecpmon.simulator.model.lifecycle import crash, doomed_by, launch, lose, on_restart, startup_of, strikes
from ecpmon.simulator.model.objects import Condition, Deployment
from ecpmon.simulator.model.pods import Pod, PodPhase, Timer
from ecpmon.simulator.model.state import Draft

START, END, EVICT, OOM = "failure:start", "failure:end", "failure:evict", "failure:oom"


def start_failure(draft: Draft, failure: Failure) -> None:
    """Choose the victims now, and let the effect begin."""
    failure = replace(failure, active=True, leak_from=draft.now)
    if failure.failure_type in (FailureType.POD_CRASH, FailureType.GPU_FAILURE):
        failure = replace(failure, pods=_crash_victims(draft, failure))
    elif failure.failure_type is FailureType.NETWORK_PARTITION:
        failure = replace(failure, services=_partitioned(draft, failure))
    elif failure.failure_type is FailureType.NODE_DOWN:
        failure = replace(failure, nodes=_doomed_nodes(draft, failure))
        draft.push(draft.now + TOLERATION, EVICT, failure.failure_id)
    elif failure.failure_type is FailureType.MEMORY_LEAK:
        draft.push(draft.now + leak_period(failure.severity), OOM, failure.failure_id)
    draft.failures[failure.failure_id] = failure
    draft.touched.add(failure.tenant_id)
    for key in failure.pods:
        crash(draft, draft.pods[key], failure.failure_type)
    for name in failure.nodes:
        _turn(draft, name, ready=False)
        for pod in _pods_on(draft, name):
            lose(draft, pod)


def end_failure(draft: Draft, failure: Failure) -> None:
    """Forget the failure and let recover what it had broken."""
    del draft.failures[failure.failure_id]
    draft.touched.add(failure.tenant_id)
    for name in failure.nodes:
        _turn(draft, name, ready=True)
        draft.capacity_changed = True
        for pod in _pods_on(draft, name):
            on_restart(draft, pod)
    for pod in _targets(draft, failure):
        if failure.pods and (pod.meta.key in failure.pods or strikes(failure, pod)):
            _revive(draft, pod)


def _turn(draft: Draft, name: str, *, ready: bool) -> None:
    """A node dies or returns; one that was deleted meanwhile does neither."""
    node = draft.nodes.get(name)
    if node is None:
        return
    meta = replace(node.meta, resource_version=draft.next_revision())
    draft.nodes[name] = replace(node, meta=meta, ready=ready, turned_at=draft.now)
    reason = "NodeReady" if ready else "NodeNotReady"
    message = f"Node {name} status is now: {reason}"
    happenings.record(draft, "Node", meta, reason, message, component="node-controller")


def evict(draft: Draft, failure: Failure) -> None:
    """The dead nodes' pods have been tolerated long enough: replace them elsewhere."""
    for name in failure.nodes:
        for pod in _pods_on(draft, name):
            draft.drop_pod(pod.meta.key)


def kill_leaking(draft: Draft, failure: Failure) -> None:
    """OOM-kill one pod per service that has another one; the leak starts over where that happened."""
    killed = False
    for deployment in _services(draft, failure):
        ready = [p for p in draft.pods_in(deployment.meta.key) if p.ready]
        if len(ready) >= 2:
            victim = min(ready, key=lambda p: unit(draft.seed, failure.failure_id, draft.now, p.meta.key))
            crash(draft, victim, "OOMKilled")
            killed = True
    if killed:
        draft.failures[failure.failure_id] = replace(failure, leak_from=draft.now)
    draft.touched.add(failure.tenant_id)
    draft.push(draft.now + leak_period(failure.severity), OOM, failure.failure_id)


def condition_of(draft: Draft, deployment: Deployment) -> Condition:
    """The service's condition from its pods and the failures that hold now."""
    alive = sum(p.ready for p in draft.pods_in(deployment.meta.key))
    cut_off = silenced = False
    condition = Condition(desired=deployment.spec.replicas)
    for failure in draft.active_failures(deployment.tenant_id):
        if not _concerns(failure, deployment.spec.name):
            continue
        if failure.failure_type is FailureType.FULL_OUTAGE:
            silenced = True
        elif failure.failure_type is FailureType.NETWORK_PARTITION:
            cut_off = True
        else:
            condition = _degrade(condition, failure)
    if silenced:
        alive = 0
    return replace(condition, alive=alive, up=0 if cut_off else alive)


def silences(draft: Draft, deployment: Deployment) -> bool:
    """Whether a full outage keeps the probes of the whole service from passing."""
    return any(
        failure.failure_type is FailureType.FULL_OUTAGE and _concerns(failure, deployment.spec.name)
        for failure in draft.active_failures(deployment.tenant_id)
    )


def _degrade(condition: Condition, failure: Failure) -> Condition:
    kind, severity = failure.failure_type, failure.severity
    if kind is FailureType.CPU_SPIKE:
        return replace(condition, cpu_spike=max(condition.cpu_spike, severity))
    if kind is FailureType.NETWORK_LATENCY:
        return replace(condition, latency_ms=condition.latency_ms + severity * ADDED_LATENCY_MS)
    if kind is FailureType.ERROR_BURST:
        passing = (1 - condition.error_share) * (1 - severity)
        return replace(condition, error_share=1 - passing)
    if kind is FailureType.MEMORY_LEAK:
        return replace(condition, leak_from=failure.leak_from, leak_period=leak_period(severity))
    return condition


def _concerns(failure: Failure, service: str) -> bool:
    if failure.failure_type is FailureType.NETWORK_PARTITION:
        return service in failure.services
    return failure.target_service in (None, service)


def _services(draft: Draft, failure: Failure) -> list[Deployment]:
    tenant = draft.tenants[failure.tenant_id]
    names = [name for name in tenant.services if failure.target_service in (None, name)]
    return [draft.deployments[tenant.key_of(name)] for name in names]


def _targets(draft: Draft, failure: Failure) -> list[Pod]:
    """The placed pods on living nodes of the services the failure is about."""
    pods = [p for d in _services(draft, failure) for p in draft.pods_in(d.meta.key)]
    return [p for p in pods if p.node is not None and draft.nodes[p.node].ready]


def _crash_victims(draft: Draft, failure: Failure) -> tuple[str, ...]:
    victims: list[str] = []
    for deployment in _services(draft, failure):
        pods = [p for p in _targets(draft, failure) if p.deployment == deployment.meta.key]
        pods = [p for p in pods if strikes(failure, p)]
        if failure.severity < 1:
            victims += _some_ready(draft, failure, pods)
        else:
            victims += [p.meta.key for p in pods]
    return tuple(victims)


def _some_ready(draft: Draft, failure: Failure, pods: list[Pod]) -> list[str]:
    """About `severity` of the ready pods, one at least; a pod_crash spares the last ready one of several."""
    ready = [p.meta.key for p in pods if p.ready]
    count = max(1, round(failure.severity * len(ready)))
    if failure.failure_type is FailureType.POD_CRASH and len(pods) > 1:
        count = min(count, len(ready) - 1)
    return sorted(ready, key=lambda key: unit(draft.seed, failure.failure_id, key))[: max(0, count)]


def _partitioned(draft: Draft, failure: Failure) -> tuple[str, ...]:
    names = [d.spec.name for d in _services(draft, failure) if d.spec.replicas > 0]
    names.sort(key=lambda name: unit(draft.seed, failure.failure_id, name))
    return tuple(names[: ceil(failure.severity * len(names))])


def _doomed_nodes(draft: Draft, failure: Failure) -> tuple[str, ...]:
    """The living nodes that carry most of the tenant's pods."""
    carried: dict[str, int] = {}
    for pod in _targets(draft, failure):
        carried[str(pod.node)] = carried.get(str(pod.node), 0) + 1
    order = sorted(carried, key=lambda name: (-carried[name], name))
    return tuple(order[: max(1, int(failure.severity * len(order)))])


def _pods_on(draft: Draft, node: str) -> list[Pod]:
    return [p for p in draft.pods.values() if p.node == node and not p.over]


def _revive(draft: Draft, pod: Pod) -> None:
    """Nothing holds the pod down any more: it starts again now and needs its start-up time."""
    if doomed_by(draft, pod) is not None:
        return
    if pod.phase is PodPhase.CRASH_LOOP:
        on_restart(draft, pod)
    elif pod.timer is Timer.CRASH:
        launch(draft, pod, startup_of(draft, pod))
