"""The pod spec, of pods and of everything that makes pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import address_messages
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    forbidden,
    invalid,
    of_messages,
    one_of,
    placed,
    required,
)
from ecpmon.kube.containers import Within, container_causes
from ecpmon.kube.metadata import annotation_causes, label_causes
from ecpmon.kube.pod_annotations import pod_annotation_causes
from ecpmon.kube.quantities import parsed
from ecpmon.kube.resources import amount_causes, pod_level_causes, resource_name_causes
from ecpmon.kube.scheduling import scheduling_causes
from ecpmon.kube.security import os_causes, pod_security_causes
from ecpmon.kube.volumes import volume_causes
from ecpmon.kube.windows import host_process_causes

_RESTART: Final = ("Always", "OnFailure", "Never")
_DNS: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION: Final = ("Never", "PreemptLowerPriority")
_MAX_NAME_SERVERS: Final = 3
_MAX_SEARCHES: Final = 32
_MAX_HOSTNAME: Final = 64  # what Linux holds
# What the server lets an update of a pod change.
_OPEN: Final = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def template_causes(template: Mapping[str, Any], path: str) -> Causes:
    """A pod template. Labels are reported without `metadata`, as the server does."""
    metadata = template.get("metadata") or {}
    yield from label_causes(metadata.get("labels") or {}, f"{path}.labels")
    annotations, spec = metadata.get("annotations") or {}, template.get("spec") or {}
    yield from annotation_causes(annotations, f"{path}.annotations")
    yield from pod_annotation_causes(annotations, spec, f"{path}.annotations", f"{path}.spec")
    yield from spec_causes(spec, f"{path}.spec", is_pod=False)
    if spec.get("ephemeralContainers"):
        field = f"{path}.spec.ephemeralContainers"
        yield forbidden(field, "ephemeral containers not allowed in pod template")


def pod_causes(document: Document, old: Document | None) -> Causes:
    annotations, spec = document["metadata"].get("annotations") or {}, document.get("spec") or {}
    yield from pod_annotation_causes(annotations, spec, "metadata.annotations", "spec")
    yield from spec_causes(spec, "spec", is_pod=True)
    if old is None and spec.get("ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")
    if old is not None and _fixed(spec) != _fixed(old.get("spec") or {}):
        detail = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
            "to existing tolerations),`spec.terminationGracePeriodSeconds`"
        )
        yield forbidden("spec", detail)


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a pod's spec that never changes."""
    kept = {key: value for key, value in spec.items() if key not in _OPEN}
    for name in ("containers", "initContainers"):
        kept[name] = [{**item, "image": ""} for item in spec.get(name) or ()]
    return kept


def _disks(spec: Mapping[str, Any]) -> set[str]:
    """The volumes that are claims, of which alone a container can have the device."""
    volumes = spec.get("volumes") or ()
    return {v.get("name", "") for v in volumes if "persistentVolumeClaim" in v or "ephemeral" in v}


def spec_causes(spec: Mapping[str, Any], path: str, *, is_pod: bool) -> Causes:
    """Everything wrong with a pod spec."""
    found, usable = volume_causes(spec.get("volumes") or (), f"{path}.volumes", is_pod=is_pod)
    yield from found
    claims, causes = _claims(spec.get("resourceClaims") or (), f"{path}.resourceClaims")
    yield from causes
    yield from container_causes(Within(spec, usable, _disks(spec), claims, is_pod), path)
    yield from pod_level_causes(spec, path)
    yield from one_of(spec, "restartPolicy", _RESTART, path)
    yield from _dns(spec, path)
    yield from scheduling_causes(spec, path)
    yield from pod_security_causes(spec.get("securityContext"), f"{path}.securityContext", spec)
    yield from _times(spec, path)
    yield from _names(spec, path)
    yield from _overhead(spec.get("overhead") or {}, f"{path}.overhead")
    yield from _details(spec, path)


