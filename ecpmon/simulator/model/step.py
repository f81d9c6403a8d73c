"""Time: `step` runs every transition that is due, at its exact instant, and nothing else."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ecpmon.simulator.model import (
    autoscaling,
    claims,
    definitions,
    effects,
    lifecycle,
    namespaces,
    removal,
    resizing,
    workloads,
)
from ecpmon.simulator.model.controllers import STIR, reconcile_group
from ecpmon.simulator.model.followers import follow
from ecpmon.simulator.model.objects import Deployment
from ecpmon.simulator.model.pods import Timer
from ecpmon.simulator.model.rollout import observe_group
from ecpmon.simulator.model.scheduler import schedule_pending
from ecpmon.simulator.model.state import CHECKPOINT, TERMINATED, ClusterState, Draft, Event
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import HOUR, Micros
from ecpmon.simulator.model.traffic import traffic_at
from ecpmon.simulator.model.truth import record

_POD_HANDLERS = {
    Timer.RUN: lifecycle.on_run,
    Timer.READY: lifecycle.on_ready,
    Timer.CRASH: lifecycle.on_crash,
    Timer.RESTART: lifecycle.on_restart,
    Timer.PULL: lifecycle.on_pull_failed,
    Timer.FINISH: lifecycle.on_finish,
}
# What is about one object and looks for itself whether that is still there.
_KEY_HANDLERS: Final[dict[str, Callable[[Draft, str], None]]] = {
    autoscaling.TICK: autoscaling.on_tick,
    namespaces.CLOSE: namespaces.on_close,
    removal.COLLECT: removal.on_collect,
    resizing.APPLIED: resizing.on_applied,
    resizing.RETRY: resizing.on_retry,
}


def step(state: ClusterState, dt: Micros) -> ClusterState:
    """The cluster `dt` microseconds later. Any split of `dt` gives the same truth.

    Raises ValueError when `dt` is negative: time does not run backwards.
    """
    if dt < 0:
        raise ValueError("time does not run backwards")
    target = state.now + dt
    due = state.next_due()
    if due is None or due > target:
        return replace(state, now=target)
    draft = Draft(state)
    _run_until(draft, target)
    return draft.freeze(target)


def finish(draft: Draft) -> ClusterState:
    """The state after a command: consequences of this very instant are part of it."""
    settle(draft)
    _run_until(draft, draft.now)
    return draft.freeze(draft.now)


def settle(draft: Draft) -> None:
    """After everything that happens in one instant: roll, place, and write down what it means."""
    _act(draft)
    for group in sorted(draft.stirred):
        (workloads.observe if workloads.is_group(group) else observe_group)(draft, group)
        deployment = draft.deployments.get(group)
        if deployment is not None and not deployment.tenant_id:
            draft.deployments[group] = _refreshed(draft, deployment)
    for tenant_id in sorted(draft.touched):
        if tenant_id in draft.tenants:
            _refresh(draft, draft.tenants[tenant_id])
    if draft.dirty:
        definitions.follow(draft)
    for namespace in sorted(draft.dirty):
        follow(draft, namespace)
        namespaces.hasten(draft, namespace)
    for forgotten in (draft.touched, draft.stirred, draft.dirty):
        forgotten.clear()


def _act(draft: Draft) -> None:
    """What the controllers and the scheduler do about it."""
    for namespace in sorted(draft.dirty):
        claims.follow(draft, namespace)
    for tenant_id in sorted(draft.touched):
        _silence(draft, tenant_id)
    for group in sorted(draft.stirred):
        (workloads.reconcile if workloads.is_group(group) else reconcile_group)(draft, group)
    if draft.capacity_changed and draft.pending:
        schedule_pending(draft)
    draft.capacity_changed = False


def _silence(draft: Draft, tenant_id: str) -> None:
    """A full outage shows in every pod of the services that it is about, from its start to its end."""
    for deployment in _deployments(draft, tenant_id):
        silenced = effects.silences(draft, deployment)
        if silenced == deployment.silenced:
            continue
        draft.deployments[deployment.meta.key] = replace(deployment, silenced=silenced)
        for pod in draft.pods_in(deployment.meta.key):
            draft.put_pod(replace(pod, silenced=silenced))


def _run_until(draft: Draft, target: Micros) -> None:
    while draft.events and draft.events[0][0] <= target:
        draft.now = draft.events[0][0]
        while draft.events and draft.events[0][0] == draft.now:
            _handle(draft, heapq.heappop(draft.events))
        settle(draft)
    draft.now = target


def _handle(draft: Draft, event: Event) -> None:
    """Run one event, unless what it was made for has changed since."""
    due, _, kind, key = event
    if kind == CHECKPOINT:
        _checkpoint(draft)
    elif kind == STIR:
        draft.stir(key)
        own = workloads.key_of(key).namespace if workloads.is_group(key) else ""
        draft.dirty.add(own or key.removeprefix("replicasets/").split("/", 1)[0])
    elif kind == claims.LOOK:
        draft.dirty.add(key)
    elif kind in _KEY_HANDLERS:
        _KEY_HANDLERS[kind](draft, key)
    elif kind == TERMINATED:
        draft.end_pod(key)
    elif kind.startswith("pod:"):
        pod = draft.pods.get(key)
        if pod is not None and pod.timer == kind and pod.timer_due == due:
            _POD_HANDLERS[pod.timer](draft, replace(pod, timer=Timer.NONE))
    else:
        _handle_failure(draft, kind, key)


def _handle_failure(draft: Draft, kind: str, failure_id: str) -> None:
    failure = draft.failures.get(failure_id)
    if failure is None:
        return
    if kind == effects.START and not failure.active:
        effects.start_failure(draft, failure)
    elif kind == effects.END:
        effects.end_failure(draft, failure)
    elif kind == effects.EVICT:
        effects.evict(draft, failure)
    elif kind == effects.OOM:
        effects.kill_leaking(draft, failure)


def _checkpoint(draft: Draft) -> None:
    """Once an hour the counters are brought forward, so that reading them stays cheap."""
    for deployment in draft.deployments.values():
        traffic = traffic_at(draft.seed, deployment, draft.now)
        draft.deployments[deployment.meta.key] = replace(deployment, traffic=traffic)
    draft.push(draft.now + HOUR, CHECKPOINT, "")


def _refresh(draft: Draft, tenant: Tenant) -> None:
    """Recompute every service's condition and the tenant's truth at this instant."""
    deployments = [_refreshed(draft, d) for d in _deployments(draft, tenant.tenant_id)]
    for deployment in deployments:
        draft.deployments[deployment.meta.key] = deployment
    wanted = [d for d in deployments if d.spec.replicas > 0]
    # Scaled to nothing on purpose is not an outage: nobody was promised a pod.
    if tenant.truth:
        up = all(d.condition.up > 0 for d in wanted if d.counted)
    else:
        up = bool(wanted) and all(d.condition.up > 0 for d in wanted)
    truth = record(tenant.truth, draft.now, up)
    if truth != tenant.truth:
        draft.tenants[tenant.tenant_id] = replace(tenant, truth=truth)


def _refreshed(draft: Draft, deployment: Deployment) -> Deployment:
    condition = effects.condition_of(draft, deployment)
    counted = deployment.spec.replicas > 0 and (deployment.counted or condition.up > 0)
    if condition == deployment.condition and counted == deployment.counted:
        return deployment
    traffic = traffic_at(draft.seed, deployment, draft.now)
    return replace(deployment, condition=condition, counted=counted, traffic=traffic)


def _deployments(draft: Draft, tenant_id: str) -> list[Deployment]:
    tenant = draft.tenants.get(tenant_id)
    if tenant is None:
        return []
    return [draft.deployments[tenant.key_of(name)] for name in tenant.services]
