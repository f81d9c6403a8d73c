"""Volumes of a pod: each of one source, and what that source needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from ecpmon.kube import names, schemas
from ecpmon.kube.causes import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    needed,
    of_messages,
    one_of,
    only_one,
    placed,
    required,
    without,
)
from ecpmon.kube.claims import claim_spec_causes
from ecpmon.kube.environment import VOLUME_FIELDS, field_causes, resource_field_causes
from ecpmon.kube.metadata import label_causes
from ecpmon.kube.quantities import parsed

_HOST_PATH_TYPES: Final = (
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
)  # fmt: skip
_PULL: Final = ("Always", "Never", "IfNotPresent")
_LEAST_TOKEN_SECONDS: Final = 600
_MOST_PARTITIONS: Final = 255
# Sources of which only these fields are asked for.
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "vsphereVolume": ("volumePath",),
}


@cache
def _sources() -> tuple[str, ...]:
    volume = schemas.named("io.k8s.api.core.v1.Volume")
    return tuple(name for name in volume["properties"] if name != "name")


def volume_causes(volumes: Any, path: str, *, is_pod: bool = False) -> tuple[list[Any], set[str]]:
    """All causes, and the names of the volumes without any: only these can be mounted."""
    causes: list[Any] = []
    usable: set[str] = set()
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        found = [*_source(volume, at, is_pod), *_name(volume.get("name", ""), usable, at)]
        if not found:
            usable.add(volume["name"])
        causes += found
    return causes, usable


def _name(name: str, taken: set[str], at: str) -> Causes:
    if not name:
        yield required(f"{at}.name")
        return
    yield from of_messages(f"{at}.name", name, names.dns_label(name))
    if name in taken:
        yield duplicate(f"{at}.name", name)


def _source(volume: Mapping[str, Any], at: str, is_pod: bool) -> Causes:
    present = [name for name in _sources() if name in volume]
    if not present:
        yield required(at, "must specify a volume type")
        return
    yield from only_one(present, at, "volume type")
    kind = present[0]
    where = f"{at}.{kind}"
    yield from needed(volume[kind], _NEEDED.get(kind, ()), where)
    if kind == "image" and is_pod:  # a template may leave it to somebody else
        yield from needed(volume[kind], ("reference",), where)
    check = _CHECKS.get(kind)
    if check is not None:
        yield from check(volume[kind], where)


def persistent_source_causes(kind: str, source: Mapping[str, Any], at: str) -> Causes:
    """What the one source of a PersistentVolume needs."""
    if kind == "local":
        yield from needed(source, ("path",), at)
        if ".." in source.get("path", "").split("/"):
            yield invalid(f"{at}.path", source["path"], "must not contain '..'")
    elif kind == "csi":
        yield from needed(source, ("driver", "volumeHandle"), at)
        if source.get("driver"):
            yield from of_messages(f"{at}.driver", source["driver"], _driver(source["driver"]))
    elif kind == "nfs":
        yield from _nfs(source, at)
    elif kind == "hostPath":
        yield from _host_path(source, at)


def _driver(name: str) -> names.Messages:
    """The name of a CSI driver."""
    long = (names.too_long(63),) if len(name) > 63 else ()
    return (*long, *names.dns_subdomain(name.lower()))


def _empty_dir(source: Mapping[str, Any], at: str) -> Causes:
    limit = source.get("sizeLimit")
    if limit is not None and parsed(limit) < 0:
        yield forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _host_path(source: Mapping[str, Any], at: str) -> Causes:
    path = source.get("path", "")
    if not path:
        yield required(f"{at}.path")
    elif ".." in path.split("/"):
        yield invalid(f"{at}.path", path, "must not contain '..'")
    yield from one_of(source, "type", _HOST_PATH_TYPES, at)


def _nfs(source: Mapping[str, Any], at: str) -> Causes:
    yield from needed(source, ("server", "path"), at)
    path = source.get("path", "")
    if not path.startswith("/"):
        yield invalid(f"{at}.path", path, "must be an absolute path")


def _mode(source: Mapping[str, Any], key: str, at: str) -> Causes:
    if not 0 <= source.get(key, 0) <= 0o777:
        detail = "must be a number between 0 and 0777 (octal), both inclusive"
        yield invalid(f"{at}.{key}", source[key], detail)


def _config_map(source: Mapping[str, Any], at: str) -> Causes:
    yield from needed(source, ("name",), at)
    yield from _mode(source, "defaultMode", at)
    yield from _items(source, at)


def _secret(source: Mapping[str, Any], at: str) -> Causes:
    yield from needed(source, ("secretName",), at)
    yield from _mode(source, "defaultMode", at)
    yield from _items(source, at)


def _items(source: Mapping[str, Any], at: str) -> Causes:
    for index, item in enumerate(source.get("items") or ()):
        where = f"{at}.items[{index}]"
        yield from needed(item, ("key",), where)
        yield from _file(item, where)


def _file(item: Mapping[str, Any], at: str) -> Causes:
    """Where something is written to within the volume."""
    path = item.get("path", "")
    if not path:
        yield required(f"{at}.path")
    if path.startswith(".."):
        yield invalid(f"{at}.path", path, "must not start with '..'")
    yield from descending_causes(path, f"{at}.path")
    yield from _mode(item, "mode", at)


def descending_causes(path: str, at: str) -> Causes:
    """A path that stays below where it begins."""
    if path.startswith("/"):
        yield invalid(at, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(at, path, "must not contain '..'")


def _downward(source: Mapping[str, Any], at: str) -> Causes:
    yield from _mode(source, "defaultMode", at)
    for index, item in enumerate(source.get("items") or ()):
        step = f".items[{index}]"
        yield from without(step, _downward_item(item, f"{at}{step}"))


def _downward_item(item: Mapping[str, Any], at: str) -> Causes:
    yield from _file(item, at)
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        yield from field_causes(field, f"{at}.fieldRef", VOLUME_FIELDS)
        if resource is not None:
            yield invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource is not None:
        yield from resource_field_causes(resource, f"{at}.resourceFieldRef", needs_container=True)
    else:
        yield required(at, "one of fieldRef and resourceFieldRef is required")


_WITH_ITEMS: Final = ("secret", "configMap", "downwardAPI")


def _projected(source: Mapping[str, Any], at: str) -> Causes:
    yield from _mode(source, "defaultMode", at)
    for index, part in enumerate(source.get("sources") or ()):
        where = f"{at}.sources[{index}]"
        present = [key for key in _PROJECTIONS if key in part]
        yield from only_one(present, where, "volume type")
        for key in present:
            yield from _PROJECTIONS[key](part[key], f"{where}.{key}")
    yield from _written_twice(source.get("sources") or (), at)


def _written_twice(sources: Any, at: str) -> Causes:
    """Files that two items of one volume are put into. The server names the volume."""
    seen: set[str] = set()
    for index, part in enumerate(sources):
        for key in _WITH_ITEMS:
            for number, item in enumerate((part.get(key) or {}).get("items") or ()):
                path = item.get("path", "")
                if path and path in seen:
                    step = f".sources[{index}].{key}.items[{number}].path"
                    yield from without(step, [invalid(f"{at}{step}", path, "conflicting duplicate paths")])
                seen.add(path)


def _projected_keys(source: Mapping[str, Any], at: str) -> Causes:
    yield from needed(source, ("name",), at)
    yield from _items(source, at)


def _token(source: Mapping[str, Any], at: str) -> Causes:
    seconds = source.get("expirationSeconds", _LEAST_TOKEN_SECONDS)
    if seconds < _LEAST_TOKEN_SECONDS:
        yield invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds > 1 << 32:
        yield invalid(
            f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
        )
    # The server names the volume, not the source.
    _, dot, step = at.partition(".sources[")
    yield from without(f"{dot}{step}", _file(source, at))


def _bundle(source: Mapping[str, Any], at: str) -> Causes:
    if bool(source.get("name")) == bool(source.get("signerName")):
        yield required(at, "either name or signerName must be specified, and not both")
    yield from _file(source, at)


def _certificate(source: Mapping[str, Any], at: str) -> Causes:
    yield from needed(source, ("signerName", "keyType"), at)


_PROJECTIONS: Final[dict[str, Callable[[Mapping[str, Any], str], Causes]]] = {
    "secret": _projected_keys,
    "configMap": _projected_keys,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _bundle,
    "podCertificate": _certificate,
}


def _ephemeral(source: Mapping[str, Any], at: str) -> Causes:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{at}.volumeClaimTemplate")
    else:
        labels = (template.get("metadata") or {}).get("labels") or {}
        yield from label_causes(labels, f"{at}.volumeClaimTemplate.metadata.labels")
        yield from claim_spec_causes(template.get("spec") or {}, f"{at}.volumeClaimTemplate.spec")


def _image(source: Mapping[str, Any], at: str) -> Causes:
    yield from one_of({"pullPolicy": source.get("pullPolicy") or None}, "pullPolicy", _PULL, at)


def _driver_of(source: Mapping[str, Any], at: str) -> Causes:
    """A CSI volume that lives with its pod."""
    if source.get("driver"):
        yield from of_messages(f"{at}.driver", source["driver"], _driver(source["driver"]))
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        yield from needed(secret, ("name",), f"{at}.nodePublishSecretRef")
        name = secret.get("name", "")
        messages = names.dns_subdomain(name) if name else ()
        yield from placed(f"{at}.nodePublishSecretRef.name", of_messages(f"{at}.name", name, messages))


def _repository(source: Mapping[str, Any], at: str) -> Causes:
    yield from descending_causes(source.get("directory", ""), f"{at}.directory")


def _disk(source: Mapping[str, Any], at: str) -> Causes:
    if not 0 <= source.get("partition", 0) <= _MOST_PARTITIONS:
        yield invalid(f"{at}.partition", source["partition"], "must be between 0 and 255, inclusive")


def _iscsi(source: Mapping[str, Any], at: str) -> Causes:
    if source.get("iqn") and not source["iqn"].startswith(("iqn.", "eui.", "naa.")):
        yield invalid(f"{at}.iqn", source["iqn"], "must be valid format")
    if not 0 <= source.get("lun", 0) <= _MOST_PARTITIONS:
        yield invalid(f"{at}.lun", source["lun"], "must be between 0 and 255, inclusive")


def _fibre(source: Mapping[str, Any], at: str) -> Causes:
    if not source.get("targetWWNs") and not source.get("wwids"):
        yield required(f"{at}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if source.get("targetWWNs") and "lun" not in source:
        yield required(f"{at}.lun", "lun is required if targetWWNs is specified")
    if not 0 <= source.get("lun", 0) <= _MOST_PARTITIONS:
        yield invalid(f"{at}.lun", source["lun"], "must be between 0 and 255, inclusive")


_CHECKS: Final[dict[str, Callable[[Mapping[str, Any], str], Causes]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "nfs": _nfs,
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
    "projected": _projected,
    "ephemeral": _ephemeral,
    "image": _image,
    "fc": _fibre,
    "csi": _driver_of,
    "gitRepo": _repository,
    "iscsi": _iscsi,
    "awsElasticBlockStore": _disk,
}
