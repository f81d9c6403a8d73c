"""What only shows when the objects are seen together: selectors, duplicates, targets of autoscalers and routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from ecpmon.kube.shapes import items, mapping
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding
from ecpmon.orchestrator.validation.surroundings import SCALERS, Surroundings, target_of

_OWN_SELECTOR: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
# The StatefulSet controller gives it to its pods; no template has it.
_POD_NAME: Final = ("statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index")


def duplicate_findings(documents: Sequence[Document]) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], int] = {}
    for d in documents:
        key = (str(d.body.get("apiVersion")), d.kind, d.namespace, d.name)
        if key in seen and d.name:
            yield d.error("DUPLICATE", "metadata.name", first=seen[key])
        seen.setdefault(key, d.index)


def relation_findings(around: Surroundings) -> Iterator[Finding]:
    for d in around.documents:
        if d.kind in _OWN_SELECTOR and d.group == "apps":
            yield from _own_pods(d)
        elif d.kind == "Service" and d.group == "":
            yield from _service(d, around)
        elif d.kind == "PodDisruptionBudget":
            yield from _budget(d, around)
        elif d.kind in SCALERS:
            yield from _scaler(d, around)
        elif d.kind == "Ingress" and d.group in ("networking.k8s.io", "extensions"):
            yield from _ingress(d, around)
        elif d.kind in ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"):
            yield from _route(d, around)


def _own_pods(d: Document) -> Iterator[Finding]:
    wanted = mapping(mapping(d.spec.get("selector")).get("matchLabels"))
    labels = d.templates[0].labels if d.templates else {}
    if d.templates and any(labels.get(key) != value for key, value in wanted.items()):
        yield d.error("SELECTOR_MISMATCH", "spec.selector.matchLabels")


def _service(d: Document, around: Surroundings) -> Iterator[Finding]:
    selector = {k: v for k, v in mapping(d.spec.get("selector")).items() if k not in _POD_NAME}
    if not selector:
        return
    found = around.selected(d.namespace, selector)
    if not found:
        yield d.warning("SERVICE_WITHOUT_WORKLOAD", "spec.selector")
        return
    known = around.ports_of(found)
    for number, port in enumerate(items(d.spec.get("ports"))):
        key = "targetPort" if "targetPort" in mapping(port) else "port"
        target = mapping(port).get(key)
        reached = (
            target in known.names if isinstance(target, str) else known.silent or target in known.numbers
        )
        if not reached:
            yield d.warning("TARGET_PORT", f"spec.ports.{number}.{key}", port=str(target)[:60])


def _budget(d: Document, around: Surroundings) -> Iterator[Finding]:
    own = mapping(mapping(d.spec.get("selector")).get("matchLabels"))
    found = around.selected(d.namespace, own)
    if own and not found:
        yield d.warning("SELECTOR_MATCHES_NOTHING", "spec.selector.matchLabels")
    pods = around.count_of(found)
    for name, never in (("maxUnavailable", _nothing), ("minAvailable", _everything)):
        if name in d.spec and never(d.spec[name], pods):
            yield d.warning("BUDGET_BLOCKS", f"spec.{name}", pods=pods)


def _nothing(value: Any, _pods: int) -> bool:
    return value in (0, "0", "0%") and value is not False


def _everything(value: Any, pods: int) -> bool:
    """Whether so many must stay that none may go; a percentage is rounded up."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit() and len(value) < 5:
        part = Decimal(value[:-1])
        return part >= 100 or (pods > 0 and pods * part / 100 > pods - 1)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < pods <= value


def _scaler(d: Document, around: Surroundings) -> Iterator[Finding]:
    _, kind, name = target = target_of(d)
    if target not in around.by_name:
        yield d.warning("MISSING_TARGET", "spec.scaleTargetRef.name", kind=kind[:60], name=name[:80])
    first = around.scalers[target]
    if first is not d:
        other = f"{first.kind}/{first.name}"
        yield d.warning(
            "TWO_AUTOSCALERS", "spec.scaleTargetRef", other=other[:120], target=f"{kind}/{name}"[:120]
        )


def _ingress(d: Document, around: Surroundings) -> Iterator[Finding]:
    for default in ("defaultBackend", "backend"):
        if default in d.spec:
            yield from _backend(d, f"spec.{default}", mapping(d.spec[default]), around)
    for r, rule in enumerate(items(d.spec.get("rules"))):
        for p, path in enumerate(items(mapping(mapping(rule).get("http")).get("paths"))):
            where = f"spec.rules.{r}.http.paths.{p}.backend"
            yield from _backend(d, where, mapping(mapping(path).get("backend")), around)


def _backend(d: Document, path: str, backend: dict[str, Any], around: Surroundings) -> Iterator[Finding]:
    service = mapping(backend.get("service"))
    name = service.get("name")
    if not isinstance(name, str):
        return
    port = mapping(service.get("port"))
    key = "name" if "name" in port else "number"
    yield from _reaches(d, around, name, port.get(key), f"{path}.service", f"port.{key}")


def _route(d: Document, around: Surroundings) -> Iterator[Finding]:
    for r, rule in enumerate(items(d.spec.get("rules"))):
        for b, backend in enumerate(items(mapping(rule).get("backendRefs"))):
            ref = mapping(backend)
            if (
                ref.get("kind", "Service") == "Service"
                and "namespace" not in ref
                and isinstance(ref.get("name"), str)
            ):
                where = f"spec.rules.{r}.backendRefs.{b}"
                yield from _reaches(d, around, ref["name"], ref.get("port"), where, "port")


def _reaches(
    d: Document, around: Surroundings, name: str, port: Any, path: str, last: str
) -> Iterator[Finding]:
    """Whether there is such a Service, with such a port."""
    service = around.by_name.get((d.namespace, "Service", name))
    if service is None:
        yield d.warning("MISSING_TARGET", f"{path}.name", kind="Service", name=name[:80])
        return
    key = "name" if isinstance(port, str) else "port"
    known = [mapping(p).get(key) for p in items(service.spec.get("ports"))]
    if port is not None and port not in known and known:
        yield d.warning("MISSING_PORT", f"{path}.{last}", name=name[:80], port=str(port)[:60])
