"""NetworkPolicies and PodDisruptionBudgets: who may reach whom, how many pods may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import Network, is_network, network, network_messages
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
from ecpmon.kube.portions import portion_causes

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_DIRECTIONS: Final = ("Ingress", "Egress")


def network_policy_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from selector_causes(spec.get("podSelector"), "spec.podSelector")
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                yield from _port(port, f"{at}.ports[{number}]")
            for number, peer in enumerate(rule.get(side) or ()):
                yield from _peer(peer, f"{at}.{side}[{number}]")
    kinds = spec.get("policyTypes") or ()
    if len(kinds) > len(_DIRECTIONS):
        yield invalid("spec.policyTypes", list(kinds), "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(kinds):
        if kind not in _DIRECTIONS:
            yield unsupported(f"spec.policyTypes[{index}]", kind, _DIRECTIONS)


def _port(rule: Mapping[str, Any], at: str) -> Causes:
    yield from one_of(rule, "protocol", _PROTOCOLS, at)
    port, end = rule.get("port"), rule.get("endPort")
    if port is not None:
        yield from of_messages(f"{at}.port", port, names.port(port))
    if end is None:
        return
    field = f"{at}.endPort"
    if port is None:
        yield invalid(field, end, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        yield invalid(field, end, "may not be specified when `port` is non-numeric")
    else:
        if end < port:
            yield invalid(field, port, "must be greater than or equal to `port`")
        yield from of_messages(field, end, names.port_number(end))


def _peer(peer: Mapping[str, Any], at: str) -> Causes:
    for key in ("podSelector", "namespaceSelector"):
        yield from selector_causes(peer.get(key), f"{at}.{key}")
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block(block, f"{at}.ipBlock")
        if len(peer) > 1:
            yield forbidden(at, "may not specify both ipBlock and another peer")
    elif not peer:
        yield required(at, "must specify a peer")


def _block(block: Mapping[str, Any], at: str) -> Causes:
    text = block.get("cidr", "")
    if not text:
        yield required(f"{at}.cidr")
        return
    whole = network(text)
    yield from of_messages(f"{at}.cidr", text, network_messages(whole))
    if whole is None:
        return
    for index, part in enumerate(block.get("except") or ()):
        if not is_network(part, whole):
            yield from _no_exception(part, f"{at}.except[{index}]", text, whole)


def _no_exception(part: str, field: str, text: str, whole: Network) -> Causes:
    """What keeps a network from being left out of another."""
    within = network(part)
    yield from of_messages(field, part, network_messages(within))
    if within is not None and not whole.holds(within):
        yield invalid(field, part, f"must be a strict subset of `cidr` {text}")


def disruption_budget_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    both = ("minAvailable", "maxUnavailable")
    if all(key in spec for key in both):
        detail = "minAvailable and maxUnavailable cannot be both set"
        yield invalid("spec", {key: spec[key] for key in both}, detail)
    for key in both:
        yield from portion_causes(spec, key, "spec", at_most_all=True)
    yield from selector_causes(spec.get("selector"), "spec.selector")
    yield from one_of(spec, "unhealthyPodEvictionPolicy", ("AlwaysAllow", "IfHealthyBudget"), "spec")
