"""Services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import (
    address,
    address_messages,
    is_network,
    network,
    network_messages,
    special_messages,
)
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    forbidden,
    invalid,
    of_messages,
    one_of,
    required,
    unsupported,
)
from ecpmon.kube.metadata import label_causes

TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_OUTSIDE: Final = ("LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_CHOICES: Final = {
    "type": TYPES,
    "sessionAffinity": ("ClientIP", "None"),
    "internalTrafficPolicy": ("Cluster", "Local"),
    "externalTrafficPolicy": ("Cluster", "Local"),
    "ipFamilyPolicy": ("PreferDualStack", "RequireDualStack", "SingleStack"),
    "trafficDistribution": ("PreferClose", "PreferSameNode", "PreferSameZone"),
}
_FAMILIES: Final = ("IPv4", "IPv6")
FIRST_NODE_PORT: Final = 30000
LAST_NODE_PORT: Final = 32767
_KUBELET: Final = 10250
_MOST_ADDRESSES: Final = 2
_MAX_AFFINITY_SECONDS: Final = 86_400


def service_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    for key, allowed in _CHOICES.items():
        yield from one_of(spec, key, allowed, "spec")
    yield from _ports(spec)
    yield from label_causes(spec.get("selector") or {}, "spec.selector")
    yield from _affinity(spec)
    yield from _addresses(spec)
    yield from _external_name(spec)
    yield from _outside(spec)
    yield from _balancer(spec)
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    if before and spec.get("clusterIP") != before and spec.get("type") != "ExternalName":
        yield invalid("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")


def _headless(spec: Mapping[str, Any]) -> bool:
    return spec.get("clusterIP") == "None"


def _ports(spec: Mapping[str, Any]) -> Causes:
    ports = spec.get("ports") or ()
    if not ports and spec.get("type") != "ExternalName" and not _headless(spec):
        yield required("spec.ports")
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"spec.ports[{index}]", port.get("name", "")
        if not name:
            if len(ports) > 1:
                yield required(f"{at}.name")
        else:
            yield from of_messages(f"{at}.name", name, names.dns_label(name))
            if name in seen:
                yield duplicate(f"{at}.name", name)
            seen.add(name)
        yield from _port(port, at)
    yield from _taken_twice(ports)
    yield from _node_ports(spec, ports)


def _port(port: Mapping[str, Any], at: str) -> Causes:
    number, target = port.get("port", 0), port.get("targetPort", 0)
    yield from of_messages(f"{at}.port", number, names.port_number(number))
    yield from one_of(port, "protocol", _PROTOCOLS, at)
    yield from of_messages(f"{at}.targetPort", target, names.port(target))
    if "appProtocol" in port:
        protocol = port["appProtocol"]
        yield from of_messages(f"{at}.appProtocol", protocol, names.qualified_name(protocol))


def _taken_twice(ports: Any) -> Causes:
    seen: set[tuple[Any, ...]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown = {"protocol": key[0], "port": key[1]}
            yield duplicate(f"spec.ports[{index}]", shown)
        seen.add(key)


def _node_ports(spec: Mapping[str, Any], ports: Any) -> Causes:
    kind, seen = spec.get("type"), set()
    for index, port in enumerate(ports):
        field, number = f"spec.ports[{index}].nodePort", port.get("nodePort", 0)
        key = (port.get("protocol"), number)
        if not number:
            continue
        if kind == "ClusterIP":
            yield forbidden(field, f"may not be used when `type` is '{kind}'")
        elif kind in _OUTSIDE and not FIRST_NODE_PORT <= number <= LAST_NODE_PORT:
            detail = (
                "provided port is not in the valid range. The range of valid ports is "
                f"{FIRST_NODE_PORT}-{LAST_NODE_PORT}"
            )
            yield invalid(field, number, detail)
        elif key in seen:
            yield duplicate(field, number)
        seen.add(key)


def _affinity(spec: Mapping[str, Any]) -> Causes:
    config, field = spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            yield required(field, "when session affinity type is ClientIP")
        elif not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            detail = f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}"
            yield invalid(f"{field}.clientIP.timeoutSeconds", seconds, detail)


def _addresses(spec: Mapping[str, Any]) -> Causes:
    if spec.get("type") != "ExternalName":
        yield from _cluster_addresses(spec)
    for index, where in enumerate(spec.get("externalIPs") or ()):
        messages = address_messages(where) or special_messages(where)
        yield from of_messages(f"spec.externalIPs[{index}]", where, messages)


def _cluster_addresses(spec: Mapping[str, Any]) -> Causes:
    given, families = spec.get("clusterIPs") or (), spec.get("ipFamilies") or ()
    first, path = spec.get("clusterIP", ""), "spec.clusterIPs"
    if given and not first:
        yield invalid(path, list(given), "must be empty when `clusterIP` is not specified")
    elif given and first != given[0]:
        yield invalid(path, list(given), "first value must match `clusterIP`")
    known = [*given] or [text for text in (first,) if text]
    yield from _families(families, known)
    if len(known) > 1 and known[0] == "None":
        yield invalid(path, known, "'None' must be the first and only value")
    for index, text in enumerate(known):
        if index or text != "None":
            yield from of_messages(f"{path}[{index}]", text, address_messages(text))
    if len(known) > _MOST_ADDRESSES:
        yield invalid(path, known, f"may only hold up to {_MOST_ADDRESSES} values")
    found = [address(text) for text in known]
    if len(found) > 1 and all(found) and len({version for version, _ in filter(None, found)}) < 2:
        yield invalid(path, known, "may specify no more than one IP for each IP family")


def _families(families: Sequence[str], known: Sequence[str]) -> Causes:
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            yield unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES)
        if family in families[:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
    for index, (family, text) in enumerate(zip(families, known, strict=False)):
        found = address(text)
        if found is not None and family in _FAMILIES and family != f"IPv{found[0]}":
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"spec.clusterIPs[{index}]", text, detail)


def _external_name(spec: Mapping[str, Any]) -> Causes:
    if spec.get("type") != "ExternalName":
        return
    name = spec.get("externalName", "").rstrip(".")
    if not name:
        yield required("spec.externalName")
    else:
        yield from of_messages("spec.externalName", spec["externalName"], names.dns_subdomain(name))
    for key, set_ in (
        ("clusterIPs", spec.get("clusterIP") or spec.get("clusterIPs")),
        ("ipFamilies", spec.get("ipFamilies")),
        ("ipFamilyPolicy", "ipFamilyPolicy" in spec),
    ):
        if set_:
            yield forbidden(f"spec.{key}", "may not be set for ExternalName services")


def _outside(spec: Mapping[str, Any]) -> Causes:
    """What only services that are reached from outside can have."""
    outside = spec.get("type") in _OUTSIDE
    if outside and _headless(spec):
        detail = f"may not be set to 'None' for {spec['type']} services"
        yield invalid("spec.clusterIPs[0]", "None", detail)
    policy = spec.get("externalTrafficPolicy")
    if (
        policy is not None
        and not outside
        and not (spec.get("type") == "ClusterIP" and spec.get("externalIPs"))
    ):
        detail = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, detail)
    check = spec.get("healthCheckNodePort", 0)
    if check and (spec.get("type") != "LoadBalancer" or policy != "Local"):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", check, detail)
    elif check:
        yield from of_messages("spec.healthCheckNodePort", check, names.port_number(check))


def _balancer(spec: Mapping[str, Any]) -> Causes:
    balances = spec.get("type") == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not balances:
        detail = "may only be used when `type` is 'LoadBalancer'"
        yield forbidden("spec.LoadBalancerSourceRanges", detail)
    for index, text in enumerate(ranges):
        if not is_network(text.strip()):
            messages = network_messages(network(text.strip()))
            yield from of_messages(f"spec.LoadBalancerSourceRanges[{index}]", text, messages)
    if not balances:
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if key in spec:
                yield forbidden(f"spec.{key}", "may only be used when `type` is 'LoadBalancer'")
        return
    for index, port in enumerate(spec.get("ports") or ()):
        if port.get("port") == _KUBELET:
            detail = f"may not expose port {_KUBELET} externally since it is used by kubelet"
            yield invalid(f"spec.ports[{index}]", _KUBELET, detail)
    kind = spec.get("loadBalancerClass")
    if kind is not None:
        yield from of_messages("spec.loadBalancerClass", kind, names.qualified_name(kind))
