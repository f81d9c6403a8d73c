"""Deployments and ReplicaSets as documents."""

from __future__ import annotations

from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.kube.documents import condition, metadata_of, positive
from ecpmon.simulator.model.manifests import REVISION
from ecpmon.simulator.model.objects import Deployment, ReplicaSet
from ecpmon.simulator.model.times import timestamp


def deployment_document(found: Deployment) -> Document:
    metadata = metadata_of(found.meta, found.manifest)
    metadata["annotations"] = {**(metadata.get("annotations") or {}), REVISION: str(found.revision)}
    status = found.status
    counts = positive(
        replicas=status.replicas,
        updatedReplicas=status.updated,
        readyReplicas=status.ready,
        availableReplicas=status.available,
        unavailableReplicas=max(0, max(status.replicas, found.spec.replicas) - status.available),
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": found.manifest["spec"],
        "status": {
            "observedGeneration": status.observed_generation,
            **counts,
            "conditions": [condition(c) for c in status.conditions],
        },
    }


def replica_set_document(found: ReplicaSet) -> Document:
    metadata = metadata_of(found.meta, found.manifest)
    if found.deployment:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), REVISION: str(found.revision)}
    counts = positive(
        fullyLabeledReplicas=found.replicas, readyReplicas=found.ready, availableReplicas=found.available
    )
    status: Document = {
        "replicas": found.replicas,
        **counts,
        "observedGeneration": found.meta.generation,
    }
    if found.refused:
        status["conditions"] = [
            {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": timestamp(found.refused_at),
                "reason": "FailedCreate",
                "message": found.refused,
            }
        ]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata,
        "spec": {**found.manifest["spec"], "replicas": found.desired},
        "status": status,
    }
