"""What the Prometheus operator and the Gateway API need of the custom resources that tenants have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ecpmon.kube.shapes import items, mapping
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding

_MONITORING: Final = "monitoring.coreos.com/v1"
_GATEWAYS: Final = "gateway.networking.k8s.io/v1"
# A time of Prometheus, as the operator's definitions have it: parts from years to milliseconds, in this order.
_TIME: Final = re.compile("0|" + "".join(f"([0-9]+{unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")))
_WORDS: Final[dict[type, str]] = {list: "array", dict: "object", str: "string"}


def custom_findings(document: Document) -> list[Finding] | None:
    """None for a kind that is not looked into here."""
    check = _CHECKS.get((str(document.body.get("apiVersion")), document.kind))
    if check is None:
        return None
    if not isinstance(document.body.get("spec"), dict):
        return [_missing(document, "spec")]
    return list(check(document))


def _missing(d: Document, path: str) -> Finding:
    return d.error("REQUIRED", path, detail="Required value")


def _typed(d: Document, value: Any, kind: type, path: str) -> Iterator[Finding]:
    """Whether it is there, and of its type."""
    if value is None or value == []:
        yield _missing(d, path)
    elif not isinstance(value, kind):
        yield d.error("SCHEMA", path, detail=f"expected {_WORDS[kind]}, found {type(value).__name__}")


def _time(d: Document, holder: Any, name: str, path: str) -> Iterator[Finding]:
    """Of a field that may be missing."""
    value = mapping(holder).get(name)
    if value is None:
        return
    if not isinstance(value, str):
        yield from _typed(d, value, str, f"{path}.{name}")
    elif not _TIME.fullmatch(value):
        detail = f'Invalid value: "{value[:60]}": must be a time such as 30s or 1h30m'
        yield d.error("INVALID", f"{path}.{name}", detail=detail)


def _named(d: Document, group: Any, seen: set[str], path: str) -> Iterator[Finding]:
    """Groups of rules are told apart by their names."""
    name = mapping(group).get("name")
    yield from _typed(d, name or None, str, path)
    if isinstance(name, str) and name:
        if name in seen:
            yield d.error("INVALID", path, detail=f'Duplicate value: "{name[:60]}"')
        seen.add(name)


def _monitor(endpoints: str) -> Callable[[Document], Iterator[Finding]]:
    def check(d: Document) -> Iterator[Finding]:
        yield from _typed(d, d.spec.get("selector"), dict, "spec.selector")
        yield from _typed(d, d.spec.get(endpoints), list, f"spec.{endpoints}")
        for number, endpoint in enumerate(items(d.spec.get(endpoints))):
            yield from _typed(d, endpoint or None, dict, f"spec.{endpoints}.{number}")
            for name in ("port", "path"):
                if name in mapping(endpoint):
                    yield from _typed(d, endpoint[name], str, f"spec.{endpoints}.{number}.{name}")
            for name in ("interval", "scrapeTimeout"):
                yield from _time(d, endpoint, name, f"spec.{endpoints}.{number}")

    return check


def _rules(d: Document) -> Iterator[Finding]:
    seen: set[str] = set()
    for g, group in enumerate(items(d.spec.get("groups"))):
        path = f"spec.groups.{g}"
        yield from _named(d, group, seen, f"{path}.name")
        for name in ("interval", "query_offset"):
            yield from _time(d, group, name, path)
        for r, rule in enumerate(items(mapping(group).get("rules"))):
            where, given = f"{path}.rules.{r}", mapping(rule)
            if isinstance(given.get("expr"), bool) or not isinstance(given.get("expr"), (str, int)):
                yield from _typed(d, given.get("expr"), str, f"{where}.expr")
            for name in ("for", "keep_firing_for"):
                yield from _time(d, given, name, where)
            if ("alert" in given) == ("record" in given):
                yield d.error("INVALID", where, detail="either alert or record must be set")
    if "groups" in d.spec:
        yield from _typed(d, d.spec["groups"] or {}, list, "spec.groups")


def _route(d: Document) -> Iterator[Finding]:
    for name, kind in (("parentRefs", dict), ("hostnames", str), ("rules", dict)):
        if name in d.spec:
            yield from _typed(d, d.spec[name], list, f"spec.{name}")
        for number, item in enumerate(items(d.spec.get(name))):
            yield from _typed(d, item, kind, f"spec.{name}.{number}")
    for number, parent in enumerate(items(d.spec.get("parentRefs"))):
        yield from _typed(d, mapping(parent).get("name"), str, f"spec.parentRefs.{number}.name")
    for r, rule in enumerate(items(d.spec.get("rules"))):
        for b, backend in enumerate(items(mapping(rule).get("backendRefs"))):
            yield from _typed(d, mapping(backend).get("name"), str, f"spec.rules.{r}.backendRefs.{b}.name")


_CHECKS: Final[dict[tuple[str, str], Callable[[Document], Iterator[Finding]]]] = {
    (_MONITORING, "ServiceMonitor"): _monitor("endpoints"),
    (_MONITORING, "PodMonitor"): _monitor("podMetricsEndpoints"),
    (_MONITORING, "PrometheusRule"): _rules,
    (_GATEWAYS, "HTTPRoute"): _route,
}
