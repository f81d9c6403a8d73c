"""The pod's own rules, shared by pods and everything with a pod template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import orjson

from ecpmon.simulator.kube.status import Cause, Document
from ecpmon.simulator.model.quantities import bounded

_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
# An exponent belongs to the number; E alone means exa.
_SPLIT: Final = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(.*)")
_SUFFIXES: Final = {
    **{letter: Decimal(1000) ** power for power, letter in enumerate("num", start=-3)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
_PROTOCOLS: Final = ["SCTP", "TCP", "UDP"]
_PULL: Final = ["Always", "IfNotPresent", "Never"]
_RESTART: Final = ["Always", "OnFailure", "Never"]


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value{': ' + detail if detail else ''}", field)


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}", field)


def immutable(field: str, value: Any, detail: str = "field is immutable") -> Cause:
    return invalid_value(field, value, detail)


def unsupported(field: str, value: Any, allowed: list[str]) -> Cause:
    listed = ", ".join(f'"{item}"' for item in allowed)
    message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
    return Cause("FieldValueNotSupported", message, field)


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {_shown(value)}", field)


def negative(holder: Document, key: str, field: str) -> Iterator[Cause]:
    value = holder.get(key)
    if isinstance(value, int) and value < 0:
        yield invalid_value(field, value, "must be greater than or equal to 0")


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def pod_spec_causes(spec: Document, path: str) -> Iterator[Cause]:
    """Containers, volumes and the few words with a fixed choice."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    if spec.get("restartPolicy", "Always") not in _RESTART:
        yield unsupported(f"{path}.restartPolicy", spec["restartPolicy"], _RESTART)
    yield from negative(spec, "terminationGracePeriodSeconds", f"{path}.terminationGracePeriodSeconds")
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    seen: set[str] = set()
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            at = f"{path}.{key}[{index}]"
            if container.get("name") in seen:
                yield duplicate(f"{at}.name", container["name"])
            seen.add(str(container.get("name")))
            yield from _container(container, at, volumes)


def _container(container: Document, at: str, volumes: set[Any]) -> Iterator[Cause]:
    name = container.get("name") or ""
    if not name:
        yield required(f"{at}.name")
    elif not _LABEL.fullmatch(name) or len(name) > 63:
        detail = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        yield invalid_value(f"{at}.name", name, detail)
    if not str(container.get("image") or "").strip():
        yield required(f"{at}.image")
    if container.get("imagePullPolicy", "Always") not in _PULL:
        yield unsupported(f"{at}.imagePullPolicy", container["imagePullPolicy"], _PULL)
    yield from _ports(container, at)
    yield from _resources(container.get("resources") or {}, f"{at}.resources")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            field = f"{at}.volumeMounts[{index}].name"
            yield Cause("FieldValueNotFound", f"Not found: {_shown(mount.get('name'))}", field)
    for index, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield required(f"{at}.env[{index}].name")


def _ports(container: Document, at: str) -> Iterator[Cause]:
    for index, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort")
        if isinstance(number, int) and not 1 <= number <= 65535:
            detail = "must be between 1 and 65535, inclusive"
            yield invalid_value(f"{at}.ports[{index}].containerPort", number, detail)
        if port.get("protocol", "TCP") not in _PROTOCOLS:
            yield unsupported(f"{at}.ports[{index}].protocol", port["protocol"], _PROTOCOLS)


def _resources(resources: Document, at: str) -> Iterator[Cause]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for kind, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            if quantity(amount) < 0:
                yield invalid_value(f"{at}.{kind}[{name}]", str(amount), "must be greater than or equal to 0")
            elif "/" in name and quantity(amount) != quantity(amount).to_integral_value():
                yield invalid_value(f"{at}.{kind}[{name}]", str(amount), "must be an integer")
    for name, amount in requests.items():
        if name in limits and quantity(amount) > quantity(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{at}.requests", str(amount), detail)
        elif "/" in name and name in limits and quantity(amount) != quantity(limits[name]):
            yield invalid_value(
                f"{at}.requests", str(amount), f"must be equal to {name} limit of {limits[name]}"
            )


def quantity(text: Any) -> Decimal:
    """A quantity whose form the schema has checked, in base units."""
    number, suffix = _SPLIT.match(str(text)).groups()  # type: ignore[union-attr]
    return bounded(Decimal(number)) * _SUFFIXES.get(suffix, Decimal(1))
