"""Where pods may run: node selectors, affinities, tolerations, topology spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    duplicate,
    forbidden,
    invalid,
    of_messages,
    one_of,
    required,
    unsupported,
)
from ecpmon.kube.metadata import label_causes, selector_causes

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")
_HONOR: Final = ("Honor", "Ignore")

_Check = Callable[[Mapping[str, Any], str], Causes]


def scheduling_causes(spec: Mapping[str, Any], path: str) -> Causes:
    """All of a pod spec that the scheduler reads."""
    yield from label_causes(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from toleration_causes(toleration, f"{path}.tolerations[{index}]")
    yield from _spread(spec.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints")
    yield from _gates(spec.get("schedulingGates") or (), f"{path}.schedulingGates")


def _affinity(affinity: Mapping[str, Any], path: str) -> Causes:
    node = affinity.get("nodeAffinity") or {}
    at = f"{path}.nodeAffinity"
    if _REQUIRED in node:
        yield from node_selector_causes(node[_REQUIRED], f"{at}.{_REQUIRED}")
    yield from _weighted(node.get(_PREFERRED) or (), f"{at}.{_PREFERRED}", "preference", _preferred_term)
    for key in ("podAffinity", "podAntiAffinity"):
        pods, at = affinity.get(key) or {}, f"{path}.{key}"
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            yield from _pod_term(term, f"{at}.{_REQUIRED}[{index}]")
        yield from _weighted(pods.get(_PREFERRED) or (), f"{at}.{_PREFERRED}", "podAffinityTerm", _pod_term)


def node_selector_causes(selector: Mapping[str, Any], path: str) -> Causes:
    """Terms of which one has to hold."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        yield from _node_term(term, f"{path}.nodeSelectorTerms[{index}]")


def _weighted(terms: Any, path: str, key: str, check: _Check) -> Causes:
    for index, term in enumerate(terms):
        at = f"{path}[{index}]"
        if not 1 <= term.get("weight", 0) <= 100:
            yield invalid(f"{at}.weight", term.get("weight", 0), "must be in the range 1-100")
        yield from check(term.get(key) or {}, f"{at}.{key}")


def _preferred_term(term: Mapping[str, Any], path: str) -> Causes:
    """Of what is only preferred the server does not read the values."""
    for cause in _node_term(term, path):
        if ".matchExpressions[" not in cause.field or ".values[" not in cause.field:
            yield cause


def _node_term(term: Mapping[str, Any], path: str) -> Causes:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        yield from _node_expression(expression, f"{path}.matchExpressions[{index}]")
    for index, expression in enumerate(term.get("matchFields") or ()):
        yield from _node_field(expression, f"{path}.matchFields[{index}]")


def _node_expression(expression: Mapping[str, Any], at: str) -> Causes:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{at}.values", detail)
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            yield required(f"{at}.values", detail)
    else:
        yield invalid(f"{at}.operator", operator, "not a valid selector operator")
    key = expression.get("key", "")
    yield from of_messages(f"{at}.key", key, names.qualified_name(key))
    for index, value in enumerate(values):
        yield from of_messages(f"{at}.values[{index}]", value, names.label_value(value))


def _node_field(expression: Mapping[str, Any], at: str) -> Causes:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator not in ("In", "NotIn"):
        yield invalid(f"{at}.operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{at}.values", detail)
    if expression.get("key") != "metadata.name":
        yield invalid(f"{at}.key", expression.get("key", ""), "not a valid field selector key")
    for index, value in enumerate(values):
        yield from of_messages(f"{at}.values[{index}]", value, names.dns_subdomain(value))


def _pod_term(term: Mapping[str, Any], at: str) -> Causes:
    yield from selector_causes(term.get("labelSelector"), f"{at}.labelSelector")
    yield from selector_causes(term.get("namespaceSelector"), f"{at}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        yield from of_messages(f"{at}.namespace", namespace, names.dns_label(namespace))
    for key in ("matchLabelKeys", "mismatchLabelKeys"):
        yield from _label_keys(term, key, at)
    topology = term.get("topologyKey", "")
    if not topology:
        yield required(f"{at}.topologyKey", "can not be empty")
    else:
        yield from of_messages(f"{at}.topologyKey", topology, names.qualified_name(topology))


def _label_keys(term: Mapping[str, Any], name: str, at: str) -> Causes:
    keys = term.get(name) or ()
    if keys and term.get("labelSelector") is None:
        yield forbidden(f"{at}.{name}", "must not be specified when labelSelector is not set")
    for index, key in enumerate(keys):
        yield from of_messages(f"{at}.{name}[{index}]", key, names.qualified_name(key))


def toleration_causes(toleration: Mapping[str, Any], at: str) -> Causes:
    """Which taints a pod bears."""
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        yield from of_messages(f"{at}.key", key, names.qualified_name(key))
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{at}.operator", operator, detail)
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        yield invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if operator in ("", "Equal"):
        yield from of_messages(f"{at}.operator", value, names.label_value(value))
    elif operator == "Exists":
        if value:
            yield invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'")
    else:
        yield unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in EFFECTS:
        yield unsupported(f"{at}.effect", effect, EFFECTS)


def _spread(constraints: Any, path: str) -> Causes:
    pairs = [(item.get("topologyKey", ""), item.get("whenUnsatisfiable", "")) for item in constraints]
    seen = Counter(pairs)  # those that are still to come
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        if constraint.get("maxSkew", 0) <= 0:
            yield invalid(f"{at}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero")
        if not pairs[index][0]:
            yield required(f"{at}.topologyKey", "can not be empty")
        when = {"whenUnsatisfiable": pairs[index][1]}
        yield from one_of(when, "whenUnsatisfiable", _UNSATISFIABLE, at)
        seen[pairs[index]] -= 1
        if seen[pairs[index]]:
            yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", list(pairs[index]))
        yield from _spread_details(constraint, at)


def _spread_details(constraint: Mapping[str, Any], at: str) -> Causes:
    domains = constraint.get("minDomains")
    if domains is not None:
        if domains <= 0:
            yield invalid(f"{at}.minDomains", domains, "must be greater than zero")
        if constraint.get("whenUnsatisfiable") != "DoNotSchedule":
            detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule"
            yield invalid(f"{at}.minDomains", domains, detail)
    for key in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        yield from one_of(constraint, key, _HONOR, at)
    yield from _label_keys(constraint, "matchLabelKeys", at)
    yield from selector_causes(constraint.get("labelSelector"), f"{at}.labelSelector")


def _gates(gates: Any, path: str) -> Causes:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name, at = gate.get("name", ""), f"{path}[{index}]"
        yield from of_messages(at, name, names.qualified_name(name))
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)
