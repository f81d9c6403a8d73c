"""Placement: a pod goes to a ready node with room, spread by service, or stays Pending with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ecpmon.simulator.model.admission import pod_spec
from ecpmon.simulator.model.happenings import SCHEDULER
from ecpmon.simulator.model.lifecycle import bind_and_start, tell
from ecpmon.simulator.model.objects import Manifest, Node, Resources
from ecpmon.simulator.model.pods import Pod
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


def crowded_nodes(nodes: list[Node], beside: Counter[str], spec: Manifest) -> frozenset[str]:
    """The nodes where one more pod would break a topology spread constraint that must hold.

    Only ready nodes make a domain: pods of a dead one have to go somewhere.
    """
    found: set[str] = set()
    for rule in spec.get("topologySpreadConstraints") or ():
        if rule.get("whenUnsatisfiable") != "DoNotSchedule":
            continue
        domains: Counter[str] = Counter()
        key = rule["topologyKey"]
        where = {n.meta.name: n.meta.labels[key] for n in nodes if n.ready and key in n.meta.labels}
        for name, domain in where.items():
            domains[domain] += beside[name]
        least = min(domains.values(), default=0)
        full = {name for name, domain in where.items() if domains[domain] + 1 - least > rule["maxSkew"]}
        found |= full | {n.meta.name for n in nodes if n.meta.name not in where}
    return frozenset(found)


def explain(nodes: list[Node], pod: Pod, spec: Manifest, crowded: frozenset[str]) -> str:
    """The sentence kube-scheduler writes, e.g. `0/4 nodes are available: 4 Insufficient cpu.`"""
    counts: Counter[str] = Counter()
    for node in nodes:
        reasons = shortages(node, pod.resources, spec)
        if not reasons and node.meta.name in crowded:
            reasons = ["node(s) didn't match pod topology spread constraints"]
        counts.update(reasons)
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"0/{len(nodes)} nodes are available: {parts}." if parts else "no nodes are available."


def choose_node(draft: Draft, pod: Pod, spec: Manifest) -> tuple[str | None, str]:
    """The node with fewest pods of the same service, then the one with most free CPU; or why there is none."""
    beside = Counter(other.node for other in draft.pods_in(pod.group) if other.node)
    every = list(draft.nodes.values())
    crowded = crowded_nodes(every, beside, spec)
    named = spec.get("nodeName")
    nodes = [n for n in every if named in (None, n.meta.name) and n.meta.name not in crowded]
    fitting = [n for n in nodes if not shortages(n, pod.resources, spec)]
    if not fitting:
        return None, explain(every, pod, spec, crowded)

    def preference(node: Node) -> tuple[int, float, str]:
        return (
            beside[node.meta.name],
            node.used.cpu_millicores / max(1, node.capacity.cpu_millicores),
            node.meta.name,
        )

    return min(fitting, key=preference).meta.name, ""


def schedule_pending(draft: Draft) -> None:
    """Try every waiting pod, oldest first. The same request is not tried twice in vain."""
    hopeless: dict[tuple[Resources, int], str] = {}
    for key in tuple(draft.pending):
        pod = draft.pods[key]
        spec = pod_spec(draft, pod.manifest, pod.replica_set)
        # Replicas share their spec, so that its identity tells kinds of pods apart.
        kind = (pod.resources, id(spec))
        node, message = (None, hopeless[kind]) if kind in hopeless else choose_node(draft, pod, spec)
        if node is not None:
            draft.pending.remove(key)
            bind_and_start(draft, pod, node)
            continue
        hopeless[kind] = message
        if pod.message != message:
            draft.put_pod(replace(pod, reason="Unschedulable", message=message))
            tell(draft, pod, "FailedScheduling", message, component=SCHEDULER, warning=True)
    draft.capacity_changed = False
