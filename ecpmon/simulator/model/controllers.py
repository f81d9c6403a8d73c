"""Deployment → ReplicaSet → Pod: keeps the wanted number of pods of the wanted template."""

from __future__ import annotations

from dataclasses import replace

from ecpmon.simulator.model.hashing import name_suffix, uid
from ecpmon.simulator.model.objects import (
    LABEL_SERVICE,
    LABEL_TEMPLATE,
    LABEL_TENANT,
    Deployment,
    Meta,
    Owner,
    Pod,
    ReplicaSet,
    ServiceSpec,
)
from ecpmon.simulator.model.state import Draft

HISTORY_LIMIT = 10  # old ReplicaSets that are kept, as in Kubernetes


def template_hash(seed: int, spec: ServiceSpec) -> str:
    """Changes when the pods have to be replaced: requests, but neither load nor replicas."""
    wanted = spec.resources
    return name_suffix(9, seed, "template", spec.name, wanted.cpu_millicores, wanted.memory_bytes, wanted.gpu)


def reconcile(draft: Draft, deployment: Deployment) -> None:
    """Bring a deployment's pods one move nearer to its spec: surge 25 % up, unavailable 25 % down."""
    current = _current_replica_set(draft, deployment)
    pods = draft.pods_in(deployment.meta.key)
    fresh = [p for p in pods if p.replica_set == current.meta.key]
    old = [p for p in pods if p.replica_set != current.meta.key]
    wanted = deployment.spec.replicas
    _remove(draft, fresh, len(fresh) - wanted)
    _retire(draft, old, fresh, wanted)
    room = wanted + -(-wanted // 4) - len(draft.pods_of[deployment.meta.key])
    missing = wanted - len(fresh)
    for _ in range(min(missing, room) if old else missing):
        _create_pod(draft, deployment, current)
    _record_replicas(draft, deployment)


def is_rolling(draft: Draft, deployment: Deployment) -> bool:
    owners = {draft.pods[key].replica_set for key in draft.pods_of.get(deployment.meta.key, ())}
    return owners != {_replica_set_key(deployment)} and bool(owners)


def _retire(draft: Draft, old: list[Pod], fresh: list[Pod], wanted: int) -> None:
    """Old pods that are not ready go first; ready ones as far as enough stay available."""
    if not old:
        return
    unready = [p for p in old if not p.ready]
    ready = [p for p in old if p.ready]
    available = len(ready) + sum(p.ready for p in fresh)
    _remove(draft, unready, len(unready))
    _remove(draft, ready, min(len(ready), available - (wanted - wanted // 4)))


def _remove(draft: Draft, pods: list[Pod], count: int) -> None:
    """Delete `count` of `pods`: without a node first, then not ready, then the youngest."""
    order = sorted(pods, key=lambda p: (p.node is not None, p.ready, -p.meta.created_at, p.meta.name))
    for pod in order[: max(0, count)]:
        draft.drop_pod(pod.meta.key)


def _replica_set_key(deployment: Deployment) -> str:
    return f"{deployment.meta.key}-{deployment.template_hash}"


def _current_replica_set(draft: Draft, deployment: Deployment) -> ReplicaSet:
    key = _replica_set_key(deployment)
    found = draft.replica_sets.get(key)
    if found is not None:
        return found
    meta = deployment.meta
    made = ReplicaSet(
        meta=Meta(
            name=key.split("/", 1)[1],
            namespace=meta.namespace,
            uid=uid(draft.seed, "replicaset", key, draft.revision),
            created_at=draft.now,
            resource_version=draft.next_revision(),
            labels={**meta.labels, LABEL_TEMPLATE: deployment.template_hash},
            owners=(Owner("Deployment", meta.name, meta.uid),),
        ),
        deployment=meta.key,
        template_hash=deployment.template_hash,
        resources=deployment.spec.resources,
        replicas=0,
        revision=deployment.revision,
    )
    draft.replica_sets[key] = made
    return made


def _create_pod(draft: Draft, deployment: Deployment, owner: ReplicaSet) -> None:
    serial = draft.next_revision()
    name = f"{owner.meta.name}-{name_suffix(5, draft.seed, owner.meta.uid, serial)}"
    pod = Pod(
        meta=Meta(
            name=name,
            namespace=owner.meta.namespace,
            uid=uid(draft.seed, "pod", name, serial),
            created_at=draft.now,
            resource_version=serial,
            labels={
                LABEL_TENANT: deployment.tenant_id,
                LABEL_SERVICE: deployment.spec.name,
                LABEL_TEMPLATE: owner.template_hash,
            },
            owners=(Owner("ReplicaSet", owner.meta.name, owner.meta.uid),),
        ),
        tenant_id=deployment.tenant_id,
        service=deployment.spec.name,
        replica_set=owner.meta.key,
        resources=owner.resources,
    )
    draft.pods_of[deployment.meta.key] = (*draft.pods_of.get(deployment.meta.key, ()), pod.meta.key)
    draft.pending.append(pod.meta.key)
    draft.capacity_changed = True
    draft.put_pod(pod)


def _record_replicas(draft: Draft, deployment: Deployment) -> None:
    """Write the pod counts into the ReplicaSets and forget the oldest empty ones."""
    counts: dict[str, int] = {}
    for pod in draft.pods_in(deployment.meta.key):
        counts[pod.replica_set] = counts.get(pod.replica_set, 0) + 1
    owned = [rs for rs in draft.replica_sets.values() if rs.deployment == deployment.meta.key]
    for replica_set in owned:
        count = counts.get(replica_set.meta.key, 0)
        if count != replica_set.replicas:
            meta = replace(replica_set.meta, resource_version=draft.next_revision())
            draft.replica_sets[meta.key] = replace(replica_set, meta=meta, replicas=count)
    current = _replica_set_key(deployment)
    spare = [rs for rs in owned if rs.meta.key not in counts and rs.meta.key != current]
    for replica_set in sorted(spare, key=lambda rs: rs.meta.resource_version)[:-HISTORY_LIMIT]:
        del draft.replica_sets[replica_set.meta.key]
