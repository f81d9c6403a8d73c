"""How the Kubernetes API names the cluster's objects, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

Document = dict[str, Any]
PODS: Final = "pods"
DEPLOYMENTS: Final = "deployments.apps"
REPLICA_SETS: Final = "replicasets.apps"
NODES: Final = "nodes"
EVENTS: Final = "events"
NAMESPACES: Final = "namespaces"


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """`resource` is `plural[.group]`, e.g. `deployments.apps`; `namespace` is empty for the cluster's own."""

    resource: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """The key inside a namespace."""
        return f"{self.resource}/{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """`kind` is ADDED, MODIFIED or DELETED; `document` is the object then (its last state for DELETED)."""

    kind: str
    key: ObjectKey
    document: Document


@dataclass(slots=True)
class Refused(Exception):
    """What a real API server would answer: an HTTP code, a reason such as `Forbidden`, and why."""

    code: int
    reason: str
    message: str
    causes: list[Document] = field(default_factory=list)

    def __str__(self) -> str:
        return self.message


def not_found(key: ObjectKey) -> Refused:
    return Refused(404, "NotFound", f'{key.resource} "{key.name}" not found')


def forbidden(key: ObjectKey, why: str) -> Refused:
    return Refused(403, "Forbidden", f'{key.resource} "{key.name}" is forbidden: {why}')
