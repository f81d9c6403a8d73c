"""StatefulSets: pods with an ordinal and disks of their own, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon.simulator.model import claims
from ecpmon.simulator.model.controllers import is_available, min_ready
from ecpmon.simulator.model.keys import Document, ObjectKey, Refused
from ecpmon.simulator.model.limits import check_claim
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quotas import CLAIMS, check_quota
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.workloads.owned import (
    REVISION_LABEL,
    Wanted,
    availables,
    forget_revisions,
    group_of,
    make_pod,
    remove_pod,
    revision_of,
    set_status,
    tell,
    template_of,
)

RESOURCE: Final = "statefulsets.apps"
_NAME: Final = "statefulset.kubernetes.io/pod-name"
_INDEX: Final = "apps.kubernetes.io/pod-index"


def reconcile(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Create what is missing, remove what is too much, replace what is old; in order, and only beside pods that are
    well, unless the policy is Parallel."""
    pods, ordinals = _by_ordinal(draft, key), _ordinals(found)
    update, current = _revisions(draft, key, found)
    parallel = found["spec"].get("podManagementPolicy") == "Parallel"
    settle = min_ready(found)
    for ordinal in ordinals:
        pod = pods.get(ordinal)
        if pod is None or pod.over:
            if pod is not None:
                remove_pod(draft, found, pod)
            hashed = update if ordinal >= _partition(found) or not current else current
            made = _is_free(draft, key, ordinal) and _make(draft, key, found, ordinal, hashed)
            if not (made and parallel):
                return
        elif not parallel and not is_available(draft, pod, settle):
            return
    condemned = sorted((n for n in pods if n not in ordinals), reverse=True)
    for ordinal in condemned if parallel else condemned[:1]:
        remove_pod(draft, found, pods[ordinal])
        _drop_claims(draft, key, found, ordinal, "whenScaled")
    if not condemned and not _stopping(draft, key):
        _replace(draft, found, [pods[n] for n in ordinals if n in pods], update)


