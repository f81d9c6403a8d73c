"""What a pod's containers need before they can be made: ConfigMaps and Secrets, whole or a key of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.state import Draft

_KINDS: Final = {"configmaps": "ConfigMap", "secrets": "Secret"}
# Every namespace has it, whether it is stored or not.
_ROOT: Final = "kube-root-ca.crt"


def missing_volume(draft: Draft, namespace: str, spec: Manifest) -> str:
    """What a kubelet says of the first volume that it cannot set up; empty when all can be."""
    for volume in spec.get("volumes") or ():
        for resource, name, items, optional in _sources(volume):
            why = _absent(draft, namespace, resource, name, items)
            if why and not optional:
                return f'MountVolume.SetUp failed for volume "{volume.get("name")}" : {why}'
    return ""


def _sources(volume: Manifest) -> Iterator[tuple[str, str, list[str], bool]]:
    """(resource, name, keys, optional) of what a volume is filled from."""
    projected = (volume.get("projected") or {}).get("sources") or ()
    for source in ({"configMap": volume.get("configMap"), "secret": volume.get("secret")}, *projected):
        for kind, resource in (("configMap", "configmaps"), ("secret", "secrets")):
            found = source.get(kind)
            if found:
                name = found.get("name") or found.get("secretName") or ""
                keys = [str(item.get("key")) for item in found.get("items") or ()]
                yield resource, str(name), keys, bool(found.get("optional"))


def _absent(draft: Draft, namespace: str, resource: str, name: str, keys: list[str]) -> str:
    if resource == "configmaps" and name == _ROOT:
        return ""
    found = draft.object(ObjectKey(resource, namespace, name))
    if found is None:
        return f'{resource.removesuffix("s")} "{name}" not found'
    held = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    lost = [key for key in keys if key not in held]
    what = (
        "configmap references non-existent config"
        if resource == "configmaps"
        else "references non-existent secret"
    )
    return f"{what} key: {lost[0]}" if lost else ""


def missing_variable(draft: Draft, namespace: str, spec: Manifest) -> str:
    """What a kubelet says of the first environment that it cannot make; empty when all can be."""
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for source in container.get("envFrom") or ():
            for kind, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
                found = source.get(kind)
                if found and not found.get("optional"):
                    why = _absent(draft, namespace, resource, str(found.get("name", "")), [])
                    if why:
                        return why
        for variable in container.get("env") or ():
            why = _unset(draft, namespace, variable.get("valueFrom") or {})
            if why:
                return why
    return ""


def _unset(draft: Draft, namespace: str, source: Manifest) -> str:
    for kind, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        found = source.get(kind)
        if not found or found.get("optional"):
            continue
        name, key = str(found.get("name", "")), str(found.get("key", ""))
        why = _absent(draft, namespace, resource, name, [])
        if why:
            return why
        if _absent(draft, namespace, resource, name, [key]):
            return f"couldn't find key {key} in {_KINDS[resource]} {namespace}/{name}"
    return ""
