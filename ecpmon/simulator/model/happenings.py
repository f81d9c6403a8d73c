"""Kubernetes Events: bounded per namespace, the same thing again only counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model.hashing import digest
from ecpmon.simulator.model.objects import Happening, Meta
from ecpmon.simulator.model.state import MAX_HAPPENINGS, Draft

_VERSIONS: Final = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}
KUBELET: Final = "kubelet"
SCHEDULER: Final = "default-scheduler"


def _name(draft: Draft, meta: Meta, reason: str, message: str, component: str) -> str:
    return f"{meta.name}.{digest(draft.seed, meta.uid, reason, message, component):016x}"


def is_known(draft: Draft, meta: Meta, reason: str, message: str, *, component: str) -> bool:
    """Whether this was written down before, as far as that is remembered."""
    known = draft.happenings.get(meta.namespace or "default", {})
    return _name(draft, meta, reason, message, component) in known


def record(
    draft: Draft, kind: str, meta: Meta, reason: str, message: str, *, component: str, warning: bool = False
) -> None:
    """Write down that something happened to an object now."""
    namespace = meta.namespace or "default"
    found = draft.writable_happenings(namespace)
    name = _name(draft, meta, reason, message, component)
    before = found.pop(name, None)
    if before is None:
        before = Happening(
            resource_version=0,
            api_version=_VERSIONS.get(kind, "v1"),
            kind=kind,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            reason=reason,
            message=message,
            warning=warning,
            component=component,
            first=draft.now,
            last=draft.now,
            count=0,
        )
    found[name] = replace(
        before, resource_version=draft.next_revision(), last=draft.now, count=before.count + 1
    )
    while len(found) > MAX_HAPPENINGS:
        oldest = next(iter(found))
        del found[oldest]
        draft.bury("events", namespace, oldest)
