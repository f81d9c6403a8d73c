"""Kubernetes documents of what the model keeps as values of its own; rendered once per value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.objects import Happening, Manifest, Meta, Owner, WorkloadCondition
from ecpmon.simulator.model.times import timestamp

_MAX_CACHED: Final = 24_000
T = TypeVar("T")


class Renderer:
    """Remembers documents by the identity of the values they were made from."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], tuple[tuple[object, ...], Document]] = {}

    def __call__(self, render: Callable[..., Document], *parts: object) -> Document:
        """`render(*parts)`, at once when it was made of the very same parts before."""
        key = tuple(map(id, parts))
        found = self._made.get(key)
        # The parts are kept alive beside their document, so that no other value can take their identity.
        if found is not None:
            return found[1]
        if len(self._made) >= _MAX_CACHED:
            for old in list(self._made)[: _MAX_CACHED // 4]:
                del self._made[old]
        document = render(*parts)
        self._made[key] = (parts, document)
        return document


rendered: Final = Renderer()


def metadata_of(meta: Meta, manifest: Manifest, *, generation: bool = True) -> Document:
    """ObjectMeta: what clients wrote, and what the server knows."""
    written = {k: v for k, v in (manifest.get("metadata") or {}).items() if v not in (None, {}, [])}
    document: Document = {"name": meta.name}
    if meta.namespace:
        document["namespace"] = meta.namespace
    document |= {
        "uid": meta.uid,
        "resourceVersion": str(meta.resource_version),
        **({"generation": meta.generation} if generation else {}),
        "creationTimestamp": timestamp(meta.created_at),
        **written,
    }
    if meta.owners:
        document["ownerReferences"] = [_owner(owner) for owner in meta.owners]
    return document


def _owner(owner: Owner) -> Document:
    return {
        "apiVersion": "batch/v1" if owner.kind == "Job" else "apps/v1",
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(found: WorkloadCondition) -> Document:
    return {
        "type": found.type,
        "status": found.status,
        "lastUpdateTime": timestamp(found.updated_at),
        "lastTransitionTime": timestamp(found.changed_at),
        "reason": found.reason,
        "message": found.message,
    }


def positive(**counts: int) -> dict[str, Any]:
    """Counts as Kubernetes writes them: those of 0 are left out."""
    return {name: count for name, count in counts.items() if count}


def happening_document(name: str, found: Happening) -> Document:
    """A v1 Event."""
    namespace = found.namespace or "default"
    about = {"namespace": found.namespace} if found.namespace else {}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{found.uid[:18]}-{name[-16:-12]}-{name[-12:]}",
            "resourceVersion": str(found.resource_version),
            "creationTimestamp": timestamp(found.first),
        },
        "involvedObject": {
            "apiVersion": found.api_version,
            "kind": found.kind,
            **about,
            "name": found.name,
            "uid": found.uid,
        },
        "reason": found.reason,
        "message": found.message,
        "type": "Warning" if found.warning else "Normal",
        "source": {"component": found.component},
        "reportingComponent": found.component,
        "reportingInstance": "",
        "firstTimestamp": timestamp(found.first),
        "lastTimestamp": timestamp(found.last),
        "eventTime": None,
        "count": found.count,
    }
