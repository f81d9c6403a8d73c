"""Nodes as documents."""

from __future__ import annotations

from ecpmon.simulator.model.addresses import node_address
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.kube.documents import metadata_of
from ecpmon.simulator.model.nodes import NODE_STORAGE, node_labels
from ecpmon.simulator.model.objects import Node, Resources
from ecpmon.simulator.model.quantities import GPU
from ecpmon.simulator.model.times import timestamp

_VERSION = "v1.33.0"
_KUBELET_PORT = 10250
_PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


def node_document(node: Node) -> Document:
    metadata = metadata_of(node.meta, node.manifest, generation=False)
    metadata["labels"] = node_labels(node)
    spec = dict(node.manifest.get("spec") or {})
    if not node.ready:
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
        spec["taints"] = [*(spec.get("taints") or ()), taint]
    capacity = _amounts(node.capacity)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": _conditions(node),
            "addresses": [
                {"type": "InternalIP", "address": node_address(node.meta.name)},
                {"type": "Hostname", "address": node.meta.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": node.port or _KUBELET_PORT}},
            "nodeInfo": _info(node),
        },
    }


def _amounts(capacity: Resources) -> Document:
    amounts = {
        "cpu": f"{capacity.cpu_millicores}m"
        if capacity.cpu_millicores % 1000
        else str(capacity.cpu_millicores // 1000),
        "memory": f"{capacity.memory_bytes // 1024}Ki",
        "pods": "1000",
        "ephemeral-storage": f"{NODE_STORAGE // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }
    return {**amounts, GPU: str(capacity.gpu)} if capacity.gpu else amounts


def _conditions(node: Node) -> list[Document]:
    since = timestamp(node.meta.created_at)
    turned = timestamp(node.meta.created_at if node.turned_at is None else node.turned_at)
    made = [
        {
            "type": kind,
            "status": "False" if node.ready else "Unknown",
            "lastTransitionTime": since if node.turned_at is None else turned,
            "reason": reason if node.ready else "NodeStatusUnknown",
            "message": message if node.ready else "Kubelet stopped posting node status.",
        }
        for kind, reason, message in _PRESSURES
    ]
    ready = {
        "type": "Ready",
        "status": "True" if node.ready else "Unknown",
        "lastTransitionTime": turned,
        "reason": "KubeletReady" if node.ready else "NodeStatusUnknown",
        "message": "kubelet is posting ready status"
        if node.ready
        else "Kubelet stopped posting node status.",
    }
    return [*made, ready]


def _info(node: Node) -> Document:
    return {
        "architecture": "amd64",
        "operatingSystem": "linux",
        "osImage": "ecpmon simulator",
        "kernelVersion": "0",
        "containerRuntimeVersion": "containerd://0",
        "kubeletVersion": _VERSION,
        "kubeProxyVersion": "",
        "machineID": node.meta.uid.replace("-", ""),
        "systemUUID": node.meta.uid,
        "bootID": node.meta.uid,
    }
