"""Placement: a pod goes to a ready node with room, spread by service, or stays Pending with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from ecpmon.simulator.model import claims
from ecpmon.simulator.model.affinity import anybody_shuns, blocked, wants_node
from ecpmon.simulator.model.happenings import SCHEDULER
from ecpmon.simulator.model.lifecycle import bind_and_start, tell
from ecpmon.simulator.model.nodes import cordoned, node_labels, offered, repelled
from ecpmon.simulator.model.objects import Manifest, Node, Resources
from ecpmon.simulator.model.pods import GATED, Pod
from ecpmon.simulator.model.quantities import GPU, pod_requests
from ecpmon.simulator.model.selecting import matches
from ecpmon.simulator.model.state import Draft

DEFAULT: Final = "default-scheduler"
_GATED: Final = "Scheduling is blocked due to non-empty scheduling gates"
_CROWDED: Final = "node(s) didn't match pod topology spread constraints"
_PLAIN: Final = ("cpu", "memory", GPU)


def _obstacles(node: Node, spec: Manifest) -> list[str]:
    """Why the node is not meant for the pod, whatever room it has."""
    reasons = []
    if cordoned(node, spec):
        reasons.append("node(s) were unschedulable")
    if not wants_node(spec, node):
        reasons.append("node(s) didn't match Pod's node affinity/selector")
    taint = repelled(node, spec)
    if taint is not None:
        reasons.append(f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}")
    return reasons


def shortages(
    draft: Draft, node: Node, wanted: Resources, spec: Manifest, others: Mapping[str, Decimal]
) -> list[str]:
    """Why `node` cannot take a pod with these requests, `others` among them, and this spec; empty when it can."""
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
    for name, amount in others.items():
        if amount + _taken(draft, node, name) > offered(name):
            reasons.append(f"Insufficient {name}")
    return reasons


def _others(spec: Manifest) -> dict[str, Decimal]:
    """What is requested beside CPU, memory and GPUs."""
    return {name: value for name, value in pod_requests(spec).items() if name not in _PLAIN and value > 0}


def _taken(draft: Draft, node: Node, name: str) -> Decimal:
    """What the node's pods request of a resource that nodes do not keep account of."""
    if not offered(name):
        return Decimal(0)
    pods = [p for p in draft.pods.values() if p.node == node.meta.name and not p.over]
    return sum((_others(draft.manifest_of(p)["spec"]).get(name, Decimal(0)) for p in pods), Decimal(0))


def crowded_nodes(draft: Draft, pod: Pod, spec: Manifest) -> frozenset[str]:
    """The nodes where one more pod would break a topology spread constraint that must hold.

    Only ready nodes make a domain: pods of a dead one have to go somewhere. Nor do those that the pod is not meant
    for, or with `nodeTaintsPolicy: Honor` those that it does not tolerate.
    """
    found: set[str] = set()
    for rule in spec.get("topologySpreadConstraints") or ():
        if rule.get("whenUnsatisfiable") != "DoNotSchedule":
            continue
        beside = _counted(draft, pod, rule)
        domains: Counter[str] = Counter()
        key = rule["topologyKey"]
        nodes = [n for n in draft.nodes.values() if n.ready and key in node_labels(n)]
        where = {n.meta.name: node_labels(n)[key] for n in nodes if _makes_domain(rule, n, spec)}
        for name, domain in where.items():
            domains[domain] += beside[name]
        least = min(domains.values(), default=0)
        full = {name for name, domain in where.items() if domains[domain] + 1 - least > rule["maxSkew"]}
        found |= full | {name for name in draft.nodes if name not in where}
    return frozenset(found)


def _counted(draft: Draft, pod: Pod, rule: Manifest) -> Counter[str]:
    """How many of the pods that a rule is about are where."""
    selector = rule.get("labelSelector")
    if selector is None:
        return Counter(other.node for other in draft.pods_in(pod.group) if other.node)
    within = draft.pods_within(pod.meta.namespace)
    return Counter(p.node for p in within if p.node and not p.over and matches(selector, p.meta.labels))


def _makes_domain(rule: Manifest, node: Node, spec: Manifest) -> bool:
    if rule.get("nodeAffinityPolicy") != "Ignore" and not wants_node(spec, node):
        return False
    honoured = rule.get("nodeTaintsPolicy") == "Honor"
    return not honoured or not (repelled(node, spec) or cordoned(node, spec))


def explain(draft: Draft, pod: Pod, spec: Manifest, crowded: frozenset[str], kept: Mapping[str, str]) -> str:
    """The sentence kube-scheduler writes, e.g. `0/4 nodes are available: 4 Insufficient cpu.`"""
    counts: Counter[str] = Counter()
    others = _others(spec)
    for node in draft.nodes.values():
        reasons = shortages(draft, node, pod.resources, spec, others)
        if not reasons and node.meta.name in kept:
            reasons = [kept[node.meta.name]]
        if not reasons and node.meta.name in crowded:
            reasons = [_CROWDED]
        counts.update(reasons)
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"0/{len(draft.nodes)} nodes are available: {parts}." if parts else "no nodes are available."


def choose_node(draft: Draft, pod: Pod, spec: Manifest, *, shunned: bool) -> tuple[str | None, str]:
    """The node with fewest pods of the same service, then the one with most free CPU; or why there is none.

    `shunned`: as `anybody_shuns` says of its namespace.
    """
    trouble = claims.trouble(draft, pod.meta.namespace, spec)
    if trouble:
        return None, f"0/{len(draft.nodes)} nodes are available: {trouble}."
    beside = Counter(other.node for other in draft.pods_in(pod.group) if other.node)
    every = list(draft.nodes.values())
    crowded, kept = crowded_nodes(draft, pod, spec), blocked(draft, pod, spec, every, shunned=shunned)
    named = spec.get("nodeName")
    nodes = [n for n in every if named in (None, n.meta.name) and n.meta.name not in {*crowded, *kept}]
    others = _others(spec)
    fitting = [n for n in nodes if not shortages(draft, n, pod.resources, spec, others)]
    if not fitting:
        return None, explain(draft, pod, spec, crowded, kept)

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
    shunned: dict[str, bool] = {}
    for key in tuple(draft.pending):
        pod = draft.pods[key]
        spec = draft.manifest_of(pod)["spec"]
        if not _is_ours(draft, pod, spec):
            continue
        # Replicas share their spec, so that its identity tells kinds of pods apart.
        kind, space = (pod.resources, id(spec)), pod.meta.namespace
        if space not in shunned:
            shunned[space] = anybody_shuns(draft, space)
        node, message = None, hopeless.get(kind, "")
        if not message:
            node, message = choose_node(draft, pod, spec, shunned=shunned[space])
        if node is not None:
            draft.pending.remove(key)
            claims.bind_all(draft, pod.meta.namespace, spec)
            bind_and_start(draft, pod, node)
            continue
        hopeless[kind] = message
        if pod.message != message:
            draft.put_pod(replace(pod, reason="Unschedulable", message=message))
            tell(draft, pod, "FailedScheduling", message, component=SCHEDULER, warning=True)
    draft.capacity_changed = False


def _is_ours(draft: Draft, pod: Pod, spec: Manifest) -> bool:
    """Whether this scheduler is to place the pod now: neither another one, nor later."""
    if spec.get("nodeName"):
        return True
    if spec.get("schedulingGates"):
        if pod.reason != GATED:
            draft.put_pod(replace(pod, reason=GATED, message=_GATED))
        return False
    return str(spec.get("schedulerName") or DEFAULT) == DEFAULT
