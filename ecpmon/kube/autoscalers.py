"""HorizontalPodAutoscalers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    invalid,
    of_messages,
    one_of,
    placed,
    required,
    unsupported,
)
from ecpmon.kube.quantities import parsed
from ecpmon.kube.resources import container_resource_causes

_SOURCES: Final = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS: Final = ("Utilization", "Value", "AverageValue")
_MOST_PERIOD: Final = 1800
_MOST_WINDOW: Final = 3600


def autoscaler_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from _bounds(spec)
    target = spec.get("scaleTargetRef") or {}
    before = ((old or {}).get("spec") or {}).get("scaleTargetRef") or {}
    yield from _reference(target, "spec.scaleTargetRef")
    unchanged = all(before.get(key) == target.get(key) for key in ("apiVersion", "kind"))
    if old is None or not unchanged:
        core = target.get("kind") == "ReplicationController"
        yield from _api_version(target, "spec.scaleTargetRef", core_too=core)
    yield from _from_nothing(spec)
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{index}]")
    for key in ("scaleUp", "scaleDown"):
        yield from _rules((spec.get("behavior") or {}).get(key), f"spec.behavior.{key}")


def _bounds(spec: Mapping[str, Any]) -> Causes:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")


def _from_nothing(spec: Mapping[str, Any]) -> Causes:
    """Without a pod nobody tells anything of its use: something else has to say when the first is wanted. And what
    autoscaling/v1 says instead of metrics."""
    kinds = {metric.get("type") for metric in spec.get("metrics") or ()}
    if spec.get("minReplicas") == 0 and not kinds & {"Object", "External"}:
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", detail)
    key = "targetCPUUtilizationPercentage"
    if spec.get(key, 1) < 1:
        field = "spec.metrics[0].resource.target.averageUtilization"
        yield from placed(f"spec.{key}", [invalid(field, spec[key], "must be greater than 0")])


def _reference(reference: Mapping[str, Any], at: str) -> Causes:
    for key in ("kind", "name"):
        value = reference.get(key, "")
        if not value:
            yield required(f"{at}.{key}")
        yield from of_messages(f"{at}.{key}", value, names.path_segment(value))


def _api_version(reference: Mapping[str, Any], at: str, *, core_too: bool) -> Causes:
    text, field = reference.get("apiVersion", ""), f"{at}.apiVersion"
    group, slash, _ = text.partition("/")
    if text.count("/") > 1:
        yield invalid(field, text, f"unexpected GroupVersion string: {text}")
    elif not core_too and (not slash or not group):
        yield invalid(field, text, "apiVersion must specify API group")


def _metric(metric: Mapping[str, Any], at: str) -> Causes:
    kind = metric.get("type", "")
    if not kind:
        yield required(f"{at}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        yield unsupported(f"{at}.type", kind, sorted(_SOURCES))
    present = [key for key in _SOURCES.values() if key in metric]
    if present:
        yield from _CHECKS[present[0]](metric[present[0]], f"{at}.{present[0]}")
    expected = _SOURCES.get(kind)
    if expected is not None and expected not in metric:
        yield required(f"{at}.{expected}", "must populate information for the given metric source")
    if len(present) > 1:
        for key in present:
            if key != expected:
                yield forbidden(f"{at}.{key}", "must populate the given metric source only")


def _identifier(source: Mapping[str, Any], at: str) -> Causes:
    name = (source.get("metric") or {}).get("name", "")
    if not name:
        yield required(f"{at}.metric.name", "must specify a metric name")
    else:
        yield from of_messages(f"{at}.metric.name", name, names.path_segment(name))


def _target_causes(target: Mapping[str, Any], at: str) -> Causes:
    kind = target.get("type", "")
    if not kind:
        yield required(f"{at}.type", "must specify a metric target type")
    if kind not in _TARGETS:
        yield invalid(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue")
    for key in ("value", "averageValue"):
        if key in target and parsed(target[key]) <= 0:
            yield invalid(f"{at}.{key}", target[key], "must be positive")
    if target.get("averageUtilization", 1) < 1:
        yield invalid(f"{at}.averageUtilization", target["averageUtilization"], "must be greater than 0")


def _object(source: Mapping[str, Any], at: str) -> Causes:
    described = source.get("describedObject") or {}
    yield from _reference(described, f"{at}.describedObject")
    yield from _api_version(described, f"{at}.describedObject", core_too=True)
    yield from _identifier(source, at)
    target = source.get("target") or {}
    yield from _target_causes(target, f"{at}.target")
    if not {"value", "averageValue"} & target.keys():
        yield required(f"{at}.target.averageValue", "must set either a target value or averageValue")


def _external(source: Mapping[str, Any], at: str) -> Causes:
    yield from _identifier(source, at)
    target = source.get("target") or {}
    yield from _target_causes(target, f"{at}.target")
    given = {"value", "averageValue"} & target.keys()
    if not given:
        detail = "must set either a target value for metric or a per-pod target"
        yield required(f"{at}.target.averageValue", detail)
    elif len(given) > 1:
        detail = "may not set both a target value for metric and a per-pod target"
        yield forbidden(f"{at}.target.value", detail)


def _pods(source: Mapping[str, Any], at: str) -> Causes:
    yield from _identifier(source, at)
    target = source.get("target") or {}
    yield from _target_causes(target, f"{at}.target")
    if parsed(target.get("averageValue", "0")) <= 0:
        yield required(f"{at}.target.averageValue", "must specify a positive target averageValue")


def _resource(source: Mapping[str, Any], at: str) -> Causes:
    if not source.get("name"):
        yield required(f"{at}.name", "must specify a resource name")
    target = source.get("target") or {}
    yield from _target_causes(target, f"{at}.target")
    given = {"averageUtilization", "averageValue"} & target.keys()
    if not given:
        detail = "must set either a target raw value or a target utilization"
        yield required(f"{at}.target.averageUtilization", detail)
    elif len(given) > 1:
        detail = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{at}.target.averageValue", detail)


def _container(source: Mapping[str, Any], at: str) -> Causes:
    container, name = source.get("container", ""), source.get("name", "")
    if not container:
        yield required(f"{at}.container", "must specify a container")
    else:
        yield from of_messages(f"{at}.container", container, names.dns_label(container))
    yield from _resource(source, at)
    if name:
        yield from container_resource_causes(name, f"{at}.name")


_CHECKS: Final[dict[str, Callable[[Mapping[str, Any], str], Causes]]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container,
}


def _rules(rules: Mapping[str, Any] | None, at: str) -> Causes:
    if rules is None:
        return
    window = rules.get("stabilizationWindowSeconds", 0)
    if window < 0:
        yield invalid(f"{at}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    elif window > _MOST_WINDOW:
        detail = f"must be less than or equal to {_MOST_WINDOW}"
        yield invalid(f"{at}.stabilizationWindowSeconds", window, detail)
    yield from one_of(rules, "selectPolicy", ("Disabled", "Max", "Min"), at)
    if parsed(rules.get("tolerance", "0")) < 0:
        yield invalid(f"{at}.tolerance", rules["tolerance"], "must be greater or equal to zero")
    # Absent ones are made up by the server; none at all is a mistake.
    if "policies" in rules and not rules["policies"]:
        yield required(f"{at}.policies", "must specify at least one Policy")
    for index, policy in enumerate(rules.get("policies") or ()):
        yield from _policy(policy, f"{at}.policies[{index}]")


def _policy(policy: Mapping[str, Any], at: str) -> Causes:
    if policy.get("type", "") not in ("Percent", "Pods"):
        yield unsupported(f"{at}.type", policy.get("type", ""), ("Percent", "Pods"))
    for key in ("value", "periodSeconds"):
        if policy.get(key, 0) <= 0:
            yield invalid(f"{at}.{key}", policy.get(key, 0), "must be greater than zero")
    if policy.get("periodSeconds", 0) > _MOST_PERIOD:
        detail = f"must be less than or equal to {_MOST_PERIOD}"
        yield invalid(f"{at}.periodSeconds", policy["periodSeconds"], detail)
