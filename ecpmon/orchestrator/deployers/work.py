"""What is ours in a cluster, and the record of one apply under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.orchestrator.deployers.cluster import FIELD_MANAGER, Document
from ecpmon.orchestrator.deployers.rollout import Rollout, Stage, judge
from ecpmon.ports.orchestrator import Progress

Key = tuple[str, str]  # kind and name


def key_of(document: Mapping[str, Any]) -> Key:
    return str(document["kind"]), str(document["metadata"]["name"])


def labels_of(tenant_id: str) -> dict[str, str]:
    """The labels that make an object ours; nothing without both of them is ever deleted."""
    return {"ecp.ai/managed-by": FIELD_MANAGER, "ecp.ai/tenant": tenant_id}


def is_ours(document: Mapping[str, Any], tenant_id: str) -> bool:
    """Whether it carries both of our labels."""
    labels = document["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in labels_of(tenant_id).items())


def is_tenants(namespace: Mapping[str, Any], tenant_id: str) -> bool:
    """Whoever made it, it is this tenant's; the simulator makes such ones."""
    labels = namespace["metadata"].get("labels") or {}
    return bool(labels.get("ecp.ai/tenant") == tenant_id)


def not_known(left_out: Sequence[str]) -> str:
    """What is said of objects whose kinds the cluster does not know."""
    return f"left out, since the cluster does not know their kinds: {', '.join(left_out)}"


def scaled_by(release: Release) -> dict[str, int]:
    """Deployments whose number of replicas belongs to an autoscaler, and the least that this keeps."""
    scalers = [o["spec"] for o in release.objects if o["kind"] == "HorizontalPodAutoscaler"]
    return {
        spec["scaleTargetRef"]["name"]: int(spec.get("minReplicas", 1))
        for spec in scalers
        if spec["scaleTargetRef"]["kind"] == "Deployment"
    }


@dataclass(slots=True)
class Work:
    """One apply under way. `originals`: what ran before the first try; `before`: the changed ones of them, None for
    a new object."""

    release: Release
    progress: Progress
    scaled: Mapping[str, int]
    originals: Mapping[Key, Document]
    objects: dict[Key, DeployedObject] = field(default_factory=dict)
    before: dict[Key, Document | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [key_of(document) for document in self.release.objects]
        self.objects.update({key: DeployedObject(*key, "pending") for key in keys})

    @property
    def deployments(self) -> frozenset[str]:
        return frozenset(key_of(o)[1] for o in self.release.objects if o["kind"] == "Deployment")

    @property
    def removed(self) -> dict[Key, Document]:
        """What ran before and is no part of this release."""
        wanted = {key_of(document) for document in self.release.objects}
        return {key: found for key, found in self.originals.items() if key not in wanted}

    def note(self, document: Mapping[str, Any], status: str) -> None:
        kind, name = key_of(document)
        replicas = judge(document).replicas if kind == "Deployment" else None
        self.objects[kind, name] = DeployedObject(kind, name, status, replicas)

    def note_replicas(self, name: str, replicas: str) -> bool:
        """Whether that is news."""
        known = self.objects["Deployment", name]
        self.objects["Deployment", name] = DeployedObject("Deployment", name, known.status, replicas)
        return known.replicas != replicas

    def only_grows(self, deployment: Mapping[str, Any], rollout: Rollout) -> bool:
        """Whether its autoscaler has asked for more pods since it was rolled out, and those of then serve."""
        name = deployment["metadata"]["name"]
        wanted = int((self.objects["Deployment", name].replicas or "0/0").split("/")[1])
        grows = name in self.scaled and rollout.desired > wanted and rollout.ready >= wanted
        return grows and rollout.stage is not Stage.FAILED

    async def tell(self, phase: DeploymentStatus, message: str) -> None:
        await self.progress(phase, message, tuple(self.objects.values()))
