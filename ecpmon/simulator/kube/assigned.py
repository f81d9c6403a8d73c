"""What the API server gives an object by itself: addresses and ports of services, the phase that it begins in."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from ecpmon.kube.causes import Document
from ecpmon.kube.services import FIRST_NODE_PORT, LAST_NODE_PORT
from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.model.definitions import CLEANUP, CRDS

_OUTSIDE: Final = ("NodePort", "LoadBalancer")


def assign(resource: Resource, document: Document) -> None:
    """In place, after the defaults. What is given follows from the object's name, in every simulation alike."""
    give = _GIVERS.get(resource.name)
    if give is not None:
        give(document)


def _service(document: Document) -> None:
    spec = document["spec"]
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _address(document)
    if not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["type"] in _OUTSIDE:
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                choice = _number(document, port.get("port")) % (LAST_NODE_PORT - FIRST_NODE_PORT + 1)
                port["nodePort"] = FIRST_NODE_PORT + choice


def _number(document: Document, *more: Any) -> int:
    metadata = document["metadata"]
    text = "/".join(map(str, (metadata.get("namespace"), metadata.get("name"), *more)))
    return int.from_bytes(sha256(text.encode()).digest()[:4])


def _address(document: Document) -> str:
    """A cluster IP that is the same for the same service in every simulation."""
    number = _number(document)
    return f"10.{96 + number % 16}.{number // 16 % 256}.{1 + number // 4096 % 254}"


def _namespace(document: Document) -> None:
    name = document["metadata"].get("name", "")
    document["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    document.setdefault("status", {}).setdefault("phase", "Active")


def _definition(document: Document) -> None:
    metadata = document["metadata"]
    if not metadata.get("deletionTimestamp") and CLEANUP not in metadata.get("finalizers", ()):
        metadata["finalizers"] = [*metadata.get("finalizers", ()), CLEANUP]


def _claim(document: Document) -> None:
    document.setdefault("status", {}).setdefault("phase", "Pending")


_GIVERS: Final[dict[str, Callable[[Document], None]]] = {
    "services": _service,
    CRDS: _definition,
    "namespaces": _namespace,
    "persistentvolumeclaims": _claim,
}