def _claims(claims: Any, path: str) -> tuple[dict[str, Any], list[Any]]:
    known: dict[str, Any] = {}
    causes: list[Any] = []
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            causes.append(required(f"{at}.name"))
        causes += of_messages(f"{at}.name", name, names.dns_label(name) if name else ())
        if name in known:
            causes.append(duplicate(f"{at}.name", name))
        if bool(claim.get("resourceClaimName")) == bool(claim.get("resourceClaimTemplateName")):
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            causes.append(invalid(at, dict(claim), detail))
        for key in ("resourceClaimName", "resourceClaimTemplateName"):
            if claim.get(key):
                causes += of_messages(f"{at}.{key}", claim[key], names.dns_subdomain(claim[key]))
        known[name] = claim
    return known, causes


def _dns(spec: Mapping[str, Any], path: str) -> Causes:
    yield from one_of(spec, "dnsPolicy", _DNS, path)
    config = spec.get("dnsConfig") or {}
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    at = f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None" and not servers:
        detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{at}.nameservers" if config else at, detail)
    if len(servers) > _MAX_NAME_SERVERS:
        detail = f"must not have more than {_MAX_NAME_SERVERS} nameservers"
        yield invalid(f"{at}.nameservers", list(servers), detail)
    for index, server in enumerate(servers):
        yield from of_messages(f"{at}.nameservers[{index}]", server, address_messages(server))
    if len(searches) > _MAX_SEARCHES:
        yield invalid(
            f"{at}.searches", list(searches), f"must not have more than {_MAX_SEARCHES} search paths"
        )
    for index, domain in enumerate(searches[:_MAX_SEARCHES]):
        yield from of_messages(f"{at}.searches[{index}]", domain, names.search_domain(domain))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required(f"{at}.options[{index}]", "must not be empty")


def _times(spec: Mapping[str, Any], path: str) -> Causes:
    # A negative grace period is one of a second to the server, and no mistake.
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        yield invalid(
            f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
        )


def _names(spec: Mapping[str, Any], path: str) -> Causes:
    rules = {
        "serviceAccountName": names.dns_subdomain,
        "nodeName": names.dns_subdomain,
        "priorityClassName": names.dns_subdomain,
        "runtimeClassName": names.dns_subdomain,
        "hostname": names.dns_label,
        "hostnameOverride": names.dns_subdomain,
        "subdomain": names.dns_label,
    }
    for key, rule in rules.items():
        if spec.get(key):
            yield from of_messages(f"{path}.{key}", spec[key], rule(spec[key]))
    yield from _other_hostname(spec, f"{path}.hostnameOverride")


def _other_hostname(spec: Mapping[str, Any], at: str) -> Causes:
    """Of a name that takes the place of all others, open by default since 1.35."""
    name = spec.get("hostnameOverride")
    if not name:
        return
    if len(name) > _MAX_HOSTNAME:
        yield invalid(at, name, names.too_long(_MAX_HOSTNAME))
    for other in ("setHostnameAsFQDN", "hostNetwork"):
        if spec.get(other):
            yield forbidden(at, f"may not be set when `{other}` is true")


def _overhead(amounts: Mapping[str, str], path: str) -> Causes:
    for name, text in amounts.items():
        at = f"{path}[{name}]"
        yield from resource_name_causes(name, at)
        if parsed(text) < 0:
            yield from placed(at, amount_causes(name, text, f"{path}.limits[{name}]"))


def _details(spec: Mapping[str, Any], path: str) -> Causes:
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        at = f"{path}.hostAliases[{index}]"
        where = alias.get("ip", "")
        yield from of_messages(f"{at}.ip", where, address_messages(where))
        for number, host in enumerate(alias.get("hostnames") or ()):
            yield from of_messages(f"{at}.hostnames[{number}]", host, names.dns_subdomain(host))
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        at = f"{path}.readinessGates[{index}].conditionType"
        yield from of_messages(at, kind, names.qualified_name(kind))
    yield from one_of(spec, "preemptionPolicy", _PREEMPTION, path)
    yield from os_causes(spec, path)
    yield from host_process_causes(spec, path)
