"""What the server fills into pods and into templates of pods, in place."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.kube.causes import Document

_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE: Final = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD: Final = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
_WITH_MODE: Final = ("configMap", "secret", "projected", "downwardAPI")
_READ_BY_ALL: Final = 0o644
_TOKEN_SECONDS: Final = 3600
GRACE_SECONDS: Final = 30


def fill_pod_spec(spec: Document) -> None:
    """A pod's spec, in a pod or in a template."""
    _fill(spec, _POD)
    spec.setdefault("terminationGracePeriodSeconds", GRACE_SECONDS)
    spec.setdefault("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def fill_pod(document: Document) -> None:
    """A pod: who is limited and says nothing else asks for as much."""
    spec = document.setdefault("spec", {})
    fill_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    for container in containers:
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
        for port in container.get("ports") or () if spec.get("hostNetwork") else ():
            port["hostPort"] = port.get("hostPort") or port.get("containerPort", 0)


def _fill(target: Document, values: dict[str, Any]) -> None:
    """What is absent or empty."""
    for key, value in values.items():
        if not target.get(key):
            target[key] = value


def _container(container: Document) -> None:
    image = container.get("image", "")
    tagged = ":" in image.rpartition("/")[2] and not image.endswith(":latest")
    pull = "IfNotPresent" if tagged or "@" in image else "Always"
    path = "/dev/termination-log"
    texts = {"terminationMessagePath": path, "terminationMessagePolicy": "File", "imagePullPolicy": pull}
    _fill(container, texts)
    container.setdefault("resources", {})
    for port in container.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
    for name in _PROBES:
        if name in container:
            _fill(container[name], _PROBE)
            _handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, {"apiVersion": "v1"})


def _handler(handler: Document) -> None:
    if "httpGet" in handler:
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})


def _volume(volume: Document) -> None:
    if len(volume) <= ("name" in volume):
        volume["emptyDir"] = {}
    for source in _WITH_MODE:
        if source in volume:
            volume[source].setdefault("defaultMode", _READ_BY_ALL)
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for part in (volume.get("projected") or {}).get("sources") or ():
        items += (part.get("downwardAPI") or {}).get("items") or ()
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", _TOKEN_SECONDS)
    for item in items:
        if "fieldRef" in item:
            _fill(item["fieldRef"], {"apiVersion": "v1"})
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
