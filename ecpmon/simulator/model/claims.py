"""PersistentVolumeClaims: bound to a disk when they may be, and there until nobody uses them any more.

The cluster has disks of its own, which the class `standard` gives out when the first pod that wants one is placed.
A class with another provisioner gets nothing: nobody here provisions for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ecpmon.simulator.model import happenings
from ecpmon.simulator.model.document_draft import DEFAULT_CLASS, PROVISIONER, STORAGE_CLASSES
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.objects import Manifest, Meta
from ecpmon.simulator.model.quantities import quantity
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.times import SECOND, Micros, parsed, timestamp

VOLUMES: Final = "persistentvolumes"
LOOK: Final = "claims:look"
PROTECTION: Final = "kubernetes.io/pvc-protection"
_CONTROLLER: Final = "persistentvolume-controller"
_SETTLING: Final[Micros] = SECOND  # what the controllers need to notice a claim, or that it may go


def with_storage_class(state: ClusterState) -> ClusterState:
    """A state of before there were classes, with the one that a new cluster has."""
    draft = Draft(state)
    draft.open_storage_class()
    return draft.freeze(state.now)


def admitted(draft: Draft, document: Document) -> Document:
    """A new claim as admission leaves it: with the default class where it names none, and protected."""
    spec, metadata = document.get("spec") or {}, document["metadata"]
    if "storageClassName" not in spec:
        default = _default_class(draft)
        if default is not None:
            spec = {**spec, "storageClassName": default}
    held = metadata.get("finalizers") or []
    if PROTECTION not in held:
        metadata = {**metadata, "finalizers": [*held, PROTECTION]}
    return {**document, "metadata": metadata, "spec": spec}


def expect(draft: Draft, namespace: str) -> None:
    """Look at the namespace's claims again when their controllers have noticed."""
    draft.capacity_changed = True
    draft.push(draft.now + _SETTLING, LOOK, namespace)


def mark(draft: Draft, key: ObjectKey, claim: Document) -> None:
    """Have the claim go as soon as nobody uses it."""
    if not claim["metadata"].get("deletionTimestamp"):
        marks = {"deletionTimestamp": timestamp(draft.now), "deletionGracePeriodSeconds": 0}
        draft.put_object(key, {**claim, "metadata": {**claim["metadata"], **marks}})
        expect(draft, key.namespace)


