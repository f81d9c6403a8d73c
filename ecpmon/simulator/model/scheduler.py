"""Placement: a pod goes to a ready node with room, spread by service, or stays Pending with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ecpmon.simulator.model.admission import pod_spec
from ecpmon.simulator.model.happenings import SCHEDULER
from ecpmon.simulator.model.lifecycle import bind_and_start, tell
from ecpmon.simulator.model.objects import Manifest, Node, Pod, Resources
from ecpmon.simulator.model.quantities import GPU
from ecpmon.simulator.model.state import Draft


def _obstacles(node: Node, spec: Manifest) -> list[str]:
    """Why the node is not meant for the pod, whatever room it has."""
    wishes = node.manifest.get("spec") or {}
    reasons = []
    if wishes.get("unschedulable"):
        reasons.append("node(s) were unschedulable")
    labels = node.meta.labels
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        reasons.append("node(s) didn't match Pod's node affinity/selector")
    for taint in wishes.get("taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerates(spec, taint):
            reasons.append(f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}")
            break
    return reasons


def _tolerates(spec: Manifest, taint: Manifest) -> bool:
    for found in spec.get("tolerations") or ():
        if found.get("effect") not in (None, "", taint.get("effect")):
            continue
        if found.get("key") and found["key"] != taint.get("key"):
            continue
        exists = found.get("operator") == "Exists"
        if exists or (found.get("key") and (found.get("value") or "") == (taint.get("value") or "")):
            return True
    return False


def shortages(node: Node, wanted: Resources, spec: Manifest) -> list[str]:
    """Why `node` cannot take a pod with these requests and this spec; empty when it can."""
    if not node.ready:
        return ["node(s) were not ready"]
    reasons = _obstacles(node, spec)
    if reasons:
        return reasons
    used, capacity = node.used, node.capacity
    if used.cpu_millicores + wanted.cpu_millicores > capacity.cpu_millicores:
        reasons.append("Insufficient cpu")
    if used.memory_bytes + wanted.memory_bytes > capacity.memory_bytes:
        reasons.append("Insufficient memory")
    if used.gpu + wanted.gpu > capacity.gpu:
        reasons.append(f"Insufficient {GPU}")
    return reasons


def explain(nodes: list[Node], wanted: Resources, spec: Manifest) -> str:
    """The sentence kube-scheduler writes, e.g. `0/4 nodes are available: 4 Insufficient cpu.`"""
    counts = Counter(reason for node in nodes for reason in shortages(node, wanted, spec))
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"0/{len(nodes)} nodes are available: {parts}." if parts else "no nodes are available."


def choose_node(draft: Draft, pod: Pod, spec: Manifest) -> str | None:
    """The node with fewest pods of the same service, then the most free GPU-less, CPU-rich one."""
    beside = Counter(other.node for other in draft.pods_in(pod.group) if other.node)
    named = spec.get("nodeName")
    nodes = [n for n in draft.nodes.values() if named in (None, n.meta.name)]
    fitting = [n for n in nodes if not shortages(n, pod.resources, spec)]
    if not fitting:
        return None

    def preference(node: Node) -> tuple[int, float, str]:
        return (
            beside[node.meta.name],
            node.used.cpu_millicores / max(1, node.capacity.cpu_millicores),
            node.meta.name,
        )

    return min(fitting, key=preference).meta.name


def schedule_pending(draft: Draft) -> None:
    """Try every waiting pod, oldest first. The same request is not tried twice in vain."""
    hopeless: set[tuple[Resources, int]] = set()
    nodes = list(draft.nodes.values())
    for key in tuple(draft.pending):
        pod = draft.pods[key]
        spec = pod_spec(draft, pod.manifest, pod.replica_set)
        # Replicas share their spec, so that its identity tells kinds of pods apart.
        kind = (pod.resources, id(spec))
        node = None if kind in hopeless else choose_node(draft, pod, spec)
        if node is not None:
            draft.pending.remove(key)
            bind_and_start(draft, pod, node)
            nodes = list(draft.nodes.values())
            continue
        hopeless.add(kind)
        message = explain(nodes, pod.resources, spec)
        if pod.message != message:
            draft.put_pod(replace(pod, reason="Unschedulable", message=message))
            tell(draft, pod, "FailedScheduling", message, component=SCHEDULER, warning=True)
    draft.capacity_changed = False
