"""What a server lets a resize change of a pod: CPU and memory of its containers, and never its quality of service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube.causes import Causes, Document, forbidden, invalid
from ecpmon.kube.pods import spec_causes
from ecpmon.kube.quantities import parsed

RESIZABLE: Final = ("cpu", "memory")
_KINDS: Final = ("containers", "initContainers")


def resized(old: Document, asked: Document) -> Document:
    """The old pod with what a resize takes of the new one: resources and resize policies of containers of the same
    name at the same place. Everything else is passed over, as the server does."""
    spec = dict(old["spec"])
    for kind in _KINDS:
        before, after = spec.get(kind) or [], (asked.get("spec") or {}).get(kind) or []
        if [c.get("name") for c in before] == [c.get("name") for c in after]:
            spec[kind] = [_taken(one, other) for one, other in zip(before, after, strict=True)]
    return {**old, "spec": spec}


def _taken(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    kept = {key: value for key, value in before.items() if key not in ("resources", "resizePolicy")}
    return {**kept, **{key: after[key] for key in ("resources", "resizePolicy") if key in after}}


def resize_causes(new: Document, old: Document, asked: Document) -> Causes:
    """Everything wrong with a resize; `asked` is the pod as it was sent, `new` what of it is taken."""
    for kind in _KINDS:
        before, after = old["spec"].get(kind) or [], (asked.get("spec") or {}).get(kind) or []
        if len(before) != len(after):
            yield forbidden("spec", "containers may not be added or removed on resize")
            return
        if [c.get("name") for c in before] != [c.get("name") for c in after]:
            yield forbidden("spec", "containers may not be renamed or reordered on resize")
            return
    yield from spec_causes(new["spec"], "spec", is_pod=True)
    if quality(new["spec"]) != quality(old["spec"]):
        detail = "Pod QOS Class may not change as a result of resizing"
        yield invalid("spec", quality(new["spec"]), detail)
    for kind in _KINDS:
        for index, (one, other) in enumerate(
            zip(old["spec"].get(kind) or (), new["spec"].get(kind) or (), strict=True)
        ):
            yield from _container(one, other, kind, f"spec.{kind}[{index}].resources")


def _container(old: Mapping[str, Any], new: Mapping[str, Any], kind: str, path: str) -> Causes:
    before, after = old.get("resources") or {}, new.get("resources") or {}
    if before == after:
        return
    if kind == "initContainers" and old.get("restartPolicy") != "Always":
        yield forbidden(path, "resources for non-sidecar init containers are immutable")
        return
    for what in ("requests", "limits"):
        was, now = before.get(what) or {}, after.get(what) or {}
        if any(name in was and name not in now for name in RESIZABLE):
            yield forbidden(f"{path}.{what}", f"resource {what} cannot be removed")
        if _others(was) != _others(now):
            yield forbidden("spec", "only cpu and memory resources are mutable")
    if before.get("claims") != after.get("claims"):
        yield forbidden("spec", "only cpu and memory resources are mutable")


def _others(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if name not in RESIZABLE}


def quality(spec: Mapping[str, Any]) -> str:
    """The QoS class: Guaranteed, Burstable or BestEffort, from the containers' CPU and memory."""
    guaranteed, anything = True, False
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        requests = {**limits, **(resources.get("requests") or {})}
        anything = anything or any(name in requests for name in RESIZABLE)
        for name in RESIZABLE:
            same = name in limits and parsed(str(limits[name]).strip()) == parsed(str(requests[name]).strip())
            guaranteed = guaranteed and same
    return "Guaranteed" if guaranteed else "Burstable" if anything else "BestEffort"
