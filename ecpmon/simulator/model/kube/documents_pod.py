"""Pods as documents: phase, conditions and the state of their containers."""

from __future__ import annotations

from typing import Final

from ecpmon.kube.resizing import quality
from ecpmon.simulator.model.addresses import node_address, pod_address
from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.kube.documents import metadata_of
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.pods import Pod, PodPhase
from ecpmon.simulator.model.quantities import container_requests
from ecpmon.simulator.model.times import timestamp

_LOST: Final = "NodeLost"


def pod_document(pod: Pod, template: Manifest) -> Document:
    """`template` is the pod's own manifest or its replica set's template."""
    metadata = metadata_of(pod.meta, template, generation=False)
    if pod.meta.owners and pod.meta.owners[0].kind != "StatefulSet":
        metadata["generateName"] = f"{pod.meta.owners[0].name}-"
    spec: Document = {"serviceAccountName": "default", "serviceAccount": "default", **template["spec"]}
    if pod.node is not None:
        spec["nodeName"] = pod.node
    if pod.deleted_at is not None:
        grace = spec.get("terminationGracePeriodSeconds")
        metadata["deletionTimestamp"] = timestamp(pod.deleted_at)
        metadata["deletionGracePeriodSeconds"] = 30 if grace is None else grace
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": _status(pod, spec),
    }


def _status(pod: Pod, spec: Manifest) -> Document:
    status: Document = {
        "phase": "Running" if pod.phase is PodPhase.CRASH_LOOP else pod.phase.value,
        "conditions": _conditions(pod, spec),
        "qosClass": quality(spec),
    }
    if pod.reason == _LOST:
        status |= {"reason": _LOST, "message": pod.message}
    if pod.node is not None and pod.bound_at is not None:
        status |= {"startTime": timestamp(pod.bound_at), "hostIP": node_address(pod.node)}
        status["hostIPs"] = [{"ip": status["hostIP"]}]
        if pod.started_at is not None:
            status["podIP"] = pod_address(pod.address)
            status["podIPs"] = [{"ip": status["podIP"]}]
        status["containerStatuses"] = [_container(pod, c) for c in spec.get("containers") or ()]
    return status


def _conditions(pod: Pod, spec: Manifest) -> list[Document]:
    created, bound = pod.meta.created_at, pod.bound_at
    if bound is None:
        if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
            return []  # nobody has looked at it
        waiting: Document = {
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": timestamp(created),
        }
        if pod.message:
            waiting |= {"reason": pod.reason, "message": pod.message}
        return [waiting]
    names = " ".join(str(c.get("name")) for c in spec.get("containers") or ())
    ready = _fact("Ready", pod.serving, pod.turned_at or bound)
    containers = _fact("ContainersReady", pod.serving, pod.turned_at or bound)
    if not pod.serving:
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
        if pod.phase is PodPhase.SUCCEEDED:
            why = {"reason": "PodCompleted"}
        ready |= why
        containers |= why
    return [
        _fact("PodReadyToStartContainers", pod.started_at is not None, pod.started_at or bound),
        _fact("Initialized", True, bound),
        ready,
        containers,
        _fact("PodScheduled", True, bound),
        *_resize_conditions(pod),
    ]


def _resize_conditions(pod: Pod) -> list[Document]:
    if pod.resize is None:
        return []
    if pod.resize.state == "InProgress":
        return [_fact("PodResizeInProgress", True, pod.resize.since)]
    why = {"reason": pod.resize.state, "message": pod.resize.message}
    return [_fact("PodResizePending", True, pod.resize.since) | why]


def _fact(kind: str, holds: bool, since: int) -> Document:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(since),
    }


def _container(pod: Pod, container: Manifest) -> Document:
    name, image = str(container["name"]), str(container.get("image", ""))
    running = pod.phase is PodPhase.RUNNING and pod.started_at is not None
    document: Document = {
        "name": name,
        "state": _state(pod, running=running),
        "lastState": {} if pod.over else _last(pod),
        "ready": pod.serving,
        "restartCount": pod.restarts,
        "image": image,
        "imageID": "",
        "started": running,
    }
    if pod.started_at is not None:
        document |= _resources(pod, container)
        run = uid(pod.meta.uid, name, pod.restarts).replace("-", "")
        document["containerID"] = f"containerd://{run * 2}"
        document["imageID"] = f"{image.partition('@')[0]}@sha256:{uid(image).replace('-', '') * 2}"
    return document


def _resources(pod: Pod, container: Manifest) -> Document:
    """What the container has now, and what its node has set aside for it."""
    had = pod.resize.allotted.get(container["name"]) if pod.resize else None
    actual = (container.get("resources") or {}) if had is None else had
    given = actual if pod.resize and pod.resize.state != "InProgress" else container.get("resources") or {}
    if not actual:
        return {}
    return {"allocatedResources": container_requests({"resources": given}), "resources": actual}


def _state(pod: Pod, *, running: bool) -> Document:
    if pod.over:
        return _last(pod)
    if running and pod.started_at is not None:
        return {"running": {"startedAt": timestamp(pod.started_at)}}
    waiting = {"reason": pod.reason}
    return {"waiting": {**waiting, "message": pod.message} if pod.message else waiting}


def _last(pod: Pod) -> Document:
    if pod.ended is None:
        return {}
    return {
        "terminated": {
            "exitCode": pod.ended.exit_code,
            "reason": pod.ended.reason,
            "startedAt": timestamp(pod.ended.start),
            "finishedAt": timestamp(pod.ended.end),
        }
    }