def _replace(draft: Draft, found: Document, pods: list[Pod], update: str) -> None:
    """One pod of an old template at a time, the last one first, while all behind it are well."""
    if (found["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return
    settle, partition = min_ready(found), _partition(found)
    for pod in reversed(pods):
        if _ordinal(pod) < partition:
            return
        if _hash(pod) != update:
            remove_pod(draft, found, pod)
            return
        if not is_available(draft, pod, settle):
            return


def observe(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Counts and revisions; the new one is the current one once every pod has it and is ready."""
    pods = draft.pods_in(group_of(key))
    update, current = _revisions(draft, key, found)
    ready = sum(pod.serving for pod in pods)
    updated = sum(_hash(pod) == update for pod in pods)
    wanted = len(_ordinals(found))
    if not current or (updated == ready == len(pods) == wanted and not _stopping(draft, key)):
        current = update
    status: Document = {
        "observedGeneration": found["metadata"].get("generation", 1),
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": availables(draft, key, found, pods),
        "currentReplicas": sum(_hash(pod) == current for pod in pods),
        "updatedReplicas": updated,
        "currentRevision": f"{key.name}-{current}",
        "updateRevision": f"{key.name}-{update}",
        "collisionCount": 0,
    }
    kept = ("replicas", "availableReplicas", "collisionCount", "observedGeneration")
    set_status(draft, key, found, {k: v for k, v in status.items() if v or k in kept})
    forget_revisions(draft, key, found, {current, update} | {_hash(pod) for pod in pods})


def _ordinals(found: Document) -> range:
    start = int((found["spec"].get("ordinals") or {}).get("start") or 0)
    replicas = found["spec"].get("replicas")
    return range(start, start + (1 if replicas is None else int(replicas)))


def _partition(found: Document) -> int:
    rolling = (found["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def _revisions(draft: Draft, key: ObjectKey, found: Document) -> tuple[str, str]:
    """(of the template, of the pods before it); the second is empty at first."""
    before = str((found.get("status") or {}).get("currentRevision") or "")
    return revision_of(draft, key, found), before.removeprefix(f"{key.name}-")


def _hash(pod: Pod) -> str:
    return str(pod.meta.labels.get(REVISION_LABEL, "")).rpartition("-")[2]


def _ordinal(pod: Pod) -> int:
    return int(pod.meta.name.rpartition("-")[2])


def _by_ordinal(draft: Draft, key: ObjectKey) -> dict[int, Pod]:
    return {_ordinal(pod): pod for pod in draft.pods_in(group_of(key))}


def _stopping(draft: Draft, key: ObjectKey) -> bool:
    return any(pod.group == group_of(key) for pod in draft.terminating.values())


def _is_free(draft: Draft, key: ObjectKey, ordinal: int) -> bool:
    """Whether nobody has the pod's name, its predecessor's last seconds included."""
    path = f"{key.namespace}/{key.name}-{ordinal}"
    return path not in draft.terminating and path not in draft.pods


def _make(draft: Draft, key: ObjectKey, found: Document, ordinal: int, hashed: str) -> bool:
    name = f"{key.name}-{ordinal}"
    template = template_of(draft, key, found, hashed)
    if not _make_claims(draft, key, found, ordinal):
        return False
    labels = {_NAME: name, _INDEX: str(ordinal), REVISION_LABEL: f"{key.name}-{hashed}"}
    spec = {
        **template["spec"],
        "hostname": name,
        "subdomain": found["spec"].get("serviceName") or "",
        "volumes": _volumes(found, ordinal, template["spec"]),
    }
    return make_pod(draft, key, found, Wanted(name, spec, labels), template)


# Claims


def _templates(found: Document) -> list[Document]:
    return list(found["spec"].get("volumeClaimTemplates") or ())


def _claim_name(found: Document, template: Document, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{found['metadata']['name']}-{ordinal}"


def _volumes(found: Document, ordinal: int, spec: Manifest) -> list[Document]:
    """The template's volumes; those of its claims take the place of any of the same name."""
    own = {t["metadata"]["name"]: _claim_name(found, t, ordinal) for t in _templates(found)}
    claimed = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in own.items()]
    return claimed + [volume for volume in spec.get("volumes") or () if volume.get("name") not in own]


def _make_claims(draft: Draft, key: ObjectKey, found: Document, ordinal: int) -> bool:
    for template in _templates(found):
        about = ObjectKey(CLAIMS, key.namespace, _claim_name(found, template, ordinal))
        if draft.object(about) is not None:
            continue
        document = _claim(draft, found, template, about)
        try:
            check_claim(draft, about, document)
            check_quota(draft, about, document)
        except Refused as error:
            message = f"create Claim {about.name} for Pod {key.name}-{ordinal} failed error: {error.message}"
            tell(draft, found, "FailedCreate", message, warning=True)
            return False
        draft.put_object(about, document)
        claims.expect(draft, key.namespace)
        message = f"create Claim {about.name} Pod {key.name}-{ordinal} in StatefulSet {key.name} success"
        tell(draft, found, "SuccessfulCreate", message)
    return True


def _claim(draft: Draft, found: Document, template: Document, about: ObjectKey) -> Document:
    labels = (found["spec"].get("selector") or {}).get("matchLabels") or {}
    written = template.get("metadata") or {}
    metadata = {**draft.identity(about), "labels": {**(written.get("labels") or {}), **labels}}
    if written.get("annotations"):
        metadata["annotations"] = written["annotations"]
    spec = {"volumeMode": "Filesystem", **(template.get("spec") or {})}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return claims.admitted(
        draft, {**kind, "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
    )


def _drop_claims(draft: Draft, key: ObjectKey, found: Document, ordinal: int, when: str) -> None:
    policy = found["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if policy.get(when) != "Delete":
        return
    for template in _templates(found):
        about = ObjectKey(CLAIMS, key.namespace, _claim_name(found, template, ordinal))
        claim = draft.object(about)
        if claim is not None:
            claims.mark(draft, about, claim)


def drop_all_claims(draft: Draft, key: ObjectKey, found: Document) -> None:
    """What becomes of the disks of a StatefulSet that is deleted: they stay, unless it says otherwise."""
    wanted = _ordinals(found)
    claimed = {ordinal for ordinal in _claimed(draft, key, found) if ordinal in wanted}
    for ordinal in {*_by_ordinal(draft, key), *claimed}:
        _drop_claims(draft, key, found, ordinal, "whenDeleted")


def _claimed(draft: Draft, key: ObjectKey, found: Document) -> Iterator[int]:
    """The ordinals that have a claim. There may be two billion others."""
    starts = [f"{template['metadata']['name']}-{key.name}-" for template in _templates(found)]
    for claim in draft.objects_of(key.namespace, CLAIMS):
        name = claim["metadata"]["name"]
        for start in starts:
            if name.startswith(start) and name.removeprefix(start).isdecimal():
                yield int(name.removeprefix(start))
