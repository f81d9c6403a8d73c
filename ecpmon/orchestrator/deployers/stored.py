"""Manifests as stored in a repository: read, compared with a release, stamped for a restart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ecpmon.model.deployments import DeployedObject
from ecpmon.orchestrator.manifests import Manifest

# A file that git holds may be larger than what somebody wants to have judged.
_MAX_VALUES: Final = 500_000
RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


def documents(content: bytes | None) -> tuple[Manifest, ...] | None:
    """The objects of a stored manifest; None when there is none or it is no manifest."""
    if content is None:
        return None
    # All rules of validation come with it: for who reads a repository, not for every start.
    from ecpmon.orchestrator.validation.kubectl_yaml import Limits, TooMuch, read_stream

    try:
        # As the cluster will read it: to YAML's own reader a time without quotes is no text, and would be written anew.
        stream = read_stream(content.decode(), Limits(values=_MAX_VALUES))
    except (TooMuch, UnicodeDecodeError):
        return None
    loaded = tuple(document for document in stream.documents if document is not None)
    sound = stream.broken is None and all(isinstance(d, dict) and _key(d) for d in loaded)
    return loaded if sound else None


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
        annotations = _own_annotations(manifest)
        if annotations is None:
            continue
        changed |= annotations.get(RESTARTED_AT) != at
        annotations[RESTARTED_AT] = at
        number += 1
    return number, changed


def _own_annotations(deployment: Manifest) -> dict[str, Any] | None:
    """Those of its pods, made where there are none; None for a Deployment that makes no pods, as others may write."""
    found: Any = deployment.get("spec")
    found = found.get("template") if isinstance(found, dict) else None
    for part in ("metadata", "annotations"):
        if not isinstance(found, dict):
            return None
        if found.get(part) is None:
            found[part] = {}
        found = found[part]
    return found if isinstance(found, dict) else None
