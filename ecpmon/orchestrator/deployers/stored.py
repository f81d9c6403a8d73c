"""Manifests as stored in a repository: read, compared with a release, stamped for a restart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from ecpmon.model.deployments import DeployedObject
from ecpmon.orchestrator.manifests import Manifest

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


def documents(content: bytes | None) -> tuple[Manifest, ...] | None:
    """The objects of a stored manifest; None when there is none or it is no manifest."""
    if content is None:
        return None
    try:
        loaded = tuple(document for document in yaml.safe_load_all(content) if document is not None)
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    return loaded if all(isinstance(d, dict) and _key(d) for d in loaded) else None


def _key(manifest: Mapping[str, Any]) -> tuple[str, str] | None:
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return (str(manifest["kind"]), str(name)) if "kind" in manifest and name else None


def compare(
    before: Iterable[Manifest] | None, after: Iterable[Mapping[str, Any]]
) -> tuple[DeployedObject, ...]:
    """What the release changes in the repository, object by object."""
    old = {_key(manifest): manifest for manifest in before or ()}
    made = []
    for manifest in after:
        key = (str(manifest["kind"]), str(manifest["metadata"]["name"]))
        was = old.pop(key, None)
        status = "created" if was is None else "unchanged" if was == manifest else "configured"
        made.append(DeployedObject(*key, status))
    made += [DeployedObject(*key, "pruned") for key in old if key]
    return tuple(made)


def keep_stamps(
    before: Iterable[Manifest] | None, after: Iterable[Mapping[str, Any]]
) -> tuple[Manifest, ...]:
    """The release with the restarts that are stored: without their stamps every pod would be replaced once more."""
    stamps = {_key(m): at for m in before or () if (at := _annotations(m).get(RESTARTED_AT)) is not None}
    return tuple(_stamped(m, stamps[_key(m)]) if _key(m) in stamps else dict(m) for m in after)


def _annotations(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the pods of a Deployment."""
    found: Any = manifest if manifest.get("kind") == "Deployment" else None
    for part in ("spec", "template", "metadata", "annotations"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _stamped(manifest: Mapping[str, Any], at: str) -> Manifest:
    template = manifest["spec"]["template"]
    about = {**template["metadata"], "annotations": {**_annotations(manifest), RESTARTED_AT: at}}
    return {**manifest, "spec": {**manifest["spec"], "template": {**template, "metadata": about}}}


def stamp(objects: Iterable[Manifest], at: str) -> tuple[int, bool]:
    """Write `at` into the Deployments' pod templates; how many there are, and whether any had another."""
    number, changed = 0, False
    for manifest in objects:
        if manifest["kind"] != "Deployment":
            continue
        metadata = manifest["spec"]["template"].setdefault("metadata", {})
        annotations = metadata.setdefault("annotations", {})
        changed |= annotations.get(RESTARTED_AT) != at
        annotations[RESTARTED_AT] = at
        number += 1
    return number, changed
