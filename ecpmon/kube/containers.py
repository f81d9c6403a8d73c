"""Containers of a pod, those that come first and those that stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    needed,
    not_found,
    of_messages,
    one_of,
    required,
    unsupported,
    without,
)
from ecpmon.kube.environment import env_causes
from ecpmon.kube.probes import forbidden_causes, hook_causes, probe_causes
from ecpmon.kube.resources import requirement_causes
from ecpmon.kube.security import container_security_causes
from ecpmon.kube.volumes import descending_causes

_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_PULL: Final = ("Always", "IfNotPresent", "Never")
_MESSAGES: Final = ("File", "FallbackToLogsOnError")
_PROPAGATION: Final = ("Bidirectional", "HostToContainer", "None")
_PROPAGATED: Final = _PROPAGATION[:2]
_RECURSIVE: Final = ("Disabled", "Enabled", "IfPossible")
_RESIZE: Final = ("NotRequired", "RestartContainer")


@dataclass(frozen=True, slots=True)
class Within:
    """The pod that containers belong to: its spec, which volumes can be mounted, which of them are claims and so can
    be used as devices, its resource claims."""

    spec: Mapping[str, Any]
    volumes: set[str]
    disks: set[str]
    claims: Mapping[str, Any]
    is_pod: bool


def container_causes(within: Within, path: str) -> Causes:
    """`initContainers` and `containers`; names are unique among all of them."""
    spec = within.spec
    containers = spec.get("containers") or ()
    if not containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            at = f"{path}.{key}[{index}]"
            yield from _name(container.get("name", ""), seen, at)
            yield from _common(container, at, within)
            yield from (_running if key == "containers" else _first)(container, at, within)
    yield from _host_ports(spec, path, within.is_pod)


def _name(name: str, seen: set[str], at: str) -> Causes:
    if not name:
        yield required(f"{at}.name")
        return
    yield from of_messages(f"{at}.name", name, names.dns_label(name))
    if name in seen:
        yield duplicate(f"{at}.name", name)
    seen.add(name)


def _running(container: Mapping[str, Any], at: str, within: Within) -> Causes:
    """Of a container that stays."""
    yield from hook_causes(container, at, within.spec.get("terminationGracePeriodSeconds"))
    yield from probe_causes(container, at)
    yield from one_of(container, "restartPolicy", ("Always", "OnFailure", "Never"), at)


def _first(container: Mapping[str, Any], at: str, within: Within) -> Causes:
    """Of a container that ends before the others begin, unless it is a sidecar."""
    if container.get("restartPolicy") == "Always":
        yield from hook_causes(container, at, within.spec.get("terminationGracePeriodSeconds"))
        yield from probe_causes(container, at)
        return
    yield from one_of(container, "restartPolicy", ("Always", "OnFailure", "Never"), at)
    yield from forbidden_causes(container, at)
    if container.get("resizePolicy"):
        detail = "must not be set for init containers"
        yield invalid(f"{at}.resizePolicy", container["resizePolicy"], detail)


def _common(container: Mapping[str, Any], at: str, within: Within) -> Causes:
    image = container.get("image", "")
    yield from needed(container, ("image",), at)
    if within.is_pod and image != image.strip():
        yield invalid(f"{at}.image", image, "must not have leading or trailing whitespace")
    yield from one_of(container, "terminationMessagePolicy", _MESSAGES, at)
    yield from one_of(container, "imagePullPolicy", _PULL, at)
    yield from _ports(container.get("ports") or (), f"{at}.ports")
    yield from env_causes(container, at)
    yield from _mounts(container, at, within)
    yield from requirement_causes(container.get("resources") or {}, f"{at}.resources", within.claims)
    ends = within.spec.get("restartPolicy") == "Never"
    yield from _resizing(container.get("resizePolicy") or (), f"{at}.resizePolicy", ends=ends)
    yield from container_security_causes(
        container.get("securityContext"), f"{at}.securityContext", within.spec
    )


def _ports(ports: Any, path: str) -> Causes:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"{path}[{index}]", port.get("name", "")
        if name:
            messages = names.port_name(name)
            yield from of_messages(f"{at}.name", name, messages)
            if not messages and name in seen:
                yield duplicate(f"{at}.name", name)
            seen.add(name)
        number, host = port.get("containerPort", 0), port.get("hostPort", 0)
        if number == 0:
            yield required(f"{at}.containerPort")
        else:
            yield from of_messages(f"{at}.containerPort", number, names.port_number(number))
        if host:
            yield from of_messages(f"{at}.hostPort", host, names.port_number(host))
        yield from one_of(port, "protocol", _PROTOCOLS, at)


def _host_ports(spec: Mapping[str, Any], path: str, is_pod: bool) -> Causes:
    """Two containers cannot have one port of the host; on the host's network both numbers are one."""
    taken: set[tuple[Any, ...]] = set()
    places = [
        (name, *item) for name in ("containers", "initContainers") for item in enumerate(spec.get(name) or ())
    ]
    for name, index, container in places:
        for number, port in enumerate(container.get("ports") or ()):
            at, host = f"{path}.{name}[{index}].ports[{number}].hostPort", port.get("hostPort", 0)
            key = (port.get("protocol"), port.get("hostIP", ""), host)
            if name == "initContainers" and number == 0:
                taken = set()  # one of them ends before the next begins
            if host and key in taken:
                yield duplicate(at, "/".join(map(str, key)))
            taken.add(key)
            differs = host != port.get("containerPort", 0) and (is_pod or host != 0)
            if spec.get("hostNetwork") and differs and name == "containers":
                yield invalid(at, host, "must match `containerPort` when `hostNetwork` is true")