def names_in(spec: Manifest) -> list[str]:
    """The claims that a pod mounts."""
    found = (
        (volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in spec.get("volumes") or ()
    )
    return [str(name) for name in found if name]


def trouble(draft: Draft, namespace: str, spec: Manifest) -> str:
    """Why the pod cannot have its volumes, as kube-scheduler says it; empty when it can."""
    for name in names_in(spec):
        claim = draft.object(ObjectKey(CLAIMS, namespace, name))
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if claim["metadata"].get("deletionTimestamp"):
            return f'persistentvolumeclaim "{name}" is being deleted'
        if _is_bound(claim) or _available(draft, claim) is not None:
            continue
        found = _class_of(draft, claim)
        if found is None or found.get("volumeBindingMode") != "WaitForFirstConsumer":
            return "pod has unbound immediate PersistentVolumeClaims"
        if found.get("provisioner") != PROVISIONER:
            return "node(s) didn't find available persistent volumes to bind"
    return ""


def bind_all(draft: Draft, namespace: str, spec: Manifest) -> None:
    """Give a pod that is being placed the disks that it waits for; `trouble` has found nothing against it."""
    for name in names_in(spec):
        claim = draft.object(ObjectKey(CLAIMS, namespace, name))
        if claim is not None and not _is_bound(claim):
            _bind(draft, claim)


def follow(draft: Draft, namespace: str) -> None:
    """What the controllers of a namespace's claims do now."""
    claims = draft.objects_of(namespace, CLAIMS)
    if not claims:
        return
    used = _used(draft, namespace)
    for claim in claims:
        key = ObjectKey(CLAIMS, namespace, claim["metadata"]["name"])
        if claim["metadata"].get("deletionTimestamp"):
            if key.name not in used and not _is_fresh(draft, claim, "deletionTimestamp"):
                _let_go(draft, key, claim)
        elif not _is_bound(claim) and not _is_fresh(draft, claim, "creationTimestamp"):
            _pursue(draft, claim)


def release(draft: Draft, claim: Document) -> None:
    """The claim goes: so does the disk that was made for it; one that is to be kept is nobody's from now on."""
    name = (claim.get("spec") or {}).get("volumeName")
    key = ObjectKey(VOLUMES, "", str(name))
    volume = draft.object(key) if name else None
    if volume is None:
        return
    if (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Delete":
        draft.drop_object(key)
    else:
        draft.put_object(key, {**volume, "status": {"phase": "Released"}})


def _is_fresh(draft: Draft, claim: Document, since: str) -> bool:
    """Whether what happened to the claim at `since` is not noticed yet."""
    return draft.now - parsed(claim["metadata"][since]) < _SETTLING


def _used(draft: Draft, namespace: str) -> set[str]:
    """The claims of pods that have a node and have not ended, the last seconds of terminating ones included."""
    pods = [p for p in draft.pods_within(namespace) if p.node is not None and not p.over]
    pods += [p for p in draft.terminating.values() if p.meta.namespace == namespace]
    return {name for pod in pods for name in names_in(draft.manifest_of(pod)["spec"])}


def _let_go(draft: Draft, key: ObjectKey, claim: Document) -> None:
    left = [name for name in claim["metadata"].get("finalizers") or () if name != PROTECTION]
    if not left:
        release(draft, claim)
        draft.drop_object(key)
    elif len(left) < len(claim["metadata"]["finalizers"]):
        draft.put_object(key, {**claim, "metadata": {**claim["metadata"], "finalizers": left}})


def _pursue(draft: Draft, claim: Document) -> None:
    """Bind what does not wait for a pod; say why the rest is not bound."""
    name = (claim.get("spec") or {}).get("storageClassName")
    found = _class_of(draft, claim)
    if _available(draft, claim) is not None or (
        found is not None and found.get("volumeBindingMode") != "WaitForFirstConsumer"
        and found.get("provisioner") == PROVISIONER
    ):  # fmt: skip
        _bind(draft, claim)
        draft.capacity_changed = True
    elif found is None and name:
        _tell(
            draft,
            claim,
            "ProvisioningFailed",
            f'storageclass.storage.k8s.io "{name}" not found',
            warning=True,
        )
    elif found is None:
        why = "no persistent volumes available for this claim and no storage class is set"
        _tell(draft, claim, "FailedBinding", why)
    elif found.get("volumeBindingMode") == "WaitForFirstConsumer":
        _tell(draft, claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    else:
        why = (
            f"Waiting for a volume to be created either by the external provisioner '{found.get('provisioner')}' or "
            "manually by the system administrator. If volume creation is delayed, please verify that the provisioner "
            "is running and correctly registered."
        )
        _tell(draft, claim, "ExternalProvisioning", why)


def _tell(draft: Draft, claim: Document, reason: str, message: str, *, warning: bool = False) -> None:
    metadata = claim["metadata"]
    meta = Meta(metadata["name"], metadata["namespace"], metadata["uid"], 0, 0)
    # Looked at again whenever anything happens in the namespace: said once.
    if not happenings.is_known(draft, meta, reason, message, component=_CONTROLLER):
        kind = "PersistentVolumeClaim"
        happenings.record(draft, kind, meta, reason, message, component=_CONTROLLER, warning=warning)


def _bind(draft: Draft, claim: Document) -> None:
    volume = _available(draft, claim) or _made(draft, claim)
    metadata, spec = claim["metadata"], claim["spec"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    bound = {**volume, "spec": {**volume["spec"], "claimRef": reference}, "status": {"phase": "Bound"}}
    name = volume["metadata"]["name"]
    draft.put_object(ObjectKey(VOLUMES, "", name), bound)
    modes, size = volume["spec"].get("accessModes") or [], volume["spec"].get("capacity") or {}
    status = {"phase": "Bound", "accessModes": modes, "capacity": size}
    key = ObjectKey(CLAIMS, metadata["namespace"], metadata["name"])
    draft.put_object(key, {**claim, "spec": {**spec, "volumeName": name}, "status": status}, followed=False)


def _made(draft: Draft, claim: Document) -> Document:
    """A new disk of the size that the claim asks for."""
    spec, metadata = claim["spec"], claim["metadata"]
    name = f"pvc-{metadata['uid']}"
    found = _class_of(draft, claim) or {}
    _tell(draft, claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            **draft.identity(ObjectKey(VOLUMES, "", name)),
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": {
                "storage": ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
            },
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": found.get("reclaimPolicy") or "Delete",
            "storageClassName": spec.get("storageClassName") or "",
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "csi": {"driver": PROVISIONER, "volumeHandle": name},
        },
    }


def _available(draft: Draft, claim: Document) -> Document | None:
    """The smallest volume that somebody has made and nobody has taken, and that fits."""
    spec, metadata = claim.get("spec") or {}, claim["metadata"]
    size = quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
    fitting = [v for v in _free(draft, metadata) if _fits(v, spec) and _size(v) >= size]
    return min(fitting, key=lambda v: (_size(v), v["metadata"]["name"]), default=None)


def _free(draft: Draft, metadata: Mapping[str, str]) -> Iterator[Document]:
    for volume in draft.objects_of("", VOLUMES):
        taken = (volume.get("spec") or {}).get("claimRef")
        ours = taken and (taken.get("namespace"), taken.get("name")) == (
            metadata["namespace"],
            metadata["name"],
        )
        released = (volume.get("status") or {}).get("phase") == "Released"
        if (not taken or (ours and taken.get("uid") in (None, "", metadata["uid"]))) and not released:
            yield volume


def _fits(volume: Document, claim: Manifest) -> bool:
    spec, named = volume["spec"], claim.get("volumeName")
    same = (spec.get("storageClassName") or "") == (claim.get("storageClassName") or "")
    modes = set(claim.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
    return same and modes and named in (None, "", volume["metadata"]["name"])


def _size(volume: Document) -> float:
    return float(quantity((volume["spec"].get("capacity") or {}).get("storage", 0)))


def _is_bound(claim: Document) -> bool:
    return bool((claim.get("status") or {}).get("phase") == "Bound")


def _class_of(draft: Draft, claim: Document) -> Document | None:
    """None as well for `""`, which wants a volume that somebody makes."""
    name = (claim.get("spec") or {}).get("storageClassName")
    if name is None:
        name = _default_class(draft)
    return draft.object(ObjectKey(STORAGE_CLASSES, "", str(name))) if name else None


def _default_class(draft: Draft) -> str | None:
    for found in draft.objects_of("", STORAGE_CLASSES):
        if (found["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
            return str(found["metadata"]["name"])
    return None
