"""Names of other objects that lead nowhere, told only where the manifest has objects of that kind: others are there
already, as Secrets usually are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecpmon.kube.reckoning import stated
from ecpmon.kube.shapes import items, mapping
from ecpmon.kube.templates import PodTemplate
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding
from ecpmon.orchestrator.validation.surroundings import SCALERS, Surroundings, target_of

# (path within the container, kind, key of the name)
_SOURCES: Final = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
_KEYS: Final = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
_VOLUMES: Final = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)
# What others make beside what a manifest says.
_GIVEN: Final = {"ConfigMap": "kube-root-ca.crt", "ServiceAccount": "default"}
_RBAC: Final = "rbac.authorization.k8s.io"

# (path, kind, name)
References = Iterator[tuple[str, str, Any]]


def reference_findings(around: Surroundings) -> Iterator[Finding]:
    there = {(d.namespace, d.kind) for d in around.documents}
    for d in around.documents:
        for path, kind, name in _references(d):
            if not isinstance(name, str) or (d.namespace, kind) not in there or _GIVEN.get(kind) == name:
                continue
            if (d.namespace, kind, name) not in around.by_name:
                yield d.warning("MISSING_TARGET", path, kind=kind, name=name[:80])
        yield from _selections(d, around)
        if d.kind in SCALERS and d.group == "autoscaling":
            yield from _utilization(d, around)


def _references(d: Document) -> References:
    for template in d.templates:
        yield from _of_pod(template)
    if d.kind == "StatefulSet" and d.group == "apps":
        yield "spec.serviceName", "Service", d.spec.get("serviceName")
    if d.kind == "RoleBinding" and d.group == _RBAC and mapping(d.body.get("roleRef")).get("kind") == "Role":
        yield "roleRef.name", "Role", mapping(d.body["roleRef"]).get("name")


def _of_pod(template: PodTemplate) -> References:
    spec, path = template.spec, template.path
    yield f"{path}.serviceAccountName", "ServiceAccount", spec.get("serviceAccountName")
    for number, volume in enumerate(items(spec.get("volumes"))):
        for way, kind, key in _VOLUMES:
            source = mapping(mapping(volume).get(way))
            if source.get("optional") is not True:
                yield f"{path}.volumes.{number}.{way}.{key}", kind, source.get(key)
    for _, where, container in template.containers():
        yield from _of_environment(where, container)


def _of_environment(path: str, container: dict[str, Any]) -> References:
    for number, source in enumerate(items(container.get("envFrom"))):
        for way, kind in _SOURCES:
            found = mapping(mapping(source).get(way))
            if found.get("optional") is not True:
                yield f"{path}.envFrom.{number}.{way}.name", kind, found.get("name")
    for number, variable in enumerate(items(container.get("env"))):
        given = mapping(mapping(variable).get("valueFrom"))
        for way, kind in _KEYS if given else ():
            found = mapping(given.get(way))
            if found.get("optional") is not True:
                yield f"{path}.env.{number}.valueFrom.{way}.name", kind, found.get("name")


def _selections(d: Document, around: Surroundings) -> Iterator[Finding]:
    """Selectors that find nothing of what the manifest has."""
    if d.kind == "NetworkPolicy" and d.group == "networking.k8s.io":
        labels = mapping(mapping(d.spec.get("podSelector")).get("matchLabels"))
        if labels and around.pods and not around.selected(d.namespace, labels):
            yield d.warning("SELECTOR_MATCHES_NOTHING", "spec.podSelector.matchLabels")
    elif d.kind == "ServiceMonitor" and "namespaceSelector" not in d.spec:
        labels = mapping(mapping(d.spec.get("selector")).get("matchLabels"))
        services = [s for s in around.documents if s.kind == "Service" and s.namespace == d.namespace]
        owned = [mapping(s.metadata.get("labels")) for s in services]
        if labels and owned and not any(labels.items() <= own.items() for own in owned):
            yield d.warning("MONITORS_NOTHING", "spec.selector.matchLabels")
    for template in d.templates:
        for number, spread in enumerate(items(template.spec.get("topologySpreadConstraints"))):
            labels = mapping(mapping(mapping(spread).get("labelSelector")).get("matchLabels"))
            if any(template.labels.get(key) != value for key, value in labels.items()):
                path = f"{template.path}.topologySpreadConstraints.{number}.labelSelector.matchLabels"
                yield d.warning("SPREADS_OTHERS", path)


def _utilization(d: Document, around: Surroundings) -> Iterator[Finding]:
    """A share of a request that nobody states cannot be measured."""
    target = around.by_name.get(target_of(d))
    if target is None:
        return
    defaults = around.limit_ranges.get(d.namespace, [])
    for number, metric in enumerate(items(d.spec.get("metrics"))):
        resource = mapping(mapping(metric).get("resource"))
        name = resource.get("name")
        if mapping(resource.get("target")).get("type") != "Utilization" or name not in ("cpu", "memory"):
            continue
        containers = [c for t in target.templates for part, _, c in t.containers() if part == "containers"]
        whole = any(name in stated(t.spec)["requests"] for t in target.templates)
        if not whole and any(name not in stated(c, defaults)["requests"] for c in containers):
            where = f"spec.metrics.{number}.resource.target.averageUtilization"
            yield d.warning(
                "NOTHING_TO_SHARE", where, resource=name, target=f"{target.kind}/{target.name}"[:120]
            )
