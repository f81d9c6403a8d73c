"""`kube_node_*`, `kube_namespace_*`, quotas, claims, services: what pods run on and are held by."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.exporters.page import Page, seconds, text
from ecpmon.simulator.exporters.workloads import WORKLOADS, Lines
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.quantities import quantity


def node_lines(page: Page, node: Document, _: str) -> None:
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node["status"]
    labels, info = text(node=metadata["name"]), status["nodeInfo"]
    about = text(
        kernel_version=info["kernelVersion"],
        os_image=info["osImage"],
        container_runtime_version=info["containerRuntimeVersion"],
        kubelet_version=info["kubeletVersion"],
        provider_id=spec.get("providerID", ""),
        system_uuid=info["systemUUID"],
        internal_ip=next((a["address"] for a in status["addresses"] if a["type"] == "InternalIP"), ""),
    )
    page.add("kube_node_info", f"{labels},{about}", 1)
    page.add("kube_node_created", labels, seconds(metadata["creationTimestamp"]))
    page.add("kube_node_spec_unschedulable", labels, int(bool(spec.get("unschedulable"))))
    for taint in spec.get("taints") or ():
        told = text(key=taint["key"], value=taint.get("value", ""), effect=taint.get("effect", ""))
        page.add("kube_node_spec_taint", f"{labels},{told}", 1)
    for label in metadata.get("labels") or {}:
        if label.startswith("node-role.kubernetes.io/"):
            page.add("kube_node_role", f"{labels},{text(role=label.partition('/')[2])}", 1)
    for condition in status.get("conditions") or ():
        page.condition("kube_node_status_condition", labels, condition["type"], condition["status"])
    for address in status["addresses"]:
        told = text(type=address["type"], address=address["address"])
        page.add("kube_node_status_addresses", f"{labels},{told}", 1)
    page.amounts("kube_node_status_capacity", labels, status.get("capacity") or {})
    page.amounts("kube_node_status_allocatable", labels, status.get("allocatable") or {})


def namespace_lines(page: Page, document: Document, _: str) -> None:
    labels, status = text(namespace=document["metadata"]["name"]), document.get("status") or {}
    page.add("kube_namespace_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    phase = str(status.get("phase", "Active"))
    page.state("kube_namespace_status_phase", labels, "phase", phase, ("Active", "Terminating"))
    for condition in status.get("conditions") or ():
        page.condition("kube_namespace_status_condition", labels, condition["type"], condition["status"])


def quota_lines(page: Page, document: Document, namespace: str) -> None:
    labels = f"{namespace},{text(resourcequota=document['metadata']['name'])}"
    page.add("kube_resourcequota_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    status = document.get("status") or {}
    for kind in ("hard", "used"):
        for resource, amount in (status.get(kind) or {}).items():
            about = text(resource=resource, type=kind)
            page.add("kube_resourcequota", f"{labels},{about}", float(quantity(amount)))


def limit_range_lines(page: Page, document: Document, namespace: str) -> None:
    labels = f"{namespace},{text(limitrange=document['metadata']['name'])}"
    page.add("kube_limitrange_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    for limit in (document.get("spec") or {}).get("limits") or ():
        for bound in ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio"):
            for resource, amount in (limit.get(bound) or {}).items():
                about = text(resource=resource, type=limit.get("type", ""), constraint=bound)
                page.add("kube_limitrange", f"{labels},{about}", float(quantity(amount)))


def claim_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, spec = "kube_persistentvolumeclaim", document.get("spec") or {}
    labels = f"{namespace},{text(persistentvolumeclaim=document['metadata']['name'])}"
    about = text(
        storageclass=spec.get("storageClassName", ""),
        volumename=spec.get("volumeName", ""),
        volumemode=spec.get("volumeMode", ""),
    )
    page.add(f"{prefix}_info", f"{labels},{about}", 1)
    page.add(f"{prefix}_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    phase = str((document.get("status") or {}).get("phase"))
    page.state(f"{prefix}_status_phase", labels, "phase", phase, ("Lost", "Bound", "Pending"))
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)
    page.add(f"{prefix}_resource_requests_storage_bytes", labels, float(quantity(size)))
    for mode in spec.get("accessModes") or ():
        page.add(f"{prefix}_access_mode", f"{labels},{text(access_mode=mode)}", 1)


def volume_lines(page: Page, document: Document, _: str) -> None:
    prefix, spec = "kube_persistentvolume", document["spec"]
    labels, claim = text(persistentvolume=document["metadata"]["name"]), spec.get("claimRef") or {}
    page.add(f"{prefix}_info", f"{labels},{text(storageclass=spec.get('storageClassName', ''))}", 1)
    size = (spec.get("capacity") or {}).get("storage", 0)
    page.add(f"{prefix}_capacity_bytes", labels, float(quantity(size)))
    phases = ("Pending", "Available", "Bound", "Released", "Failed")
    now = str((document.get("status") or {}).get("phase", "Available"))
    page.state(f"{prefix}_status_phase", labels, "phase", now, phases)
    if claim:
        about = text(claim_namespace=claim.get("namespace", ""), name=claim.get("name", ""))
        page.add(f"{prefix}_claim_ref", f"{labels},{about}", 1)


def service_lines(page: Page, document: Document, namespace: str) -> None:
    spec = document.get("spec") or {}
    labels = f"{namespace},{text(service=document['metadata']['name'])}"
    about = text(
        cluster_ip=spec.get("clusterIP", ""),
        external_name=spec.get("externalName", ""),
        load_balancer_ip=spec.get("loadBalancerIP", ""),
    )
    page.add("kube_service_info", f"{labels},{about}", 1)
    page.add("kube_service_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    page.add("kube_service_spec_type", f"{labels},{text(type=spec.get('type', 'ClusterIP'))}", 1)


def _plain(kind: str, label: str) -> Lines:
    """A kind of which only that it is there, and since when, is told."""

    def lines(page: Page, document: Document, namespace: str) -> None:
        own = text(**{label: document["metadata"]["name"]})
        labels = f"{namespace},{own}" if namespace else own
        page.add(f"kube_{kind}_info", labels, 1)
        page.add(f"kube_{kind}_created", labels, seconds(document["metadata"]["creationTimestamp"]))

    return lines


# By resource, in the order in which the page has them; pods come first.
OBJECTS: Final[dict[str, Lines]] = {
    **WORKLOADS,
    "nodes": node_lines,
    "namespaces": namespace_lines,
    "resourcequotas": quota_lines,
    "limitranges": limit_range_lines,
    "persistentvolumeclaims": claim_lines,
    "persistentvolumes": volume_lines,
    "services": service_lines,
    "configmaps": _plain("configmap", "configmap"),
    "secrets": _plain("secret", "secret"),
    "ingresses.networking.k8s.io": _plain("ingress", "ingress"),
    "storageclasses.storage.k8s.io": _plain("storageclass", "storageclass"),
}
