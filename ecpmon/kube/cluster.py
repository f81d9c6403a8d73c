"""What belongs to the whole cluster: namespaces, nodes' classes, volumes and their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    immutable,
    invalid,
    needed,
    not_negative,
    of_messages,
    one_of,
    required,
    unsupported,
)
from ecpmon.kube.quantities import parsed
from ecpmon.kube.scheduling import node_selector_causes
from ecpmon.kube.volumes import persistent_source_causes as source_causes

_SYSTEM: Final = "system-"
_HIGHEST_PRIORITY: Final = 1_000_000_000
_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_NOT_SOURCES: Final = (
    "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
    "volumeMode", "nodeAffinity", "volumeAttributesClassName",
)  # fmt: skip


def priority_class_causes(document: Document, old: Document | None) -> Causes:
    name, value = document["metadata"].get("name", ""), document.get("value", 0)
    if name.startswith(_SYSTEM):
        yield forbidden(
            "metadata.name", "priority class names with 'system-' prefix are reserved for system use only"
        )
    if value > _HIGHEST_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}")
    policy, allowed = document.get("preemptionPolicy"), ("Never", "PreemptLowerPriority")
    if policy is not None and policy not in allowed:
        yield unsupported("preemptionPolicy", policy, allowed)
    if old is not None and value != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")


def storage_class_causes(document: Document, old: Document | None) -> Causes:
    provisioner = document.get("provisioner", "")
    if not provisioner:
        yield required("provisioner")
    yield from of_messages("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    for key in document.get("parameters") or {}:
        if not key:
            yield invalid("parameters", key, "field can not be empty.")
    for key, allowed in (
        ("reclaimPolicy", ("Delete", "Retain")),
        ("volumeBindingMode", ("Immediate", "WaitForFirstConsumer")),
    ):
        if document.get(key) is not None and document[key] not in allowed:
            yield unsupported(key, document[key], allowed)
    for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if old is not None and document.get(key) != old.get(key):
            yield forbidden(key, "updates to this field are forbidden.")


def volume_causes(document: Document, _: Document | None) -> Causes:
    """A PersistentVolume."""
    spec = document.get("spec") or {}
    modes, capacity = spec.get("accessModes") or (), spec.get("capacity") or {}
    if not modes:
        yield required("spec.accessModes")
    for mode in modes:
        if mode not in _MODES:
            yield unsupported("spec.accessModes", mode, _MODES)
    if not capacity:
        yield required("spec.capacity")
    elif list(capacity) != ["storage"]:
        yield unsupported("spec.capacity", dict(capacity), ("storage",))
    for name, text in capacity.items():
        if parsed(text) <= 0:
            yield invalid(f"spec.capacity[{name}]", text, "must be greater than zero")
    yield from one_of(spec, "persistentVolumeReclaimPolicy", ("Delete", "Recycle", "Retain"), "spec")
    yield from one_of(spec, "volumeMode", ("Block", "Filesystem"), "spec")
    yield from _volume_source(spec)
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    if affinity is not None:
        yield from node_selector_causes(affinity, "spec.nodeAffinity.required")
    elif "nodeAffinity" in spec:
        yield required("spec.nodeAffinity.required", "must specify required node constraints")


def _volume_source(spec: Mapping[str, Any]) -> Causes:
    sources = [key for key in spec if key not in _NOT_SOURCES]
    if not sources:
        yield required("spec", "must specify a volume type")
    for name in sources[1:]:
        yield forbidden(f"spec.{name}", "may not specify more than 1 volume type")
    for name in sources[:1]:
        yield from source_causes(name, spec[name], f"spec.{name}")
    if "local" in spec and "nodeAffinity" not in spec:
        yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.get("storageClassName"):
        yield from of_messages(
            "spec.storageClassName", spec["storageClassName"], names.dns_subdomain(spec["storageClassName"])
        )


def lease_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    if spec.get("leaseDurationSeconds", 1) <= 0:
        yield invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    yield from not_negative(spec, ("leaseTransitions",), "spec")


def endpoint_slice_causes(document: Document, old: Document | None) -> Causes:
    kind, allowed = document.get("addressType", ""), ("FQDN", "IPv4", "IPv6")
    if not kind:
        yield required("addressType")
    elif kind not in allowed:
        yield unsupported("addressType", kind, allowed)
    for index, endpoint in enumerate(document.get("endpoints") or ()):
        yield from needed(endpoint, ("addresses",), f"endpoints[{index}]")
    for index, port in enumerate(document.get("ports") or ()):
        name = port.get("name", "")
        if name:
            yield from of_messages(f"ports[{index}].name", name, names.dns_label(name))
        if port.get("protocol", "TCP") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(f"ports[{index}].protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
    if old is not None and kind != old.get("addressType"):
        yield immutable("addressType", kind)
