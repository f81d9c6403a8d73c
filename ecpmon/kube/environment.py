"""Environment variables, and what the downward API can tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, invalid, needed, of_messages, placed, required, unsupported
from ecpmon.kube.quantities import parsed
from ecpmon.kube.resources import is_huge

_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
ENV_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS: Final = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.annotations",
)
# A label or an annotation by its key.
_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]", re.DOTALL)
_RESOURCES: Final = tuple(
    f"{side}.{name}" for side in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_DIVISORS: Final = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}


def env_causes(container: Mapping[str, Any], at: str) -> Causes:
    """`env` and `envFrom` of a container."""
    for index, variable in enumerate(container.get("env") or ()):
        yield from _variable(variable, f"{at}.env[{index}]")
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from _all_of(source, f"{at}.envFrom", index)


def _variable(variable: Mapping[str, Any], at: str) -> Causes:
    name = variable.get("name", "")
    if not name:
        yield required(f"{at}.name")
    yield from of_messages(f"{at}.name", name, names.environment_name(name))
    source = variable.get("valueFrom")
    if source is None:
        return
    where = f"{at}.valueFrom"
    present = [key for key in _SOURCES if key in source]
    for key in present:
        yield from _CHECKS[key](source[key], f"{where}.{key}")
    if not present:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(where, "", f"must specify one of: {listed}")
    elif variable.get("value"):
        yield invalid(where, "", "may not be specified when `value` is not empty")
    elif len(present) > 1:
        yield invalid(where, "", "may not have more than one field specified at a time")


def _field(reference: Mapping[str, Any], at: str) -> Causes:
    yield from field_causes(reference, at, ENV_FIELDS)


def field_causes(reference: Mapping[str, Any], at: str, allowed: Collection[str]) -> Causes:
    """A `fieldRef`; `allowed` are the fields that can be asked for there."""
    path, where = reference.get("fieldPath", ""), f"{at}.fieldPath"
    if not path:
        yield required(where)
        return
    if reference.get("apiVersion", "v1") != "v1":
        yield invalid(where, path, f"error converting fieldPath: {reference['apiVersion']} is not known")
        return
    if path in allowed:
        return
    found = _SUBSCRIPT.fullmatch(path)
    if found is None:
        yield invalid(where, path, f"error converting fieldPath: field label not supported: {path}")
        return
    key = found[2]
    lowered = key.lower() if found[1] == "annotations" else key
    yield from of_messages(where, key, names.qualified_name(lowered))


def _resource(reference: Mapping[str, Any], at: str) -> Causes:
    yield from resource_field_causes(reference, at, needs_container=False)


def resource_field_causes(reference: Mapping[str, Any], at: str, *, needs_container: bool) -> Causes:
    """A `resourceFieldRef`; a volume has to say of which container."""
    if needs_container and not reference.get("containerName"):
        yield required(f"{at}.containerName")
    name = reference.get("resource", "")
    if not name:
        yield required(f"{at}.resource")
        return
    if name not in _RESOURCES and not is_huge(name.partition(".")[2]):
        yield unsupported(f"{at}.resource", name, _RESOURCES)
        return
    divisor = reference.get("divisor", "0")
    allowed = _DIVISORS["cpu" if name.endswith(".cpu") else "memory"]
    if parsed(divisor) != 0 and all(parsed(divisor) != parsed(one) for one in allowed):
        yield invalid(f"{at}.divisor", divisor, f"only divisor's values {', '.join(allowed)} are supported")


def _config_key(reference: Mapping[str, Any], at: str) -> Causes:
    name, key = reference.get("name", ""), reference.get("key", "")
    if not name:
        yield required(f"{at}.name")
    else:
        yield from of_messages(f"{at}.name", name, names.dns_subdomain(name))
    if not key:
        yield required(f"{at}.key")
    else:
        yield from of_messages(f"{at}.key", key, names.config_key(key))


def _file_key(reference: Mapping[str, Any], at: str) -> Causes:
    yield from needed(reference, ("volumeName", "path", "key"), at)


_CHECKS: Final = {
    "fieldRef": _field,
    "resourceFieldRef": _resource,
    "configMapKeyRef": _config_key,
    "secretKeyRef": _config_key,
    "fileKeyRef": _file_key,
}


def _all_of(source: Mapping[str, Any], path: str, index: int) -> Causes:
    """Everything of a ConfigMap or of a Secret."""
    at = f"{path}[{index}]"
    prefix = source.get("prefix", "")
    yield from of_messages(f"{at}.prefix", prefix, names.environment_name(prefix))
    present = [key for key in ("configMapRef", "secretRef") if key in source]
    for key in present:
        name, where = source[key].get("name", ""), f"{at}.{key}.name"
        if not name:
            yield required(where)
        else:
            yield from of_messages(where, name, names.dns_subdomain(name))
    if not present:
        said = "must specify one of: `configMapRef` or `secretRef`"
        yield from placed(at, [invalid(path, "", said)])
    elif len(present) > 1:
        said = "may not have more than one field specified at a time"
        yield from placed(at, [invalid(path, "", said)])
