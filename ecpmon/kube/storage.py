"""Volumes and what makes them: classes, drivers, capacities, attachments."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import normpath
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    forbidden,
    immutable,
    invalid,
    not_negative,
    of_messages,
    one_of,
    placed,
    required,
    too_long,
    unsupported,
)
from ecpmon.kube.domains import driver_causes
from ecpmon.kube.metadata import selector_causes
from ecpmon.kube.quantities import parsed
from ecpmon.kube.scheduling import node_selector_causes
from ecpmon.kube.volumes import persistent_source_causes as source_causes

_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_ALONE: Final = "ReadWriteOncePod"
_NOT_SOURCES: Final = (
    "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
    "volumeMode", "nodeAffinity", "volumeAttributesClassName",
)  # fmt: skip
_MAX_PARAMETERS: Final = 512
_MAX_SIZE: Final = 256 * 1024
_MAX_NODE_ID: Final = 256
_FS_GROUPS: Final = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES: Final = ("Persistent", "Ephemeral")
_SHORTEST: Final = 600
_LONGEST: Final = 2**32
_PERIOD: Final = 10


def storage_class_causes(document: Document, old: Document | None) -> Causes:
    yield from _provisioner(document, "provisioner")
    yield from _parameters(document.get("parameters") or {})
    if document.get("reclaimPolicy"):
        yield from one_of(document, "reclaimPolicy", ("Delete", "Retain"), "")
    yield from one_of(document, "volumeBindingMode", ("Immediate", "WaitForFirstConsumer"), "")
    yield from _topologies(document.get("allowedTopologies") or (), "allowedTopologies")
    if old is None:
        return
    for key in ("parameters", "provisioner", "reclaimPolicy"):
        if document.get(key) != old.get(key):
            yield forbidden(key, f"updates to {key} are forbidden.")
    if document.get("volumeBindingMode") != old.get("volumeBindingMode"):
        yield immutable("volumeBindingMode", document.get("volumeBindingMode"))


def _provisioner(document: Mapping[str, Any], key: str) -> Causes:
    name = document.get(key, "")
    if not name:
        yield required(key)
    else:
        yield from of_messages(key, name.lower(), names.qualified_name(name.lower()))


def _parameters(parameters: Mapping[str, str], *, needed: bool = False) -> Causes:
    if len(parameters) > _MAX_PARAMETERS:
        yield too_long("parameters", _MAX_PARAMETERS)
        return
    if "" in parameters:
        yield invalid("parameters", "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _MAX_SIZE:
        yield too_long("parameters", _MAX_SIZE)
    if needed and not parameters:
        yield required("parameters", "must contain at least one key/value pair")


def _topologies(terms: Any, path: str) -> Causes:
    former: set[frozenset[tuple[str, frozenset[str]]]] = set()
    for index, term in enumerate(terms):
        at = f"{path}[{index}].matchLabelExpressions"
        known: dict[str, frozenset[str]] = {}
        for number, expression in enumerate(term.get("matchLabelExpressions") or ()):
            yield from _topology(expression, f"{at}[{number}]")
            key = expression.get("key", "")
            if key in known:
                yield duplicate(f"{at}[{number}].key", key)
            known[key] = frozenset(expression.get("values") or ())
        # The server compares with as many empty terms as there are.
        whole = frozenset(known.items())
        if not whole or whole in former:
            yield duplicate(at, "")
        former.add(whole)


def _topology(expression: Mapping[str, Any], at: str) -> Causes:
    key, values = expression.get("key", ""), expression.get("values") or ()
    if not values:
        yield required(f"{at}.values")
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield duplicate(f"{at}.values[{index}]", value)
        seen.add(value)
    yield from of_messages(f"{at}.key", key, names.qualified_name(key))


def fill_storage_class(document: Document) -> None:
    """The defaults of a StorageClass, in place."""
    document.setdefault("reclaimPolicy", "Delete")
    document.setdefault("volumeBindingMode", "Immediate")


def attributes_class_causes(document: Document, old: Document | None) -> Causes:
    """A VolumeAttributesClass."""
    yield from _provisioner(document, "driverName")
    yield from _parameters(document.get("parameters") or {}, needed=True)
    for key in ("driverName", "parameters") if old is not None else ():
        if old is not None and document.get(key) != old.get(key):
            yield forbidden(key, f"updates to {key} are forbidden.")


def volume_causes(document: Document, old: Document | None) -> Causes:
    """A PersistentVolume."""
    spec, before = document.get("spec") or {}, (old or {}).get("spec") or {}
    yield from _capacity(spec.get("capacity") or {}, "spec.capacity")
    yield from one_of(spec, "persistentVolumeReclaimPolicy", ("Delete", "Recycle", "Retain"), "spec")
    yield from one_of(spec, "volumeMode", ("Block", "Filesystem"), "spec")
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    if affinity is not None:
        yield from node_selector_causes(affinity, "spec.nodeAffinity.required")
    elif "nodeAffinity" in spec:
        yield required("spec.nodeAffinity.required", "must specify required node constraints")
    yield from _volume(spec, "spec")
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        yield from of_messages("spec.storageClassName", name, names.dns_subdomain(name))
    yield from _attributes_class(spec)
    if old is not None:
        if _sources(spec) != _sources(before):
            detail = "spec.persistentvolumesource is immutable after creation"
            yield forbidden("spec.persistentvolumesource", detail)
        if spec.get("volumeMode") != before.get("volumeMode"):
            yield from placed("spec.volumeMode", [immutable("volumeMode", spec.get("volumeMode"))])


def _attributes_class(spec: Mapping[str, Any]) -> Causes:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    if not name:
        yield required("spec.volumeAttributesClassName", "an empty string is disallowed")
    else:
        yield from of_messages("spec.volumeAttributesClassName", name, names.dns_subdomain(name))
    if "csi" not in spec:
        yield required("spec.csi", "has to be specified when using volumeAttributesClassName")


def _sources(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _NOT_SOURCES}


def _inline(spec: Mapping[str, Any], at: str) -> Causes:
    """The spec of a volume as an attachment holds it."""
    never = "may not be specified in the context of inline volumes"
    for key in ("claimRef", "capacity", "nodeAffinity", "storageClassName"):
        if spec.get(key):
            yield forbidden(f"{at}.{key}", never)
    if "csi" not in spec:
        yield required(f"{at}.csi", "has to be specified in the context of inline volumes")
    if spec.get("persistentVolumeReclaimPolicy", "Retain") != "Retain":
        yield forbidden(
            f"{at}.persistentVolumeReclaimPolicy", "may only be Retain in the context of inline volumes"
        )
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        detail = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        yield forbidden(f"{at}.volumeMode", detail)
    yield from _volume(spec, at)


def _volume(spec: Mapping[str, Any], at: str) -> Causes:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{at}.accessModes")
    for mode in modes:
        if mode not in _MODES:
            yield unsupported(f"{at}.accessModes", mode, _MODES)
    if _ALONE in modes and any(mode in _MODES and mode != _ALONE for mode in modes):
        yield forbidden(f"{at}.accessModes", "may not use ReadWriteOncePod with other access modes")
    yield from _volume_source(spec, at)


def _capacity(capacity: Mapping[str, str], at: str) -> Causes:
    if not capacity:
        yield required(at)
    if list(capacity) != ["storage"]:
        yield unsupported(at, dict(capacity), ("storage",))
    for name, text in capacity.items():
        if parsed(text) <= 0:
            yield invalid(f"{at}[{name}]", text, "must be greater than zero")


def _volume_source(spec: Mapping[str, Any], at: str) -> Causes:
    sources = list(_sources(spec))
    if not sources:
        yield required(at, "must specify a volume type")
    for name in sources[1:]:
        yield forbidden(f"{at}.{name}", "may not specify more than 1 volume type")
    for name in sources[:1]:
        yield from source_causes(name, spec[name], f"{at}.{name}")
    if "local" in spec and not (spec.get("nodeAffinity") or {}).get("required"):
        yield required(f"{at}.nodeAffinity", "Local volume requires node affinity")
    path = (spec.get("hostPath") or {}).get("path")
    if path and normpath(path) in ("/", "//") and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden(f"{at}.persistentVolumeReclaimPolicy", detail)


def driver_object_causes(document: Document, old: Document | None) -> Causes:
    """A CSIDriver; the server calls `attachRequired` by another name."""
    spec = document.get("spec") or {}
    yield from one_of(spec, "fsGroupPolicy", _FS_GROUPS, "spec")
    yield from _token_requests(spec.get("tokenRequests") or (), "spec.tokenRequests")
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _LIFECYCLES:
            yield unsupported("spec.volumeLifecycleModes", mode, _LIFECYCLES)
    period = spec.get("nodeAllocatableUpdatePeriodSeconds", _PERIOD)
    if period < _PERIOD:
        detail = f"must be greater than or equal to {_PERIOD} seconds"
        yield invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, detail)
    before = (old or {}).get("spec") or {}
    for key, said in (
        ("attachRequired", "attachedRequired"),
        ("volumeLifecycleModes", "volumeLifecycleModes"),
    ):
        if old is not None and spec.get(key) != before.get(key):
            yield immutable(f"spec.{said}", spec.get(key))


def _token_requests(requests: Any, path: str) -> Causes:
    seen: set[str] = set()
    for index, request in enumerate(requests):
        at, audience = f"{path}[{index}]", request.get("audience", "")
        if audience in seen:
            yield duplicate(f"{at}.audience", audience)
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds", _SHORTEST)
        if seconds < _SHORTEST:
            detail = "may not specify a duration less than 10 minutes"
            yield invalid(f"{at}.expirationSeconds", seconds, detail)
        if seconds > _LONGEST:
            detail = "may not specify a duration larger than 2^32 seconds"
            yield invalid(f"{at}.expirationSeconds", seconds, detail)


def fill_driver(document: Document) -> None:
    """The defaults of a CSIDriver, in place."""
    spec = document.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    for key in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        spec.setdefault(key, False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def storage_node_causes(document: Document, old: Document | None) -> Causes:
    """A CSINode."""
    drivers = (document.get("spec") or {}).get("drivers") or ()
    seen: set[str] = set()
    for index, driver in enumerate(drivers):
        at, name, node = f"spec.drivers[{index}]", driver.get("name", ""), driver.get("nodeID", "")
        yield from driver_causes(name, f"{at}.name")
        if not node:
            yield required(f"{at}.nodeID")
        if len(node) > _MAX_NODE_ID:
            yield invalid(f"{at}.nodeID", node, f"must be {_MAX_NODE_ID} characters or less")
        yield from not_negative(driver.get("allocatable") or {}, ("count",), f"{at}.allocatable")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        yield from _topology_keys(driver.get("topologyKeys") or (), at)
    before = {item.get("name"): item for item in ((old or {}).get("spec") or {}).get("drivers") or ()}
    for driver in drivers:
        former = before.get(driver.get("name"), driver)
        if {**former, "allocatable": None} != {**driver, "allocatable": None}:
            yield immutable("spec.drivers", driver)


def _topology_keys(keys: Any, at: str) -> Causes:
    seen: set[str] = set()
    for key in keys:
        if not key:
            yield required(at)
        if key in seen:
            yield duplicate(at, key)
        seen.add(key)
        yield from of_messages(at, key, names.qualified_name(key))


def storage_capacity_causes(document: Document, old: Document | None) -> Causes:
    """A CSIStorageCapacity."""
    name, text = document.get("storageClassName", ""), document.get("capacity", "0")
    yield from selector_causes(document.get("nodeTopology"), "nodeTopology")
    yield from of_messages("storageClassName", name, names.dns_subdomain(name))
    if parsed(text) < 0:
        yield invalid("capacity", text, "must be greater than or equal to 0")
    for key in ("nodeTopology", "storageClassName"):
        if old is not None and document.get(key) != old.get(key):
            yield immutable(key, document.get(key))


def attachment_causes(document: Document, old: Document | None) -> Causes:
    """A VolumeAttachment."""
    spec = document.get("spec") or {}
    attacher, node, source = spec.get("attacher", ""), spec.get("nodeName", ""), spec.get("source") or {}
    yield from driver_causes(attacher, "spec.attacher")
    yield from _attached(source, "spec.source")
    yield from of_messages("spec.nodeName", node, names.dns_subdomain(node))
    if old is not None and spec != (old.get("spec") or {}):
        yield immutable("spec", spec)


def _attached(source: Mapping[str, Any], at: str) -> Causes:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if name is None and inline is None:
        yield required(at, detail)
    elif name is not None and inline is not None:
        yield forbidden(at, detail)
    elif inline is not None:
        yield from _inline(inline, f"{at}.inlineVolumeSpec")
    elif not name:
        yield required(f"{at}.persistentVolumeName", "must specify non empty persistentVolumeName")
    else:
        yield from of_messages(f"{at}.persistentVolumeName", name, names.dns_subdomain(name))
