"""What controllers that are kept as documents share: their group of pods, making and removing these, revisions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from ecpmon.simulator.model import admission, happenings
from ecpmon.simulator.model.controllers import RETRY, STIR, admit_pod, drop, is_available, min_ready
from ecpmon.simulator.model.hashing import name_suffix, uid
from ecpmon.simulator.model.keys import Document, ObjectKey, Refused
from ecpmon.simulator.model.manifests import annotations_of, fault_of, startup_of_manifest, task_of
from ecpmon.simulator.model.objects import Manifest, Meta, Owner
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quantities import requests_of
from ecpmon.simulator.model.quotas import check_quota
from ecpmon.simulator.model.state import Draft

REVISION_LABEL: Final = "controller-revision-hash"
REVISIONS: Final = "controllerrevisions.apps"
_MARK: Final = "|"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pod that a controller wants: the template's spec, changed, and what comes to its labels and annotations."""

    name: str
    spec: Manifest
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


def group_of(key: ObjectKey) -> str:
    """Under which key `pods_of` holds the pods of this controller."""
    return f"{key.resource}{_MARK}{key.namespace}/{key.name}"


def is_group(group: str) -> bool:
    """Whether it is one of a controller that is kept as a document."""
    return _MARK in group


def key_of(group: str) -> ObjectKey:
    """The reverse of `group_of`."""
    resource, _, path = group.partition(_MARK)
    return ObjectKey(resource, *path.split("/", 1))


def meta_of(found: Document) -> Meta:
    """As much of an object's identity as its events need."""
    metadata = found["metadata"]
    return Meta(metadata["name"], metadata["namespace"], metadata["uid"], 0, 0)


def tell(draft: Draft, found: Document, reason: str, message: str, *, warning: bool = False) -> None:
    """An Event about a controller's object, from its controller."""
    kind = found["kind"]
    component = f"{kind.lower()}-controller"
    happenings.record(draft, kind, meta_of(found), reason, message, component=component, warning=warning)


def make_pod(draft: Draft, key: ObjectKey, found: Document, wanted: Wanted, template: Manifest) -> bool:
    """Create a pod of the controller; a refusal is written down, and tried again later."""
    try:
        pod = _pod(draft, key, found, wanted, template)
    except Refused as error:
        tell(draft, found, "FailedCreate", f"Error creating: {error.message}", warning=True)
        draft.push_once(draft.now + RETRY, STIR, group_of(key))
        return False
    admit_pod(draft, pod)
    tell(draft, found, "SuccessfulCreate", f"Created pod: {wanted.name}")
    return True


def _pod(draft: Draft, key: ObjectKey, found: Document, wanted: Wanted, template: Manifest) -> Pod:
    about = ObjectKey("pods", key.namespace, wanted.name)
    admission.check_namespace(draft, about)
    admission.check_number(draft, about, group_of(key))
    spec = admission.admitted(draft, about, wanted.spec)
    check_quota(draft, about, {"spec": spec})
    written = template.get("metadata") or {}
    labels = {**(written.get("labels") or {}), **wanted.labels}
    annotations = {**(written.get("annotations") or {}), **wanted.annotations}
    stated = {**annotations_of(found), **annotations}
    serial = draft.next_revision()
    metadata = {"labels": labels, **({"annotations": annotations} if annotations else {})}
    return Pod(
        meta=Meta(
            name=wanted.name,
            namespace=key.namespace,
            uid=uid(draft.seed, "pod", wanted.name, serial),
            created_at=draft.now,
            resource_version=serial,
            labels=labels,
            owners=(Owner(found["kind"], key.name, found["metadata"]["uid"]),),
        ),
        tenant_id="",
        service="",
        deployment="",
        replica_set="",
        resources=requests_of(spec),
        manifest={"metadata": metadata, "spec": spec},
        startup=startup_of_manifest(stated, spec),
        fault=fault_of(spec),
        controller=group_of(key),
        task=task_of(stated, spec),
    )


def remove_pod(draft: Draft, found: Document, pod: Pod) -> None:
    drop(draft, pod)
    tell(draft, found, "SuccessfulDelete", f"Deleted pod: {pod.meta.name}")


