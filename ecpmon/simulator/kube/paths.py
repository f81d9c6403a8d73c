"""What a request's path is about."""

from __future__ import annotations

from dataclasses import dataclass

from ecpmon.simulator.kube.catalogue import CATALOGUE, Catalogue, Resource, Subresource
from ecpmon.simulator.kube.status import ApiError, not_found
from ecpmon.simulator.model.kube import ObjectKey


@dataclass(frozen=True, slots=True)
class Target:
    """A collection (`name` empty) or an object, perhaps a subresource of it; `rest` is what a proxy is asked.

    `namespace` is empty for cluster-scoped resources and for a collection over all namespaces.
    """

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: Subresource | None = None
    rest: str = ""
    watched: bool = False

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.resource.name, self.namespace, self.name)

    def not_found(self) -> ApiError:
        return not_found(self.resource.plural, self.resource.group, self.name)


def target_of(path: str, catalogue: Catalogue = CATALOGUE) -> Target | None:
    """The target of `/api/v1/…` or `/apis/{group}/{version}/…`; None when nothing is served there."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watched = rest[0] == "watch" and len(rest) > 1
    if watched:  # the old form of ?watch=true, which a few clients still use
        rest = rest[1:]
    namespaced = rest[0] == "namespaces" and len(rest) > 2
    if namespaced and (len(rest) > 3 or catalogue.find(group, version, rest[2]) is not None):
        return _target(catalogue.find(group, version, rest[2]), rest[2:], rest[1], watched=watched)
    return _target(catalogue.find(group, version, rest[0]), rest, "", watched=watched)


def _target(resource: Resource | None, parts: list[str], namespace: str, *, watched: bool) -> Target | None:
    if resource is None or (namespace and not resource.namespaced):
        return None
    if len(parts) == 1:
        return Target(resource, namespace, watched=watched)
    if resource.namespaced and not namespace:
        return None
    if len(parts) == 2:
        return Target(resource, namespace, parts[1], watched=watched)
    sub = resource.subresource(parts[2])
    rest = "/".join(parts[3:])
    if sub is None or (rest and sub.name != "proxy"):
        return None
    return Target(resource, namespace, parts[1], sub, rest)
