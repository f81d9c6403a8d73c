"""The `/resize` subresource of pods; pure."""

from __future__ import annotations

from ecpmon.kube.defaults import fill_defaults
from ecpmon.kube.resizing import resize_causes, resized
from ecpmon.simulator.kube.checking import Write, checked_types
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import Document, bad_request, invalid
from ecpmon.simulator.kube.writing import Patch, check_version, existing
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState


def resize(state: ClusterState, target: Target, change: Patch, write: Write) -> tuple[ClusterState, Document]:
    """A write to `/resize`. ApiError 400 for a wrong form, 409 when it was changed meanwhile, 422 for what a resize
    may not change."""
    old, resource = existing(state, target), target.resource
    asked = change(old)
    if asked.get("kind", resource.kind) != resource.kind:
        message = f"the kind in the data ({asked['kind']}) does not match the expected kind ({resource.kind})"
        raise bad_request(message)
    asked = checked_types(resource, asked, write)
    check_version(resource, old, asked["metadata"])
    new = resized(old, asked)
    fill_defaults(resource.group, resource.kind, new)
    causes = list(resize_causes(new, old, asked))
    if causes:
        raise invalid(resource.kind, resource.group, target.name, causes)
    return cluster.resize(state, target.key, new)
