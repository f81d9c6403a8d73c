"""The Pod Security Standards, as of Kubernetes 1.36: what a pod does that `baseline` or `restricted` forbids.

Controls of the baseline come first; each names the field that the admission of a real cluster names. What only
Windows or only Linux knows is not asked of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ecpmon.kube.shapes import items, mapping
from ecpmon.kube.templates import PodTemplate


class Standard(IntEnum):
    """How much a pod may do; the larger, the less."""

    PRIVILEGED = 0
    BASELINE = 1
    RESTRICTED = 2


@dataclass(frozen=True, slots=True)
class Violation:
    """`standard` is the one that forbids it, `value` what was found at `path`."""

    standard: Standard
    code: str
    path: str
    value: str = ""


Violations = Iterator[Violation]

_BASELINE_CAPABILITIES: Final = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
_SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_SYSCTLS: Final = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
})  # fmt: skip
_VOLUMES: Final = frozenset({
    "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
})  # fmt: skip
_PROFILES: Final = ("RuntimeDefault", "Localhost")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_HOOKS: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(template: PodTemplate) -> Violations:
    """All of one template's pods; nothing is known of those that only an operator makes."""
    if template.unseen:
        return
    pod, path = template.spec, template.path
    context = mapping(pod.get("securityContext"))
    windows = mapping(pod.get("os")).get("name") == "windows"
    yield from _of_the_pod(template, context)
    if not windows:
        yield from _without_profile(template, context)
    yield from _maybe_root(template, context)
    for part, where, container in template.containers():
        own = mapping(container.get("securityContext"))
        yield from _of_a_container(where, container, own)
        if not windows:
            yield from _restricted_container(where, own, ephemeral=part == "ephemeralContainers")
    yield from _volumes(pod, path)


def standard_met(found: list[Violation]) -> Standard:
    """The strictest standard that pods with these violations still meet."""
    if any(v.standard is Standard.BASELINE for v in found):
        return Standard.PRIVILEGED
    return Standard.BASELINE if found else Standard.RESTRICTED


def _baseline(code: str, path: str, value: Any = "") -> Violation:
    return Violation(Standard.BASELINE, code, path, str(value)[:80])


def _restricted(code: str, path: str, value: Any = "") -> Violation:
    return Violation(Standard.RESTRICTED, code, path, str(value)[:80])


def _of_the_pod(template: PodTemplate, context: dict[str, Any]) -> Violations:
    pod, path = template.spec, template.path
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(host) is True:
            yield _baseline("HOST_ACCESS", f"{path}.{host}", host)
    yield from _of_a_context(f"{path}.securityContext", context)
    for number, sysctl in enumerate(items(context.get("sysctls"))):
        name = mapping(sysctl).get("name")
        if name not in _SYSCTLS:
            yield _baseline("SYSCTL", f"{path}.securityContext.sysctls.{number}.name", name)
    annotations = mapping(template.metadata.get("annotations"))
    for key, value in annotations.items():
        if str(key).startswith(_APPARMOR) and not str(value).startswith(("runtime/default", "localhost/")):
            above = path.rpartition(".")[0]
            yield _baseline("APPARMOR", f"{above}.metadata.annotations.{key}".lstrip("."), value)


def _of_a_context(path: str, context: dict[str, Any]) -> Violations:
    """What a pod's and a container's security context have in common."""
    if mapping(context.get("windowsOptions")).get("hostProcess") is True:
        yield _baseline("HOST_PROCESS", f"{path}.windowsOptions.hostProcess")
    if mapping(context.get("seccompProfile")).get("type") == "Unconfined":
        yield _baseline("SECCOMP", f"{path}.seccompProfile.type", "Unconfined")
    if mapping(context.get("appArmorProfile")).get("type") == "Unconfined":
        yield _baseline("APPARMOR", f"{path}.appArmorProfile.type", "Unconfined")
    labels = mapping(context.get("seLinuxOptions"))
    if labels.get("type", "") not in _SELINUX_TYPES:
        yield _baseline("SELINUX", f"{path}.seLinuxOptions.type", labels["type"])
    for part in ("user", "role"):
        if labels.get(part):
            yield _baseline("SELINUX", f"{path}.seLinuxOptions.{part}", labels[part])
    user = context.get("runAsUser")
    if user == 0 and not isinstance(user, bool):
        yield _restricted("RUN_AS_ROOT", f"{path}.runAsUser", 0)


