"""Pods that get more or less CPU and memory while they run.

A node that has room gives it at once, and has applied it APPLYING later; one that is full now puts it off; one that
never has so much says so. Until then the pod has what it had (`Resize.allotted`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model.lifecycle import launch, startup_of, tell
from ecpmon.simulator.model.objects import Manifest, Node, Resources
from ecpmon.simulator.model.pods import Ended, Pod, PodPhase, Resize
from ecpmon.simulator.model.quantities import requests_of
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros

APPLIED: Final = "resize:applied"
RETRY: Final = "resize:retry"
_APPLYING: Final[Micros] = SECOND
_AGAIN: Final[Micros] = 10 * SECOND
IN_PROGRESS: Final = "InProgress"
DEFERRED: Final = "Deferred"
INFEASIBLE: Final = "Infeasible"


def begin(draft: Draft, pod: Pod, manifest: Manifest) -> None:
    """The pod is to have what `manifest` says."""
    had = pod.resize.allotted if pod.resize else _resources(draft.manifest_of(pod)["spec"])
    pod = replace(pod, manifest=manifest)
    if pod.node is None:
        draft.put_pod(replace(pod, resources=requests_of(manifest["spec"])))
        draft.capacity_changed = True
    else:
        _try(draft, replace(pod, resize=Resize(had, DEFERRED, "", draft.now)), pod.node)


def _resources(spec: Manifest) -> Manifest:
    return {c["name"]: c.get("resources") or {} for c in spec.get("containers") or ()}


def _try(draft: Draft, pod: Pod, name: str) -> None:
    node, wanted = draft.nodes[name], requests_of(pod.manifest["spec"])
    free = node.used.minus(pod.resources)
    never, not_now = _short(wanted, Resources(), node), _short(wanted, free, node)
    if not not_now:
        draft.nodes[name] = replace(node, used=free.plus(wanted))
        draft.capacity_changed = True
        pod = replace(pod, resources=wanted, resize=_turned(draft, pod, IN_PROGRESS, ""))
        draft.push(draft.now + _APPLYING, APPLIED, pod.meta.key)
    else:
        state = INFEASIBLE if never else DEFERRED
        pod = replace(pod, resize=_turned(draft, pod, state, never or not_now))
        if not never:
            draft.push(draft.now + _AGAIN, RETRY, pod.meta.key)
        tell(draft, pod, f"Resize{state}", never or not_now, warning=True)
    draft.put_pod(pod)


def _turned(draft: Draft, pod: Pod, state: str, message: str) -> Resize:
    before = pod.resize or Resize({}, "", "", draft.now)
    since = before.since if before.state == state else draft.now
    return Resize(before.allotted, state, message, since)


def _short(wanted: Resources, used: Resources, node: Node) -> str:
    """What the node has too little of, in the kubelet's words; empty when it has enough."""
    for name, asked, taken, has in (
        ("cpu", wanted.cpu_millicores, used.cpu_millicores, node.capacity.cpu_millicores),
        ("memory", wanted.memory_bytes, used.memory_bytes, node.capacity.memory_bytes),
    ):
        if asked > has:
            return f"Node didn't have enough capacity: {name}, requested: {asked}, capacity: {has}"
        if asked + taken > has:
            return f"Node didn't have enough resource: {name}, requested: {asked}, used: {taken}, capacity: {has}"
    return ""


def on_retry(draft: Draft, key: str) -> None:
    """A node that was full may have room now."""
    pod = draft.pods.get(key)
    if pod is not None and pod.node is not None and pod.resize and pod.resize.state == DEFERRED:
        _try(draft, pod, pod.node)


def on_applied(draft: Draft, key: str) -> None:
    """The containers have what they were given; those whose policy says so are started again for it."""
    pod = draft.pods.get(key)
    if pod is None or not pod.resize or pod.resize.state != IN_PROGRESS:
        return
    if draft.now - pod.resize.since < _APPLYING:  # of an earlier one, which this has taken the place of
        return
    restarts = _restarts(pod.resize.allotted, pod.manifest["spec"])
    pod = replace(pod, resize=None)
    tell(draft, pod, "ResizeCompleted", "Pod resize completed")
    if restarts and pod.phase is PodPhase.RUNNING and pod.started_at is not None:
        ended = Ended(pod.started_at, draft.now, "Error", 137)
        pod = replace(pod, restarts=pod.restarts + 1, ended=ended)
        launch(draft, pod, startup_of(draft, pod))
    else:
        draft.put_pod(pod)


def _restarts(before: Manifest, spec: Manifest) -> bool:
    for container in spec.get("containers") or ():
        changed = _changed(before.get(container["name"]) or {}, container.get("resources") or {})
        for policy in container.get("resizePolicy") or ():
            if policy.get("restartPolicy") == "RestartContainer" and policy.get("resourceName") in changed:
                return True
    return False


def _changed(before: Manifest, after: Manifest) -> set[str]:
    found = set()
    for what in ("requests", "limits"):
        one, other = before.get(what) or {}, after.get(what) or {}
        found |= {name for name in {**one, **other} if one.get(name) != other.get(name)}
    return found
