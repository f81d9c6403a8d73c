"""ResourceQuotas and LimitRanges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Cause,
    Causes,
    Document,
    duplicate,
    forbidden,
    invalid,
    of_messages,
    required,
)
from ecpmon.kube.quantities import is_whole, parsed
from ecpmon.kube.resources import (
    STANDARD,
    container_resource_causes,
    is_extended,
    is_huge,
    is_native,
    resource_name_causes,
)

_QUOTA: Final = STANDARD - {"storage"}
_COUNTED: Final = frozenset(
    (
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
_SCOPES: Final = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    "VolumeAttributesClass",
)  # fmt: skip
_CONFLICTS: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_LIMIT_TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")


def quota_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    for name, text in (spec.get("hard") or {}).items():
        if not _is_quotas(name):
            yield from _quota_name(name, f"spec.hard[{name}]")
        value = parsed(text)
        if value < 0:
            yield invalid(f"spec.hard[{name}]", text, "must be greater than or equal to 0")
        elif not is_whole(value) and (name in _COUNTED or is_extended(name)):
            yield invalid(f"spec.hard[{name}]", text, "must be an integer")
    yield from _scopes(spec.get("scopes") or (), spec.get("hard") or {}, "spec.scopes")
    selector = spec.get("scopeSelector") or {}
    for index, item in enumerate(selector.get("matchExpressions") or ()):
        path = "spec.scopeSelector.matchExpressions"
        yield from _scope(item, path, f"{path}[{index}]")


def _is_quotas(name: str) -> bool:
    """Whether nothing is wrong with the name, as with nearly all, of which there may be thousands."""
    return name in _QUOTA or ("/" in name and names.is_qualified(name))


def _quota_name(name: str, at: str) -> Causes:
    huge = is_huge(name.removeprefix("requests."))
    if not (huge and name.startswith("requests.")):
        yield from resource_name_causes(name, at)
    if "/" not in name and name not in _QUOTA and not huge:
        yield invalid(at, name, "must be a standard resource for quota")


def _scopes(scopes: Any, hard: Mapping[str, str], at: str) -> Causes:
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid(at, list(scopes), "unsupported scope")
        elif scope == "BestEffort" and any(name != "pods" for name in hard):
            yield invalid(at, list(scopes), "unsupported scope applied to resource")
    if any(pair <= set(scopes) for pair in _CONFLICTS):
        yield invalid(at, list(scopes), "conflicting scopes")


def _scope(item: Mapping[str, Any], path: str, at: str) -> Causes:
    """The server names the list and the field, not which of the items."""
    name, operator, values = item.get("scopeName", ""), item.get("operator", ""), item.get("values") or ()
    if name not in _SCOPES:
        yield invalid(f"{path}.scopeName", name, "unsupported scope")
    if operator not in _OPERATORS:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be at least one value when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield invalid(
            f"{path}.values", list(values), "must be no value when `operator` is 'Exists' or 'DoesNotExist'"
        )


def limit_range_causes(document: Document, _: Document | None) -> Causes:
    seen: set[str] = set()
    for index, limit in enumerate((document.get("spec") or {}).get("limits") or ()):
        at, kind = f"spec.limits[{index}]", limit.get("type", "")
        yield from of_messages(f"{at}.type", kind, names.qualified_name(kind))
        if "/" not in kind and kind not in _LIMIT_TYPES:
            yield invalid(f"{at}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            yield duplicate(f"{at}.type", kind)
        seen.add(kind)
        yield from _limit(limit, kind, at)


def _limit(limit: Mapping[str, Any], kind: str, at: str) -> Causes:
    check = container_resource_causes if kind in ("Pod", "Container") else resource_name_causes
    maps = {
        key: limit.get(key) or {}
        for key in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
    }
    for key, amounts in maps.items():
        if kind == "Pod" and key in ("default", "defaultRequest"):
            if amounts:
                yield forbidden(f"{at}.{key}", "may not be specified when `type` is 'Pod'")
            continue
        for name in amounts:
            yield from check(name, f"{at}.{key}[{name}]")
    if kind == "PersistentVolumeClaim" and "storage" not in {**maps["max"], **maps["min"]}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        yield required(f"{at}.limits", detail)
    for name in dict.fromkeys(name for amounts in maps.values() for name in amounts):
        yield from _compared(maps, name, at)


def _compared(maps: Mapping[str, Mapping[str, str]], name: str, at: str) -> Iterator[Cause]:
    """Smallest, default request, default and largest amount of one resource, in that order."""
    least, most = maps["min"].get(name), maps["max"].get(name)
    request, default = maps["defaultRequest"].get(name), maps["default"].get(name)
    ratio = maps["maxLimitRequestRatio"].get(name)
    pairs = (
        ("min", least, most, "min value {} is greater than max value {}", least),
        ("defaultRequest", least, request, "min value {} is greater than default request value {}", request),
        ("defaultRequest", request, most, "default request value {} is greater than max value {}", request),
        (
            "defaultRequest", request, default,
            "default request value {} is greater than default limit value {}", request,
        ),
        ("default", least, default, "min value {} is greater than default value {}", least),
        ("default", default, most, "default value {} is greater than max value {}", most),
    )  # fmt: skip
    for key, low, high, said, value in pairs:
        if low is not None and high is not None and parsed(low) > parsed(high):
            yield invalid(f"{at}.{key}[{name}]", value, said.format(low, high))
    if ratio is not None:
        yield from _ratio(ratio, least, most, f"{at}.maxLimitRequestRatio[{name}]")
    pieces = not is_native(name) or is_huge(name)
    if pieces and request is not None and default is not None and parsed(request) != parsed(default):
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        yield invalid(f"{at}.defaultRequest[{name}]", request, detail)


def _ratio(ratio: str, least: str | None, most: str | None, at: str) -> Causes:
    value = parsed(ratio)
    if value < 1:
        yield invalid(at, ratio, f"ratio {ratio} is less than 1")
    elif least is not None and most is not None and parsed(least) != 0:
        limit = parsed(most) / parsed(least)
        if value > limit:
            yield invalid(at, ratio, f"ratio {ratio} is greater than max/min = {limit:f}")
