"""Deployment → ReplicaSet → Pod: keeps the wanted number of pods of the wanted template."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model import admission, happenings
from ecpmon.simulator.model.hashing import name_suffix, uid
from ecpmon.simulator.model.keys import ObjectKey, Refused
from ecpmon.simulator.model.manifests import fault_of, labels_of, startup_of_manifest, surge_and_unavailable
from ecpmon.simulator.model.objects import LABEL_TEMPLATE, Deployment, Manifest, Meta, Owner, ReplicaSet
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quantities import requests_of
from ecpmon.simulator.model.quotas import check_quota
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros

DEPLOYMENTS: Final = "deployment-controller"
REPLICA_SETS: Final = "replicaset-controller"
STIR: Final = "workload:stir"
RETRY: Final[Micros] = 30 * SECOND  # after a pod was refused
TERMINATION: Final[Micros] = 2 * SECOND  # a container needs this long to stop when it is told to


def reconcile_group(draft: Draft, group: str) -> None:
    """Bring a deployment or a bare replica set one move nearer to what is wanted of it."""
    deployment = draft.deployments.get(group)
    if deployment is not None:
        reconcile(draft, deployment)
        return
    for replica_set in draft.replica_sets_of(group):
        pods = draft.pods_in(group)
        wanted = int(replica_set.manifest["spec"].get("replicas", 1))
        _remove(draft, pods, len(pods) - wanted, replica_set)
        _fill(draft, None, replica_set, wanted - len(pods))


def reconcile(draft: Draft, deployment: Deployment) -> None:
    """One move of a deployment, within its maxSurge and maxUnavailable."""
    key = deployment.meta.key
    if deployment.manifest["spec"].get("paused"):
        _scale_paused(draft, deployment)
        return
    current = _current_replica_set(draft, deployment)
    pods = draft.pods_in(key)
    fresh = [p for p in pods if p.replica_set == current.meta.key]
    old = [p for p in pods if p.replica_set != current.meta.key]
    wanted = deployment.spec.replicas
    surge, unavailable = surge_and_unavailable(deployment.manifest, wanted)
    _remove(draft, fresh, len(fresh) - wanted, current)
    _retire(draft, deployment, old, fresh, wanted - unavailable)
    missing = wanted - len(fresh)
    if _recreates(deployment):
        if any(p.group == key and p.replica_set != current.meta.key for p in draft.terminating.values()):
            missing = 0
    elif old:
        missing = min(missing, wanted + surge - len(draft.pods_of[key]))
    _fill(draft, deployment, current, missing)
    _forget_old(draft, deployment, current)


def is_available(draft: Draft, pod: Pod, settle: Micros) -> bool:
    """Ready for at least minReadySeconds (`settle`)."""
    return pod.serving and pod.ready_since is not None and draft.now - pod.ready_since >= settle


def min_ready(manifest: Manifest) -> Micros:
    return max(0, int(manifest["spec"].get("minReadySeconds") or 0)) * SECOND


def grace_of(draft: Draft, pod: Pod) -> Micros:
    """How long a deleted pod is still seen: what its container needs, its grace period at most."""
    if pod.over:
        return 0
    spec = admission.pod_spec(draft, pod.manifest, pod.replica_set)
    seconds = spec.get("terminationGracePeriodSeconds")
    return max(0, min(TERMINATION, (30 if seconds is None else int(seconds)) * SECOND))


def _recreates(deployment: Deployment) -> bool:
    return bool((deployment.manifest["spec"].get("strategy") or {}).get("type") == "Recreate")


def _scale_paused(draft: Draft, deployment: Deployment) -> None:
    """No new template is rolled out; the newest pods make up for a changed number."""
    sets = draft.replica_sets_of(deployment.meta.key)
    pods = draft.pods_in(deployment.meta.key)
    if not sets:
        return
    newest = max(sets, key=lambda s: s.revision)
    _remove(draft, pods, len(pods) - deployment.spec.replicas, newest)
    _fill(draft, deployment, newest, deployment.spec.replicas - len(pods))


def _retire(draft: Draft, deployment: Deployment, old: list[Pod], fresh: list[Pod], least: int) -> None:
    """Old pods that are not available go first; all of them only as far as `least` pods are left."""
    if not old:
        return
    settle = min_ready(deployment.manifest)
    idle = [p for p in old if not is_available(draft, p, settle)]
    serving = [p for p in old if is_available(draft, p, settle)]
    renewed = sum(is_available(draft, p, settle) for p in fresh)
    if _recreates(deployment):
        _remove(draft, old, len(old), None)
        return
    # A pod may serve and yet not count as available (minReadySeconds): the bound is for those as well.
    _remove(draft, idle, min(len(idle), len(old) + renewed - least), None)
    _remove(draft, serving, min(len(serving), len(serving) + renewed - least), None)


def _remove(draft: Draft, pods: list[Pod], count: int, owner: ReplicaSet | None) -> None:
    """Delete `count` of `pods`: without a node first, then not ready, then the youngest."""
    if count <= 0:
        return
    order = sorted(pods, key=lambda p: (p.node is not None, p.ready, -p.meta.created_at, p.meta.name))
    for pod in order[:count]:
        found = owner or draft.replica_sets.get(pod.replica_set)
        drop(draft, pod)
        if found is not None:
            message = f"Deleted pod: {pod.meta.name}"
            happenings.record(
                draft, "ReplicaSet", found.meta, "SuccessfulDelete", message, component=REPLICA_SETS
            )


def drop(draft: Draft, pod: Pod) -> None:
    """Delete a pod the way Kubernetes does: it is told to stop, and gone a moment later."""
    if pod.node is not None and not pod.over:
        name = admission.pod_spec(draft, pod.manifest, pod.replica_set)["containers"][0]["name"]
        message = f"Stopping container {name}"
        happenings.record(draft, "Pod", pod.meta, "Killing", message, component=happenings.KUBELET)
    draft.drop_pod(pod.meta.key, grace_of(draft, pod))


def replica_set_key(deployment: Deployment) -> str:
    return f"{deployment.meta.key}-{deployment.template_hash}"


def _current_replica_set(draft: Draft, deployment: Deployment) -> ReplicaSet:
    key = replica_set_key(deployment)
    found = draft.replica_sets.get(key)
    if found is not None:
        if found.revision != deployment.revision:
            found = replace(found, revision=deployment.revision)
            draft.put_replica_set(found)
        return found
    meta = deployment.meta
    manifest = _replica_set_manifest(deployment)
    made = ReplicaSet(
        meta=Meta(
            name=key.split("/", 1)[1],
            namespace=meta.namespace,
            uid=uid(draft.seed, "replicaset", key, draft.revision),
            created_at=draft.now,
            resource_version=0,
            labels=labels_of(manifest),
            owners=(Owner("Deployment", meta.name, meta.uid),),
        ),
        deployment=meta.key,
        template_hash=deployment.template_hash,
        resources=requests_of(manifest["spec"]["template"]["spec"]),
        replicas=0,
        revision=deployment.revision,
        manifest=manifest,
    )
    draft.put_replica_set(made)
    return draft.replica_sets[key]


def _replica_set_manifest(deployment: Deployment) -> Manifest:
    """The template with its hash in labels and selector."""
    spec = deployment.manifest["spec"]
    template = spec["template"]
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), LABEL_TEMPLATE: deployment.template_hash}
    chosen = {**(spec["selector"].get("matchLabels") or {}), LABEL_TEMPLATE: deployment.template_hash}
    settle = {"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}
    return {
        "metadata": {"labels": labels},
        "spec": {
            **settle,
            "selector": {**spec["selector"], "matchLabels": chosen},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }


def _fill(draft: Draft, deployment: Deployment | None, owner: ReplicaSet, count: int) -> None:
    """Create `count` pods; a refusal is written down and tried again later."""
    refused = ""
    for _ in range(count):
        try:
            _create_pod(draft, deployment, owner)
        except Refused as error:
            refused = error.message
            message = f"Error creating: {refused}"
            happenings.record(
                draft, "ReplicaSet", owner.meta, "FailedCreate", message, component=REPLICA_SETS, warning=True
            )
            draft.push_once(draft.now + RETRY, STIR, owner.group)
            break
    owner = draft.replica_sets[owner.meta.key]
    if bool(owner.refused) != bool(refused):
        draft.put_replica_set(replace(owner, refused=refused, refused_at=draft.now))


def _create_pod(draft: Draft, deployment: Deployment | None, owner: ReplicaSet) -> None:
    template = owner.manifest["spec"]["template"]
    serial = draft.next_revision()
    name = f"{owner.meta.name}-{name_suffix(5, draft.seed, owner.meta.uid, serial)}"
    key = ObjectKey("pods", owner.meta.namespace, name)
    admission.check_namespace(draft, key)
    admission.check_number(draft, key, owner.group)
    spec = admission.admitted(draft, key, template["spec"])
    check_quota(draft, key, {"spec": spec})
    manifest = {} if spec is template["spec"] else {**template, "spec": spec}
    deployed = deployment.manifest.get("metadata", {}).get("annotations") or {} if deployment else {}
    own = (template.get("metadata") or {}).get("annotations") or {}
    pod = Pod(
        meta=Meta(
            name=name,
            namespace=owner.meta.namespace,
            uid=uid(draft.seed, "pod", name, serial),
            created_at=draft.now,
            resource_version=serial,
            labels=template["metadata"]["labels"],
            owners=(Owner("ReplicaSet", owner.meta.name, owner.meta.uid),),
        ),
        tenant_id=deployment.tenant_id if deployment else "",
        service=deployment.spec.name if deployment else "",
        deployment=owner.deployment,
        replica_set=owner.meta.key,
        resources=requests_of(spec) if manifest else owner.resources,
        manifest=manifest,
        startup=startup_of_manifest({**own, **deployed}, spec),
        fault=fault_of(spec),
        silenced=deployment.silenced if deployment else False,
    )
    admit_pod(draft, pod)
    message = f"Created pod: {name}"
    happenings.record(draft, "ReplicaSet", owner.meta, "SuccessfulCreate", message, component=REPLICA_SETS)


def admit_pod(draft: Draft, pod: Pod) -> None:
    """A new pod waits for a node."""
    draft.pods_of[pod.group] = (*draft.pods_of.get(pod.group, ()), pod.meta.key)
    draft.pending.append(pod.meta.key)
    draft.capacity_changed = True
    draft.put_pod(pod)


def _forget_old(draft: Draft, deployment: Deployment, current: ReplicaSet) -> None:
    """Keep revisionHistoryLimit old replica sets without pods."""
    kept = deployment.manifest["spec"].get("revisionHistoryLimit")
    used = {p.replica_set for p in draft.pods_in(deployment.meta.key)}
    owned = draft.replica_sets_of(deployment.meta.key)
    spare = [s for s in owned if s.meta.key not in used and s.meta.key != current.meta.key]
    spare.sort(key=lambda s: s.revision)
    for replica_set in spare[: max(0, len(spare) - (10 if kept is None else int(kept)))]:
        draft.drop_replica_set(replica_set.meta.key)