def _of_a_container(path: str, container: dict[str, Any], context: dict[str, Any]) -> Violations:
    where = f"{path}.securityContext"
    yield from _of_a_context(where, context)
    if context.get("privileged") is True:
        yield _baseline("PRIVILEGED", f"{where}.privileged")
    for number, name in enumerate(items(mapping(context.get("capabilities")).get("add"))):
        at = f"{where}.capabilities.add.{number}"
        if name not in _BASELINE_CAPABILITIES:
            yield _baseline("CAPABILITY", at, name)
        elif name != "NET_BIND_SERVICE":
            yield _restricted("CAPABILITY", at, name)
    if context.get("procMount", "Default") not in ("Default", None):
        yield _baseline("PROC_MOUNT", f"{where}.procMount", context["procMount"])
    for number, port in enumerate(items(container.get("ports"))):
        if mapping(port).get("hostPort"):
            yield _baseline("HOST_PORT", f"{path}.ports.{number}.hostPort", mapping(port)["hostPort"])
    yield from _hosts(path, container)


def _hosts(path: str, container: dict[str, Any]) -> Violations:
    """Probes and hooks that the kubelet would send elsewhere than to the pod."""
    lifecycle = mapping(container.get("lifecycle"))
    asked = [(f"{path}.{name}", container.get(name)) for name in _HOOKS]
    asked += [(f"{path}.lifecycle.{name}", lifecycle.get(name)) for name in ("postStart", "preStop")]
    for where, handler in asked:
        for way in ("httpGet", "tcpSocket"):
            host = mapping(mapping(handler).get(way)).get("host")
            if host:
                yield _baseline("HOST_PROBE", f"{where}.{way}.host", host)


def _restricted_container(path: str, context: dict[str, Any], *, ephemeral: bool) -> Violations:
    where = f"{path}.securityContext"
    if context.get("allowPrivilegeEscalation") is not False:
        yield _restricted("PRIVILEGE_ESCALATION", f"{where}.allowPrivilegeEscalation")
    if not ephemeral and "ALL" not in items(mapping(context.get("capabilities")).get("drop")):
        yield _restricted("CAPABILITIES_KEPT", f"{where}.capabilities.drop")


def _without_profile(template: PodTemplate, context: dict[str, Any]) -> Violations:
    if mapping(context.get("seccompProfile")).get("type") in (*_PROFILES, "Unconfined"):
        return  # Unconfined is named by the baseline
    for _, path, container in template.containers():
        own = mapping(mapping(container.get("securityContext")).get("seccompProfile"))
        if not own.get("type"):
            yield _restricted("NO_SECCOMP", f"{path}.securityContext.seccompProfile")


def _maybe_root(template: PodTemplate, context: dict[str, Any]) -> Violations:
    """Windows has this one too."""
    whole = context.get("runAsNonRoot") is True
    for _, path, container in template.containers():
        own = mapping(container.get("securityContext")).get("runAsNonRoot")
        if own is False or (not whole and own is not True):
            yield _restricted("MAY_BE_ROOT", f"{path}.securityContext.runAsNonRoot")


def _volumes(pod: dict[str, Any], path: str) -> Violations:
    for number, volume in enumerate(items(pod.get("volumes"))):
        for kind in mapping(volume):
            if kind == "hostPath":
                yield _baseline("HOST_PATH", f"{path}.volumes.{number}.hostPath")
            elif kind not in _VOLUMES:
                yield _restricted("VOLUME_TYPE", f"{path}.volumes.{number}.{kind}", kind)
