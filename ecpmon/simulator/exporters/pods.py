"""`kube_pod_*`: what the API says of pods and their containers."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.exporters.page import Page, seconds, text
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.quantities import container_limits, container_requests

_PHASES: Final = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
_REASONS: Final = ("Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError")
_CONDITIONS: Final = {"Ready": "kube_pod_status_ready", "PodScheduled": "kube_pod_status_scheduled"}


def pod_lines(page: Page, pod: Document) -> None:
    """Everything about one pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    spec = pod["spec"]
    labels = text(namespace=metadata["namespace"], pod=metadata["name"], uid=metadata["uid"])
    _identity(page, pod, labels)
    page.state("kube_pod_status_phase", labels, "phase", str(status.get("phase")), _PHASES)
    page.state("kube_pod_status_reason", labels, "reason", str(status.get("reason")), _REASONS)
    for condition in status.get("conditions") or ():
        name = _CONDITIONS.get(condition["type"])
        if name is not None:
            now = condition["status"].lower()
            page.state(name, labels, "condition", now, ("true", "false", "unknown"))
    if status.get("qosClass"):
        page.add("kube_pod_status_qos_class", f'{labels},qos_class="{status["qosClass"]}"', 1)
    if (status.get("conditions") or [{}])[0].get("reason") == "Unschedulable":
        page.add("kube_pod_status_unschedulable", labels, 1)
    node = text(node=spec.get("nodeName", ""))
    for container in spec.get("containers") or ():
        about = f"{labels},{text(container=container['name'])}"
        placed = f"{about},{node}"
        page.amounts("kube_pod_container_resource_requests", placed, container_requests(container))
        page.amounts("kube_pod_container_resource_limits", placed, container_limits(container))
    for container in spec.get("initContainers") or ():
        about = f"{labels},{text(container=container['name'])},{node}"
        page.amounts("kube_pod_init_container_resource_requests", about, container_requests(container))
        page.amounts("kube_pod_init_container_resource_limits", about, container_limits(container))
    for found in status.get("containerStatuses") or ():
        _container(page, found, f"{labels},{text(container=found['name'])}")


def _identity(page: Page, pod: Document, labels: str) -> None:
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    owner: Document = next(iter(metadata.get("ownerReferences") or ()), {})
    about = text(
        host_ip=status.get("hostIP", ""),
        pod_ip=status.get("podIP", ""),
        node=spec.get("nodeName", ""),
        created_by_kind=owner.get("kind", ""),
        created_by_name=owner.get("name", ""),
        priority_class=spec.get("priorityClassName", ""),
        host_network=str(bool(spec.get("hostNetwork"))).lower(),
    )
    page.add("kube_pod_info", f"{labels},{about}", 1)
    owned = text(
        owner_kind=owner.get("kind", ""),
        owner_name=owner.get("name", ""),
        owner_is_controller=str(bool(owner.get("controller"))).lower() if owner else "",
    )
    page.add("kube_pod_owner", f"{labels},{owned}", 1)
    page.add("kube_pod_created", labels, seconds(metadata["creationTimestamp"]))
    page.add("kube_pod_restart_policy", f'{labels},type="{spec.get("restartPolicy", "Always")}"', 1)
    if status.get("startTime"):
        page.add("kube_pod_start_time", labels, seconds(status["startTime"]))
    if metadata.get("deletionTimestamp"):
        page.add("kube_pod_deletion_timestamp", labels, seconds(metadata["deletionTimestamp"]))
    for volume in spec.get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim:
            mounted = text(volume=volume["name"], persistentvolumeclaim=claim["claimName"])
            page.add("kube_pod_spec_volumes_persistentvolumeclaims_info", f"{labels},{mounted}", 1)


def _container(page: Page, found: Document, labels: str) -> None:
    state: dict[str, Any] = found.get("state") or {}
    image = text(
        image=found.get("image", ""),
        image_spec=found.get("image", ""),
        image_id=found.get("imageID", ""),
        container_id=found.get("containerID", ""),
    )
    page.add("kube_pod_container_info", f"{labels},{image}", 1)
    page.add("kube_pod_container_status_ready", labels, int(bool(found.get("ready"))))
    page.add("kube_pod_container_status_restarts_total", labels, found.get("restartCount", 0))
    for kind in ("running", "waiting", "terminated"):
        page.add(f"kube_pod_container_status_{kind}", labels, int(kind in state))
    if (state.get("waiting") or {}).get("reason"):
        reason = text(reason=state["waiting"]["reason"])
        page.add("kube_pod_container_status_waiting_reason", f"{labels},{reason}", 1)
    if state.get("running"):
        page.add("kube_pod_container_state_started", labels, seconds(state["running"]["startedAt"]))
    if state.get("terminated"):
        reason = text(reason=state["terminated"]["reason"])
        page.add("kube_pod_container_status_terminated_reason", f"{labels},{reason}", 1)
    last = (found.get("lastState") or {}).get("terminated")
    if last:
        reason = text(reason=last["reason"])
        page.add("kube_pod_container_status_last_terminated_reason", f"{labels},{reason}", 1)
        page.add("kube_pod_container_status_last_terminated_exitcode", labels, last["exitCode"])
        page.add("kube_pod_container_status_last_terminated_timestamp", labels, seconds(last["finishedAt"]))