def _mounts(container: Mapping[str, Any], at: str, within: Within) -> Causes:
    seen: set[str] = set()
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    mounts, devices = container.get("volumeMounts") or (), container.get("volumeDevices") or ()
    names, paths = _taken(devices, "devicePath")
    for index, mount in enumerate(mounts):
        where, name, path = f"{at}.volumeMounts[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        yield from needed(mount, ("name",), where)
        if name not in within.volumes:
            yield not_found(f"{where}.name", name)
        yield from needed(mount, ("mountPath",), where)
        if path in seen:
            yield invalid(f"{where}.mountPath", path, "must be unique")
        seen.add(path)
        if name in names:
            yield invalid(f"{where}.name", name, "must not already exist in volumeDevices")
        if path in paths:
            yield invalid(f"{where}.mountPath", path, "must not already exist as a path in volumeDevices")
        if mount.get("subPath") and mount.get("subPathExpr"):
            detail = "subPathExpr and subPath are mutually exclusive"
            yield invalid(f"{where}.subPathExpr", mount["subPathExpr"], detail)
        # Of what follows the server names the list and the field, not which of the mounts.
        step = f".volumeMounts[{index}]"
        yield from without(step, _mount_details(mount, where, privileged), ".volumeMounts")
    yield from _devices(devices, f"{at}.volumeDevices", within, _taken(mounts, "mountPath"))


def _taken(items: Sequence[Mapping[str, Any]], key: str) -> tuple[set[str], set[str]]:
    """The volumes that mounts or devices use, and the paths where they do."""
    return {item.get("name", "") for item in items}, {item.get(key, "") for item in items}


def _devices(
    devices: Sequence[Mapping[str, Any]], at: str, within: Within, mounted: tuple[set[str], set[str]]
) -> Causes:
    used: set[str] = set()
    names, paths = mounted
    for index, device in enumerate(devices):
        where, name = f"{at}[{index}]", device.get("name", "")
        yield from needed(device, ("name", "devicePath"), where)
        for key in ("name", "devicePath"):
            if device.get(key) in used:
                yield invalid(f"{where}.{key}", device[key], "must be unique")
            used |= {device[key]} if device.get(key) else set()
        if ".." in device.get("devicePath", "").split("/"):
            yield invalid(f"{where}.devicePath", device["devicePath"], "can not contain backsteps ('..')")
        if name and name not in within.volumes:
            yield not_found(f"{where}.name", name)
        elif name and name not in within.disks:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{where}.name", name, detail)
        if name in names:
            yield invalid(f"{where}.name", name, "must not already exist in volumeMounts")
        if device.get("devicePath", "") in paths:
            detail = "must not already exist as a path in volumeMounts"
            yield invalid(f"{where}.devicePath", device.get("devicePath", ""), detail)


def _mount_details(mount: Mapping[str, Any], at: str, privileged: bool) -> Causes:
    for key in ("subPath", "subPathExpr"):
        if mount.get(key):
            yield from descending_causes(mount[key], f"{at}.{key}")
    if mount.get("mountPropagation") == "Bidirectional" and not privileged:
        detail = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(f"{at}.mountPropagation", detail)
    yield from one_of(mount, "mountPropagation", _PROPAGATION, at)
    yield from one_of(mount, "recursiveReadOnly", _RECURSIVE, at)
    if mount.get("recursiveReadOnly") in _RECURSIVE[1:] and not mount.get("readOnly"):
        yield forbidden(f"{at}.recursiveReadOnly", "may only be specified when readOnly is true")
    if mount.get("recursiveReadOnly") in _RECURSIVE[1:] and mount.get("mountPropagation") in _PROPAGATED:
        detail = "may only be specified when mountPropagation is None or not specified"
        yield forbidden(f"{at}.recursiveReadOnly", detail)


def _resizing(policies: Any, path: str, *, ends: bool) -> Causes:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        at, name = f"{path}[{index}]", policy.get("resourceName", "")
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)
        if name not in ("cpu", "memory"):
            yield unsupported(path, name, ("cpu", "memory"))
        if policy.get("restartPolicy", "") not in _RESIZE:
            yield unsupported(path, policy.get("restartPolicy", ""), _RESIZE)
        elif ends and policy["restartPolicy"] != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            yield invalid(path, policy["restartPolicy"], detail)
