"""DaemonSets: one pod on every node that is meant for it."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.model.affinity import wants_node
from ecpmon.simulator.model.controllers import is_available, min_ready
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.manifests import share
from ecpmon.simulator.model.nodes import repelled
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.workloads.owned import (
    REVISION_LABEL,
    Wanted,
    availables,
    forget_revisions,
    group_of,
    make_pod,
    remove_pod,
    revision_of,
    set_status,
    suffix,
)

RESOURCE: Final = "daemonsets.apps"
# What the controller lets its pods stand beside.
_TOLERATED: Final = tuple(
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
    for name, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)


def reconcile(draft: Draft, key: ObjectKey, found: Document) -> None:
    """A pod for each node without one; none where none is meant; old ones replaced as the strategy says."""
    update = revision_of(draft, key, found)
    meant = _meant(draft, found)
    seen: dict[str, Pod] = {}
    for pod in draft.pods_in(group_of(key)):
        node = _target(pod)
        if node not in meant or node in seen or pod.over:
            remove_pod(draft, found, pod)
        else:
            seen[node] = pod
    template = found["spec"]["template"]
    for node in meant:
        if node not in seen:
            wanted = Wanted(
                f"{key.name}-{suffix(draft, found)}",
                _placed(template["spec"], node),
                {REVISION_LABEL: update},
            )
            if not make_pod(draft, key, found, wanted, template):
                break
    _replace(draft, found, list(seen.values()), update, len(meant))


def _replace(draft: Draft, found: Document, pods: list[Pod], update: str, wanted: int) -> None:
    strategy = found["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    settle = min_ready(found)
    old = [pod for pod in pods if pod.meta.labels.get(REVISION_LABEL) != update]
    idle = [pod for pod in old if not is_available(draft, pod, settle)]
    for pod in idle:
        remove_pod(draft, found, pod)
    most = max(1, share((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), wanted, up=True))
    missing = wanted - sum(is_available(draft, pod, settle) for pod in pods)
    for pod in [pod for pod in old if pod not in idle][: max(0, most - missing)]:
        remove_pod(draft, found, pod)


def observe(draft: Draft, key: ObjectKey, found: Document) -> None:
    update, meant = revision_of(draft, key, found), _meant(draft, found)
    pods = draft.pods_in(group_of(key))
    there = {_target(pod) for pod in pods if pod.node is not None}
    available = availables(draft, key, found, pods)
    status: Document = {
        "currentNumberScheduled": len(there & set(meant)),
        "numberMisscheduled": len(there - set(meant)),
        "desiredNumberScheduled": len(meant),
        "numberReady": sum(pod.serving for pod in pods),
        "observedGeneration": found["metadata"].get("generation", 1),
    }
    counts = {
        "updatedNumberScheduled": sum(pod.meta.labels.get(REVISION_LABEL) == update for pod in pods),
        "numberAvailable": available,
        "numberUnavailable": max(0, len(meant) - available),
    }
    set_status(draft, key, found, status | {name: count for name, count in counts.items() if count})
    hashes = {str(pod.meta.labels.get(REVISION_LABEL, "")) for pod in pods}
    forget_revisions(draft, key, found, {update} | hashes)


def _meant(draft: Draft, found: Document) -> list[str]:
    """The nodes that the template chooses and tolerates; one that is not ready keeps its place."""
    spec = _tolerant(found["spec"]["template"]["spec"])
    return [n.meta.name for n in draft.nodes.values() if wants_node(spec, n) and not repelled(n, spec)]


def _tolerant(spec: Manifest) -> dict[str, Any]:
    return {**spec, "tolerations": [*(spec.get("tolerations") or ()), *_TOLERATED]}


def _placed(spec: Manifest, node: str) -> Manifest:
    """The template's spec for one node, which the scheduler is told by a required affinity."""
    chosen = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [chosen]}}
    affinity = {**(spec.get("affinity") or {}), "nodeAffinity": required}
    return {**_tolerant(spec), "affinity": affinity}


def _target(pod: Pod) -> str:
    """The node that the pod was made for."""
    required = pod.manifest["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])
