"""Where services lead to: Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import address, address_messages, is_plain, special_messages
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    immutable,
    invalid,
    of_messages,
    required,
    too_many,
    unsupported,
)
from ecpmon.kube.domains import domain_causes
from ecpmon.kube.metadata import label_causes

_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_VERSIONS: Final = {"IPv4": 4, "IPv6": 6}
_MAX_ENDPOINTS: Final = 1_000
_MAX_ADDRESSES: Final = 100
_MAX_PORTS: Final = 20_000
_MAX_TOPOLOGY: Final = 16
_MAX_HINTS: Final = 8


def endpoints_causes(document: Document, old: Document | None) -> Causes:
    """Endpoints; those of an update whose subsets stay are taken as they are."""
    subsets = document.get("subsets") or ()
    if old is not None and subsets == (old.get("subsets") or ()):
        return
    for index, subset in enumerate(subsets):
        at, ports = f"subsets[{index}]", subset.get("ports") or ()
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(at, "must specify `addresses` or `notReadyAddresses`")
        for key in ("addresses", "notReadyAddresses"):
            for number, found in enumerate(subset.get(key) or ()):
                yield from _address(found, f"{at}.{key}[{number}]")
        for number, port in enumerate(ports):
            yield from _port(port, f"{at}.ports[{number}]", named=len(ports) > 1)


def _address(found: Mapping[str, Any], at: str) -> Causes:
    ip, host, node = found.get("ip", ""), found.get("hostname", ""), found.get("nodeName")
    yield from of_messages(f"{at}.ip", ip, address_messages(ip))
    if host:
        yield from of_messages(f"{at}.hostname", host, names.dns_label(host))
    if node is not None:
        yield from of_messages(f"{at}.nodeName", node, names.dns_subdomain(node))
    yield from of_messages(f"{at}.ip", ip, special_messages(ip))


def _port(port: Mapping[str, Any], at: str, *, named: bool) -> Causes:
    name, number = port.get("name", ""), port.get("port", 0)
    if name:
        yield from of_messages(f"{at}.name", name, names.dns_label(name))
    elif named:
        yield required(f"{at}.name")
    yield from of_messages(f"{at}.port", number, names.port_number(number))
    yield from _protocol(port, at)


def _protocol(port: Mapping[str, Any], at: str) -> Causes:
    protocol, kind = port.get("protocol", ""), port.get("appProtocol")
    if not protocol:
        yield required(f"{at}.protocol")
    elif protocol not in _PROTOCOLS:
        yield unsupported(f"{at}.protocol", protocol, _PROTOCOLS)
    if kind is not None:
        yield from of_messages(f"{at}.appProtocol", kind, names.qualified_name(kind))


def fill_endpoints(document: Document) -> None:
    """The defaults of Endpoints, in place."""
    for subset in document.get("subsets") or ():
        for port in subset.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"


def endpoint_slice_causes(document: Document, old: Document | None) -> Causes:
    kind, endpoints = document.get("addressType", ""), document.get("endpoints") or ()
    if not kind:
        yield required("addressType")
    elif kind not in _TYPES:
        yield unsupported("addressType", kind, _TYPES)
    if len(endpoints) > _MAX_ENDPOINTS:
        yield too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)
    else:
        for index, endpoint in enumerate(endpoints):
            yield from _endpoint(endpoint, kind, f"endpoints[{index}]")
    yield from _slice_ports(document.get("ports") or ())
    if old is not None and kind != old.get("addressType"):
        yield immutable("addressType", kind)


def _endpoint(endpoint: Mapping[str, Any], kind: str, at: str) -> Causes:
    addresses, topology = endpoint.get("addresses") or (), endpoint.get("deprecatedTopology")
    if not addresses:
        yield required(f"{at}.addresses", "must contain at least 1 address")
    elif len(addresses) > _MAX_ADDRESSES:
        yield too_many(f"{at}.addresses", len(addresses), _MAX_ADDRESSES)
    yield from _addresses(addresses, kind, at)
    if endpoint.get("nodeName") is not None:
        node = endpoint["nodeName"]
        yield from of_messages(f"{at}.nodeName", node, names.dns_subdomain(node))
    if topology:
        yield from _topology(topology, f"{at}.deprecatedTopology")
    if endpoint.get("hostname") is not None:
        yield from of_messages(f"{at}.hostname", endpoint["hostname"], names.dns_label(endpoint["hostname"]))
    hints = endpoint.get("hints") or {}
    for key in ("forZones", "forNodes") if hints else ():
        yield from _hints(hints.get(key) or (), f"{at}.hints.{key}", key)


def _addresses(addresses: Any, kind: str, at: str) -> Causes:
    version = _VERSIONS.get(kind)
    for index, text in enumerate(addresses):
        if version is not None:
            if not is_plain(text, version):
                yield from _of_version(text, version, f"{at}.addresses[{index}]")
        elif kind == "FQDN":
            yield from domain_causes(text, f"{at}.addresses[{index}]")


def _topology(topology: Mapping[str, str], at: str) -> Causes:
    if len(topology) > _MAX_TOPOLOGY:
        yield too_many(at, len(topology), _MAX_TOPOLOGY)
    yield from label_causes(topology, at)


def _of_version(text: str, version: int, at: str) -> Causes:
    found = address(text)
    if found is None or found[0] != version:
        yield invalid(at, text, f"must be a valid IPv{version} address")
    else:
        yield from of_messages(at, text, address_messages(text))
    yield from of_messages(at, text, special_messages(text))


def _hints(hints: Any, path: str, key: str) -> Causes:
    if len(hints) > _MAX_HINTS:
        yield too_many(path, len(hints), _MAX_HINTS)
        return
    seen: set[str] = set()
    rule = names.label_value if key == "forZones" else names.dns_subdomain
    for index, hint in enumerate(hints):
        name, at = hint.get("name", ""), f"{path}[{index}].name"
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)
        yield from of_messages(at, name, rule(name))


def _slice_ports(ports: Any) -> Causes:
    if len(ports) > _MAX_PORTS:
        yield too_many("ports", len(ports), _MAX_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name, at = port.get("name", ""), f"ports[{index}]"
        if name:
            yield from of_messages(f"{at}.name", name, names.dns_label(name))
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        yield from _protocol(port, at)


def fill_endpoint_slice(document: Document) -> None:
    """The defaults of an EndpointSlice, in place."""
    for port in document.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
