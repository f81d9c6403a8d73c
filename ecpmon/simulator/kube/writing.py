"""Creating, replacing, patching and deleting: pure, one state in and one out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ecpmon.kube.causes import unsupported
from ecpmon.simulator.kube.apply import apply
from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.checking import Write, checked, checked_types, stored
from ecpmon.simulator.kube.custom import in_version
from ecpmon.simulator.kube.ownership import APPLY, UPDATE, Manager, after_update
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import (
    ApiError,
    Document,
    already_exists,
    bad_request,
    conflict,
    invalid,
    modified,
    success,
)
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.hashing import name_suffix
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND, rfc3339

# What the server alone writes; a client's word on these is not heard.
_SERVER_FIELDS: Final = (
    "uid", "creationTimestamp", "generation", "resourceVersion", "selfLink", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip
_SUFFIX_LENGTH: Final = 5


Patch = Callable[[Document], Document]


def now_of(state: ClusterState) -> str:
    """Simulated now as Kubernetes writes times: whole seconds."""
    return rfc3339(state.now // SECOND * SECOND).split(".")[0].removesuffix("Z") + "Z"


def create(
    state: ClusterState, target: Target, body: Document, write: Write
) -> tuple[ClusterState, Document]:
    """A new object. ApiError 409 when the name is taken, 400 and 422 for a wrong body."""
    resource = target.resource
    _check_open(resource)
    document = _identified(target, body)
    metadata = {k: v for k, v in document["metadata"].items() if k not in (*_SERVER_FIELDS, "managedFields")}
    if document["metadata"].get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = _generated(state, target, str(metadata["generateName"]))
    document = {**document, "metadata": metadata}
    if resource.has_status:
        document.pop("status", None)
    key = cluster.ObjectKey(resource.name, target.namespace, str(metadata.get("name", "")))
    if metadata.get("name") and cluster.get(state, key) is not None:
        raise already_exists(resource.plural, resource.group, key.name)
    document = checked(resource, document, None, write)
    owners = after_update(None, document, resource, Manager(write.manager, UPDATE), now_of(state))
    return cluster.put(state, key, managed(document, owners))


def _check_open(resource: Resource) -> None:
    """ApiError 405 where the definition of the kind is being deleted."""
    if resource.custom and resource.custom.ending:
        what = "create not allowed while custom resource definition is terminating"
        raise ApiError(405, "MethodNotAllowed", what)


def _generated(state: ClusterState, target: Target, prefix: str) -> str:
    for attempt in range(8):
        suffix = name_suffix(
            _SUFFIX_LENGTH, state.seed, target.resource.name, prefix, state.revision, attempt
        )
        name = prefix[: 63 - _SUFFIX_LENGTH] + suffix
        key = cluster.ObjectKey(target.resource.name, target.namespace, name)
        if cluster.get(state, key) is None:
            return name
    raise already_exists(target.resource.plural, target.resource.group, prefix)


def _identified(target: Target, body: Document) -> Document:
    """The body with apiVersion, kind, name and namespace as the path says; ApiError 400 where they differ."""
    resource = target.resource
    for name, expected in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        found = body.get(name)
        if found and found != expected:
            what = "API version" if name == "apiVersion" else "kind"
            raise bad_request(
                f"the {what} in the data ({found}) does not match the expected {what} ({expected})"
            )
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    metadata = dict(metadata or {})
    if target.name:
        found = metadata.setdefault("name", target.name)
        if found != target.name:
            raise bad_request(
                f"the name of the object ({found}) does not match the name on the URL ({target.name})"
            )
    if resource.namespaced:
        if metadata.get("namespace") not in (None, "", target.namespace):
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = target.namespace
    else:
        metadata.pop("namespace", None)
    rest = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **rest}


def replace(
    state: ClusterState, target: Target, body: Document, write: Write
) -> tuple[ClusterState, Document]:
    """PUT of an object or of its status. ApiError 404, 409 when it was changed meanwhile, 400, 422."""
    old = existing(state, target)
    return _update(state, target, old, _identified(target, body), write)


def patch(state: ClusterState, target: Target, change: Patch, write: Write) -> tuple[ClusterState, Document]:
    """PATCH with anything but server-side apply; `change` makes the new object from the stored one."""
    old = existing(state, target)
    return _update(state, target, old, _identified(target, change(old)), write)


def existing(state: ClusterState, target: Target) -> Document:
    """The stored object; ApiError 404."""
    found = cluster.get(state, target.key)
    if found is None:
        raise target.not_found()
    return in_version(found, target.resource)


def _update(
    state: ClusterState, target: Target, old: Document, new: Document, write: Write
) -> tuple[ClusterState, Document]:
    resource = target.resource
    check_version(resource, old, new["metadata"])
    sub = target.subresource.name if target.subresource else ""
    if sub == "status":
        new = {**old, "status": new.get("status", {})}
        if resource.custom:
            new = checked(resource, new, old, write)
        else:
            new = stored(resource, checked_types(resource, new, write))
    else:
        new = checked(resource, _carried(resource, old, new), old, write)
    base, sent = old, new["metadata"].get("managedFields")
    if sent is not None and sent != old["metadata"].get("managedFields"):
        # Somebody edits the ownership itself, as kubectl does when it moves to server-side apply.
        base = managed(old, sent)
    elif _plain(new) == _plain(old):
        return state, old
    owners = after_update(base, new, resource, Manager(write.manager, UPDATE, sub), now_of(state))
    return _stored(state, target, managed(new, owners), sub)


def _carried(resource: Resource, old: Document, new: Document) -> Document:
    """The new object with what a client cannot change taken from the old one."""
    metadata = {key: value for key, value in new["metadata"].items() if key not in _SERVER_FIELDS}
    metadata |= {key: old["metadata"][key] for key in _SERVER_FIELDS if key in old["metadata"]}
    result = {**new, "metadata": metadata}
    if resource.has_status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def check_version(resource: Resource, old: Document, sent: Document) -> None:
    name = old["metadata"]["name"]
    version = sent.get("resourceVersion")
    if version and version != old["metadata"].get("resourceVersion"):
        raise modified(resource.plural, resource.group, name)
    uid, found = sent.get("uid"), old["metadata"].get("uid")
    if uid and uid != found:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
        raise conflict(resource.plural, resource.group, name, why)


def _stored(
    state: ClusterState, target: Target, document: Document, sub: str
) -> tuple[ClusterState, Document]:
    """Put it; an object under deletion goes when its last finalizer does."""
    metadata = document["metadata"]
    ended = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
    if ended and not sub and (existing(state, target)["metadata"].get("finalizers")):
        return cluster.remove(state, target.key)
    if sub == "status":
        return cluster.put(state, target.key, document, subresource="status")
    return cluster.put(state, target.key, document)


def apply_patch(
    state: ClusterState, target: Target, body: Document, write: Write
) -> tuple[ClusterState, tuple[Document, bool]]:
    """Server-side apply; the answer is the object and whether it was created."""
    resource = target.resource
    for name in ("apiVersion", "kind"):
        if not body.get(name):
            raise bad_request(f"the applied object must have {name}")
    applied = _identified(target, body)
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    sub = target.subresource.name if target.subresource else ""
    applied = checked_types(resource, _only(resource, applied, sub), write)
    if cluster.get(state, target.key) is None:
        if sub:
            raise target.not_found()
        return _applied_new(state, target, applied, write)
    live = existing(state, target)
    check_version(resource, live, applied["metadata"])
    manager = Manager(write.manager, APPLY, sub)
    asked = {k: v for k, v in applied["metadata"].items() if k not in _SERVER_FIELDS}
    merged = apply(
        live, {**applied, "metadata": asked}, resource, manager, force=write.force, now=now_of(state)
    )
    if merged is live:
        return state, (live, False)
    if not sub or resource.custom:
        merged = checked(resource, merged, live, write)
    state, document = _stored(state, target, merged, sub)
    return state, (document, False)


def _only(resource: Resource, applied: Document, sub: str) -> Document:
    """What this endpoint takes of the object: everything but the status, or nothing but it."""
    if sub == "status":
        return {k: applied[k] for k in ("apiVersion", "kind", "metadata", "status") if k in applied}
    if resource.has_status:
        return {key: value for key, value in applied.items() if key != "status"}
    return applied


def _applied_new(
    state: ClusterState, target: Target, applied: Document, write: Write
) -> tuple[ClusterState, tuple[Document, bool]]:
    if applied["metadata"].get("uid") or applied["metadata"].get("resourceVersion"):
        raise conflict(
            target.resource.plural, target.resource.group, target.name, "the object does not exist"
        )
    _check_open(target.resource)
    manager = Manager(write.manager, APPLY)
    document = apply(None, applied, target.resource, manager, force=write.force, now=now_of(state))
    document = checked(target.resource, document, None, write)
    state, document = cluster.put(state, target.key, document)
    return state, (document, True)


def delete(state: ClusterState, target: Target, options: Document) -> tuple[ClusterState, Document]:
    """Remove an object, or mark it while finalizers hold it. The answer is the object or a `Status`."""
    old = existing(state, target)
    resource = target.resource
    conditions = options.get("preconditions") or {}
    check_version(resource, old, conditions)
    propagation = _propagation(options)
    if old["metadata"].get("finalizers"):
        if old["metadata"].get("deletionTimestamp"):
            return state, old
        marks = {"deletionTimestamp": now_of(state), "deletionGracePeriodSeconds": 0}
        return cluster.put(state, target.key, {**old, "metadata": {**old["metadata"], **marks}})
    state, removed = cluster.remove(state, target.key, propagation=propagation)
    left = cluster.get(state, target.key)
    if left is not None and left["metadata"]["uid"] == old["metadata"]["uid"]:
        return state, left
    if resource.name == "pods":
        return state, removed
    about = {"name": target.name, "group": resource.group, "kind": resource.plural}
    details = {key: value for key, value in about.items() if value}
    return state, success({**details, "uid": old["metadata"].get("uid", "")})


def _propagation(options: Document) -> str:
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents") is not None and policy is None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy not in (None, "Background", "Foreground", "Orphan"):
        cause = unsupported("propagationPolicy", policy, ["Background", "Foreground", "Orphan"])
        raise invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    return policy or "Background"


def managed(document: Document, entries: list[Document]) -> Document:
    return {**document, "metadata": {**document["metadata"], "managedFields": entries}}


def _plain(document: Document) -> Any:
    skipped = ("managedFields", "resourceVersion")
    metadata = {key: value for key, value in document["metadata"].items() if key not in skipped}
    return {**document, "metadata": metadata}
