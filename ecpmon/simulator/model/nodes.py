"""What a node is found by and what it offers beside CPU, memory and GPUs."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ecpmon.simulator.model.objects import Manifest, Node

# Bytes on the disks of a node: the smallest that the source documents allow.
NODE_STORAGE: Final = 10**13
_LABELS: Final = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
# Anything else, such as a MIG profile or a shared GPU, no node of this cluster has.
_OFFERED: Final = {"ephemeral-storage": Decimal(NODE_STORAGE)}
_UNSCHEDULABLE: Final = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def node_labels(node: Node) -> dict[str, str]:
    """The labels that somebody gave it, and those that every kubelet sets."""
    return {**_LABELS, **node.meta.labels}


def offered(resource: str) -> Decimal:
    """How much a node has of a resource that is none of CPU, memory and GPUs."""
    return _OFFERED.get(resource, Decimal(0))


def repelled(node: Node, spec: Manifest) -> Manifest | None:
    """The first taint that keeps the pod away, a cordon not among them."""
    for taint in (node.manifest.get("spec") or {}).get("taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerates(spec, taint):
            found: Manifest = taint
            return found
    return None


def cordoned(node: Node, spec: Manifest) -> bool:
    """Whether the node takes no new pods, this one included."""
    closed = bool((node.manifest.get("spec") or {}).get("unschedulable"))
    return closed and not tolerates(spec, _UNSCHEDULABLE)


def tolerates(spec: Manifest, taint: Manifest) -> bool:
    for found in spec.get("tolerations") or ():
        if found.get("effect") not in (None, "", taint.get("effect")):
            continue
        if found.get("key") and found["key"] != taint.get("key"):
            continue
        exists = found.get("operator") == "Exists"
        if exists or (found.get("key") and (found.get("value") or "") == (taint.get("value") or "")):
            return True
    return False
