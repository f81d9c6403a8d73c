"""What a schema does not see: quantities, names, probes, tags, privileges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ecpmon.orchestrator.validation.quantities import quantity
from ecpmon.orchestrator.validation.reading import Document, items, mapping
from ecpmon.orchestrator.validation.report import Finding

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")
_LONG_RUNNING: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


def pod_of(document: Document) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(path, labels, spec) of the pods a workload makes."""
    if document.kind == "Pod":
        return "spec", mapping(document.metadata.get("labels")), document.spec
    spec, path = document.spec, "spec.template"
    if document.kind == "CronJob":
        spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
        path = "spec.jobTemplate.spec.template"
    template = mapping(spec.get("template"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    return f"{path}.spec", labels, mapping(template.get("spec"))


def name_findings(document: Document) -> Iterator[Finding]:
    """Names as the API server takes them."""
    name = document.metadata.get("name")
    strict = document.kind in ("Namespace", "Service")
    if not isinstance(name, str) or not (_LABEL if strict else _SUBDOMAIN).fullmatch(name):
        said = "a name is of lower-case letters, digits and -, begins and ends with a letter or digit"
        yield document.error("INVALID_NAME", "metadata.name", said)


def workload_findings(document: Document) -> Iterator[Finding]:
    if document.kind not in WORKLOADS:
        return
    path, _, pod = pod_of(document)
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(host) is True:
            yield document.error("HOST_ACCESS", f"{path}.{host}", "a tenant's pod may not share the node's")
    for part in ("initContainers", "containers"):
        for number, container in enumerate(items(pod.get(part))):
            yield from _container(document, f"{path}.{part}.{number}", mapping(container), part)


def _container(document: Document, path: str, container: dict[str, Any], part: str) -> Iterator[Finding]:
    yield from _image(document, f"{path}.image", container.get("image"))
    yield from _resources(document, f"{path}.resources", mapping(container.get("resources")))
    security = mapping(container.get("securityContext"))
    if security.get("privileged") is True:
        said = "a privileged container owns its node; remove it or set it to false"
        yield document.error("PRIVILEGED", f"{path}.securityContext.privileged", said)
    if security.get("allowPrivilegeEscalation") is not False:
        said = "set it to false, so that a process cannot gain more rights than it began with"
        yield document.warning(
            "PRIVILEGE_ESCALATION", f"{path}.securityContext.allowPrivilegeEscalation", said
        )
    if part == "containers" and document.kind in _LONG_RUNNING:
        for probe in ("livenessProbe", "readinessProbe"):
            if probe not in container:
                said = f"without a {probe} a hung pod is not noticed"
                yield document.warning("MISSING_PROBE", f"{path}.{probe}", said)


def _image(document: Document, path: str, image: Any) -> Iterator[Finding]:
    if not isinstance(image, str) or "@sha256:" in image:
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        said = "the tag `latest` moves, so a rollback may start something else; pin a version"
        yield document.warning("LATEST_TAG", path, said)


def _resources(document: Document, path: str, resources: dict[str, Any]) -> Iterator[Finding]:
    values: dict[str, dict[str, Any]] = {}
    for side in ("requests", "limits"):
        values[side] = given = mapping(resources.get(side))
        for name, value in given.items():
            try:
                quantity(value)
            except ValueError as error:
                yield document.error("INVALID_QUANTITY", f"{path}.{side}.{name}", str(error))
        for name in ("cpu", "memory"):
            if name not in given:
                said = f"no {name} {side}: the ResourceQuota of the namespace refuses such a pod"
                yield document.error("MISSING_RESOURCES", f"{path}.{side}.{name}", said)
    for name in values["requests"].keys() & values["limits"].keys():
        try:
            over = quantity(values["requests"][name]) > quantity(values["limits"][name])
        except ValueError:
            continue  # reported above
        if over:
            yield document.error("REQUEST_OVER_LIMIT", f"{path}.requests.{name}", "more than its limit")
