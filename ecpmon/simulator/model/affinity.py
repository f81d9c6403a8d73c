"""What a pod says of the nodes and of the pods that it must, or must not, stand beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.nodes import node_labels
from ecpmon.simulator.model.objects import Manifest, Node
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.selecting import matches
from ecpmon.simulator.model.state import Draft

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
NO_AFFINITY: Final = "node(s) didn't match pod affinity rules"
NO_ANTI_AFFINITY: Final = "node(s) didn't match pod anti-affinity rules"
EXISTING: Final = "node(s) didn't satisfy existing pods anti-affinity rules"


def wants_node(spec: Manifest, node: Node) -> bool:
    """Whether the pod's node selector and required node affinity choose the node."""
    labels = node_labels(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = (((spec.get("affinity") or {}).get("nodeAffinity")) or {}).get(_REQUIRED)
    if not required:
        return True
    return any(_term(term, labels, node.meta.name) for term in required.get("nodeSelectorTerms") or ())


def _term(term: Manifest, labels: Mapping[str, str], name: str) -> bool:
    """All of a term; an empty one chooses nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    named = {"metadata.name": name}
    return all(_holds(item, labels) for item in expressions) and all(_holds(item, named) for item in fields)


def _holds(item: Manifest, labels: Mapping[str, str]) -> bool:
    found, operator = labels.get(item["key"]), item["operator"]
    if operator in ("Gt", "Lt"):
        try:
            here, there = int(found or ""), int(item["values"][0])
        except (ValueError, LookupError):
            return False
        return here > there if operator == "Gt" else here < there
    return matches({"matchExpressions": [item]}, labels)


def anybody_shuns(draft: Draft, namespace: str) -> bool:
    """Whether a pod of the namespace, placed or not, has required anti-affinity: most have none."""
    specs = {id(spec): spec for spec in (draft.manifest_of(p)["spec"] for p in draft.pods_within(namespace))}
    return any((spec.get("affinity") or {}).get("podAntiAffinity") for spec in specs.values())


def blocked(
    draft: Draft, pod: Pod, spec: Manifest, nodes: Iterable[Node], *, shunned: bool = True
) -> dict[str, str]:
    """Why pods that are there keep the pod away, by node; empty when nobody says anything of others.

    `shunned`: as `anybody_shuns` says.
    """
    found: dict[str, str] = {}
    rules = spec.get("affinity") or {}
    near = (rules.get("podAffinity") or {}).get(_REQUIRED) or ()
    far = (rules.get("podAntiAffinity") or {}).get(_REQUIRED) or ()
    shunning = list(_shunning(draft, pod)) if shunned else []
    if not (near or far or shunning):
        return found
    for node in nodes:
        labels = node_labels(node)
        if not all(_beside(draft, pod, term, labels, near) for term in near):
            found[node.meta.name] = NO_AFFINITY
        elif any(labels.get(t["topologyKey"]) in _domains(draft, pod, t) for t in far):
            found[node.meta.name] = NO_ANTI_AFFINITY
        elif any(labels.get(key) == domain for key, domain in shunning):
            found[node.meta.name] = EXISTING
    return found


def _beside(
    draft: Draft, pod: Pod, term: Manifest, labels: Mapping[str, str], every: Iterable[Manifest]
) -> bool:
    key = term["topologyKey"]
    if key not in labels:
        return False
    domains = _domains(draft, pod, term)
    # The first of a group that wants to stand together has nobody to stand beside yet.
    first = not domains and all(_selects(draft, t, pod, pod) and not _domains(draft, pod, t) for t in every)
    return labels[key] in domains or first


def _domains(draft: Draft, pod: Pod, term: Manifest) -> set[str]:
    """Where the term's pods are, by the value of its topology key."""
    key = term["topologyKey"]
    found = set()
    for namespace in _namespaces(draft, term, pod.meta.namespace):
        for other in draft.pods_within(namespace):
            host = draft.nodes.get(other.node or "")
            if host is not None and matches(term.get("labelSelector"), other.meta.labels):
                domain = node_labels(host).get(key)
                if domain is not None:
                    found.add(domain)
    return found


def _shunning(draft: Draft, pod: Pod) -> Iterator[tuple[str, str]]:
    """(topology key, domain) that pods of the same namespace do not share with this one."""
    for other in draft.pods_within(pod.meta.namespace):
        rules = draft.manifest_of(other)["spec"].get("affinity")
        if not rules or other.node is None:
            continue
        host = draft.nodes.get(other.node)
        for term in (rules.get("podAntiAffinity") or {}).get(_REQUIRED) or ():
            if host is not None and _selects(draft, term, other, pod):
                domain = node_labels(host).get(term["topologyKey"])
                if domain is not None:
                    yield term["topologyKey"], domain


def _selects(draft: Draft, term: Manifest, whose: Pod, pod: Pod) -> bool:
    return pod.meta.namespace in _namespaces(draft, term, whose.meta.namespace) and matches(
        term.get("labelSelector"), pod.meta.labels
    )


def _namespaces(draft: Draft, term: Manifest, own: str) -> set[str]:
    chosen = set(term.get("namespaces") or ())
    selector = term.get("namespaceSelector")
    if selector is not None:
        chosen |= {
            str(space["metadata"]["name"])
            for space in _spaces(draft)
            if matches(selector, space["metadata"].get("labels") or {})
        }
    elif not chosen:
        chosen = {own}
    return chosen


def _spaces(draft: Draft) -> list[Document]:
    return draft.objects_of("", "namespaces")
