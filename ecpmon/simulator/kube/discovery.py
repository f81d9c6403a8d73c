"""What the API says about itself: `/version`, `/api`, `/apis`, in the legacy and the aggregated form."""

from __future__ import annotations

from typing import Final

from ecpmon.kube.schemas import SERVER_MINOR
from ecpmon.simulator.kube.catalogue import Catalogue, Resource, Subresource
from ecpmon.simulator.kube.status import Document, no_such_path

AGGREGATED: Final = "APIGroupDiscoveryList"


def version() -> Document:
    """What `kubectl version` shows."""
    major, minor = SERVER_MINOR.split(".")
    git = f"v{SERVER_MINOR}.0"
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{git}+ecpmon",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "python",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> Document:
    """`GET /api`; `address` is host:port of this server."""
    served = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": served}


def group_list(catalogue: Catalogue) -> Document:
    """`GET /apis`."""
    groups = [_group(catalogue, name) for name in catalogue.groups() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def one_group(catalogue: Catalogue, name: str) -> Document:
    """`GET /apis/{group}`; ApiError 404 for a group that is not served."""
    if not name or name not in catalogue.groups():
        raise no_such_path()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(catalogue, name)}


def _group(catalogue: Catalogue, name: str) -> Document:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in catalogue.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(catalogue: Catalogue, group: str, version_name: str) -> Document:
    """`GET /api/v1` and `GET /apis/{group}/{version}`; ApiError 404 for one that is not served."""
    found = catalogue.resources(group, version_name)
    if not found:
        raise no_such_path()
    resources = []
    for resource in found:
        resources.append(_legacy(resource))
        resources += [_legacy_sub(resource, sub) for sub in resource.subresources]
    group_version = f"{group}/{version_name}" if group else version_name
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


def _legacy(resource: Resource) -> Document:
    entry: Document = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _legacy_sub(resource: Resource, sub: Subresource) -> Document:
    entry: Document = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": sub.kind or resource.kind,
        "verbs": list(sub.verbs),
    }
    if sub.kind:
        entry |= {"group": sub.group, "version": sub.version}
    return entry


def aggregated(catalogue: Catalogue, *, core: bool, api_version: str) -> Document:
    """All groups with their resources at once: what kubectl asks for first. `api_version`: v2 or v2beta1."""
    names = [name for name in catalogue.groups() if bool(name) is not core]
    return {
        "kind": AGGREGATED,
        "apiVersion": f"apidiscovery.k8s.io/{api_version}",
        "metadata": {},
        "items": [_aggregated_group(catalogue, name) for name in names],
    }


def _aggregated_group(catalogue: Catalogue, name: str) -> Document:
    versions = [
        {
            "version": v,
            "resources": [_aggregated_resource(r) for r in catalogue.resources(name, v)],
            "freshness": "Current",
        }
        for v in catalogue.versions(name)
    ]
    metadata: Document = {"creationTimestamp": None}
    if name:
        metadata["name"] = name
    return {"metadata": metadata, "versions": versions}


def _aggregated_resource(resource: Resource) -> Document:
    entry: Document = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_sub(resource, sub) for sub in resource.subresources]
    return entry


def _aggregated_sub(resource: Resource, sub: Subresource) -> Document:
    kind = (
        _kind(sub.group, sub.version, sub.kind)
        if sub.kind
        else _kind(resource.group, resource.version, resource.kind)
    )
    return {"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)}


def _kind(group: str, version_name: str, kind: str) -> Document:
    return {"group": group, "version": version_name, "kind": kind}
