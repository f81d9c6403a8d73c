"""Placement: a pod goes to a ready node with room, spread by service, or stays Pending with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ecpmon.simulator.model.lifecycle import bind_and_start
from ecpmon.simulator.model.objects import Node, Pod, Resources
from ecpmon.simulator.model.state import Draft

_GPU = "nvidia.com/gpu"


def shortages(node: Node, wanted: Resources) -> list[str]:
    """Why `node` cannot take a pod with these requests; empty when it can."""
    if not node.ready:
        return ["node(s) were not ready"]
    used, capacity = node.used, node.capacity
    reasons = []
    if used.cpu_millicores + wanted.cpu_millicores > capacity.cpu_millicores:
        reasons.append("Insufficient cpu")
    if used.memory_bytes + wanted.memory_bytes > capacity.memory_bytes:
        reasons.append("Insufficient memory")
    if used.gpu + wanted.gpu > capacity.gpu:
        reasons.append(f"Insufficient {_GPU}")
    return reasons


def explain(nodes: list[Node], wanted: Resources) -> str:
    """The sentence kube-scheduler writes, e.g. `0/4 nodes are available: 4 Insufficient cpu.`"""
    counts = Counter(reason for node in nodes for reason in shortages(node, wanted))
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"0/{len(nodes)} nodes are available: {parts}." if parts else "no nodes are available."


def choose_node(draft: Draft, pod: Pod) -> str | None:
    """The node with fewest pods of the same service, then the most free GPU-less, CPU-rich one."""
    beside = Counter(other.node for other in draft.pods_in(pod.deployment) if other.node)
    fitting = [n for n in draft.nodes.values() if not shortages(n, pod.resources)]
    if not fitting:
        return None

    def preference(node: Node) -> tuple[int, float, str]:
        return (
            beside[node.meta.name],
            node.used.cpu_millicores / node.capacity.cpu_millicores,
            node.meta.name,
        )

    return min(fitting, key=preference).meta.name


def schedule_pending(draft: Draft) -> None:
    """Try every waiting pod, oldest first. The same request is not tried twice in vain."""
    hopeless: set[Resources] = set()
    nodes = list(draft.nodes.values())
    for key in tuple(draft.pending):
        pod = draft.pods[key]
        node = None if pod.resources in hopeless else choose_node(draft, pod)
        if node is not None:
            draft.pending.remove(key)
            bind_and_start(draft, pod, node)
            nodes = list(draft.nodes.values())
            continue
        hopeless.add(pod.resources)
        message = explain(nodes, pod.resources)
        if pod.message != message:
            draft.put_pod(replace(pod, reason="Unschedulable", message=message))
    draft.capacity_changed = False
