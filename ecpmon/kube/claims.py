"""PersistentVolumeClaims, wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    invalid,
    of_messages,
    one_of,
    required,
    unsupported,
)
from ecpmon.kube.metadata import selector_causes
from ecpmon.kube.quantities import parsed

_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
# What may change of a claim that exists.
_OPEN: Final = ("resources", "volumeName", "volumeAttributesClassName")


def claim_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from claim_spec_causes(spec, "spec")
    if old is not None:
        yield from _changes(spec, old.get("spec") or {})


def claim_spec_causes(spec: Mapping[str, Any], path: str) -> Causes:
    """`spec` of a claim or of the template of one."""
    modes = spec.get("accessModes") or []
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from selector_causes(spec.get("selector"), f"{path}.selector")
    for mode in modes:
        if mode not in _MODES:
            yield unsupported(f"{path}.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        yield forbidden(f"{path}.accessModes", detail)
    yield from _storage(spec, path)
    for key in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(key):
            yield from of_messages(f"{path}.{key}", spec[key], names.dns_subdomain(spec[key]))
    yield from one_of(spec, "volumeMode", ("Block", "Filesystem"), path)
    for key in ("dataSource", "dataSourceRef"):
        if key in spec:
            yield from _source(spec[key], f"{path}.{key}")


def _storage(spec: Mapping[str, Any], path: str) -> Causes:
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    field = f"{path}.resources[storage]"
    if size is None:
        yield required(field)
    elif parsed(size) <= 0:
        yield invalid(field, size, "must be greater than zero")


def _source(source: Mapping[str, Any], at: str) -> Causes:
    group, kind = source.get("apiGroup", ""), source.get("kind", "")
    for key in ("name", "kind"):
        if not source.get(key):
            yield required(f"{at}.{key}")
    if group:
        yield from of_messages(f"{at}.apiGroup", group, names.dns_subdomain(group))
    elif kind != "PersistentVolumeClaim":
        yield invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")


def _changes(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Causes:
    def fixed(of: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in of.items() if key not in _OPEN}

    if fixed(spec) != fixed(old):
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims"
        )
        yield forbidden("spec", detail)
        return
    now, before = _size(spec), _size(old)
    if now is not None and before is not None and parsed(now) < parsed(before):
        yield forbidden("spec.resources.requests.storage", "field can not be less than previous value")


def _size(spec: Mapping[str, Any]) -> str | None:
    size: str | None = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return size