def drop_pods(draft: Draft, key: ObjectKey) -> None:
    """The controller goes, and its pods with it."""
    for pod in draft.pods_in(group_of(key)):
        drop(draft, pod)
    draft.pods_of.pop(group_of(key), None)


def free_pods(draft: Draft, key: ObjectKey) -> None:
    """The controller goes, and leaves its pods to nobody."""
    pods = draft.pods_in(group_of(key))
    draft.pods_of.pop(group_of(key), None)
    draft.pods_of[""] = (*draft.pods_of.get("", ()), *(pod.meta.key for pod in pods))
    for pod in pods:
        draft.put_pod(replace(pod, controller="", meta=replace(pod.meta, owners=())))


def suffix(draft: Draft, found: Document) -> str:
    """Five letters that no pod of the object had before."""
    return name_suffix(5, draft.seed, found["metadata"]["uid"], draft.next_revision())


def set_status(draft: Draft, key: ObjectKey, found: Document, status: Document) -> None:
    if found.get("status") != status:
        draft.put_object(key, {**found, "status": status}, followed=False)


def availables(draft: Draft, key: ObjectKey, found: Document, pods: list[Pod]) -> int:
    """How many are ready for minReadySeconds; who is not yet is looked at again when it is."""
    settle = min_ready(found)
    for pod in pods:
        if settle and pod.ready_since == draft.now:
            draft.push(draft.now + settle, STIR, group_of(key))
    return sum(is_available(draft, pod, settle) for pod in pods)


# Revisions: the templates that a StatefulSet or a DaemonSet had, by the hash in its pods' labels.


def revision_of(draft: Draft, key: ObjectKey, found: Document) -> str:
    """The hash of the present template, which is kept as a ControllerRevision."""
    template = found["spec"]["template"]
    text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS).decode()
    hashed = name_suffix(10, draft.seed, "revision", text)
    own = _revisions(draft, key)
    newest = max((r["revision"] for r in own), default=0)
    name = ObjectKey(REVISIONS, key.namespace, f"{key.name}-{hashed}")
    known = draft.object(name)
    if known is None or known["revision"] != newest:
        draft.put_object(name, _revision(draft, name, found, hashed, newest + 1, known))
    return hashed


def _revision(
    draft: Draft, name: ObjectKey, found: Document, hashed: str, number: int, known: Document | None
) -> Document:
    owner = {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "name": found["metadata"]["name"],
        "uid": found["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {**((found["spec"].get("selector") or {}).get("matchLabels") or {}), REVISION_LABEL: hashed}
    identity = known["metadata"] if known else draft.identity(name)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**identity, "labels": labels, "ownerReferences": [owner]},
        "data": {"spec": {"template": {**found["spec"]["template"], "$patch": "replace"}}},
        "revision": number,
    }


def _revisions(draft: Draft, key: ObjectKey) -> list[Document]:
    found = draft.object(key)
    identity = found["metadata"]["uid"] if found else ""
    return [
        revision
        for revision in draft.objects_of(key.namespace, REVISIONS)
        if any(owner["uid"] == identity for owner in revision["metadata"].get("ownerReferences") or ())
    ]


def template_of(draft: Draft, key: ObjectKey, found: Document, hashed: str) -> Manifest:
    """The template of a revision; the present one where that is not kept any more."""
    known = draft.object(ObjectKey(REVISIONS, key.namespace, f"{key.name}-{hashed}"))
    template: Manifest = known["data"]["spec"]["template"] if known else found["spec"]["template"]
    return {name: value for name, value in template.items() if name != "$patch"}


def forget_revisions(draft: Draft, key: ObjectKey, found: Document, used: set[str]) -> None:
    """Keep revisionHistoryLimit of those that no pod has."""
    limit = found["spec"].get("revisionHistoryLimit")
    own = sorted(_revisions(draft, key), key=lambda revision: revision["revision"])
    spare = [r for r in own if r["metadata"]["labels"][REVISION_LABEL] not in used]
    for revision in spare[: max(0, len(spare) - (10 if limit is None else int(limit)))]:
        draft.drop_object(ObjectKey(REVISIONS, key.namespace, revision["metadata"]["name"]))
