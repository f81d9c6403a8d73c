"""What the API server refuses although the types are right; every finding is one `Cause`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.pod_validation import (
    immutable,
    invalid_value,
    negative,
    pod_spec_causes,
    required,
    unsupported,
)
from ecpmon.simulator.kube.selectors import KEY, VALUE, matches_label_selector
from ecpmon.simulator.kube.status import Cause, Document

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
DNS_LABEL: Final = re.compile(_LABEL)
DNS_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DNS_1035: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_MAX_ANNOTATIONS: Final = 256 * 1024
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character"
)
_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
# Names of these may hold what a path cannot mistake: `system:node`, for instance.
_PATH_NAMES: Final = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
_WORKLOADS: Final = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps")


def causes_of(resource: Resource, new: Document, old: Document | None) -> list[Cause]:
    """Everything wrong with `new`; `old` is the stored object of an update."""
    found = [*_metadata(resource, new["metadata"]), *_late_finalizers(new["metadata"], old)]
    check = _CHECKS.get(resource.name)
    if check is not None:
        found += check(new, old)
    if resource.name in _WORKLOADS:
        found += _workload(resource, new, old)
    return found


def _late_finalizers(metadata: Document, old: Document | None) -> Iterator[Cause]:
    before = old["metadata"] if old else {}
    late = set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ())
    if before.get("deletionTimestamp") and late:
        message = "no new finalizers can be added if the object is being deleted, found new finalizers"
        yield Cause("FieldValueForbidden", f"Forbidden: {message} {sorted(late)}", "metadata.finalizers")


def _metadata(resource: Resource, metadata: Document) -> Iterator[Cause]:
    yield from _name(resource, str(metadata.get("name", "")))
    labels = metadata.get("labels") or {}
    yield from label_causes(labels, "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if not KEY.fullmatch(str(key).lower() if "/" in key else str(key)):
            yield invalid_value(
                "metadata.annotations", key, "name part must consist of alphanumeric characters"
            )
    if sum(len(str(k)) + len(str(v)) for k, v in annotations.items()) > _MAX_ANNOTATIONS:
        message = f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes"
        yield Cause("FieldValueTooLong", message, "metadata.annotations")


def _name(resource: Resource, name: str) -> Iterator[Cause]:
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource.plural in _PATH_NAMES:
        if name in (".", "..") or "/" in name or "%" in name:
            yield invalid_value("metadata.name", name, "may not contain '/' or '%'")
    elif resource.name == "services":
        if not _DNS_1035.fullmatch(name) or len(name) > 63:
            yield invalid_value("metadata.name", name, _1035_TEXT)
    elif resource.name == "namespaces":
        if not DNS_LABEL.fullmatch(name) or len(name) > 63:
            yield invalid_value("metadata.name", name, _LABEL_TEXT)
    elif not DNS_SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield invalid_value("metadata.name", name, _SUBDOMAIN_TEXT)


def label_causes(labels: dict[str, Any], path: str) -> Iterator[Cause]:
    """Keys and values of a label map."""
    for key, value in labels.items():
        prefix, _, name = key.rpartition("/")
        if not KEY.fullmatch(key) or len(name) > 63 or len(prefix) > 253:
            yield invalid_value(
                path, key, "name part must consist of alphanumeric characters, '-', '_' or '.'"
            )
        text = str(value)
        if not VALUE.fullmatch(text) or len(text) > 63:
            yield invalid_value(
                path,
                text,
                "a valid label must be an empty string or consist of alphanumeric "
                "characters, '-', '_' or '.', 63 characters at most",
            )


def _workload(resource: Resource, new: Document, old: Document | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    yield from negative(spec, "replicas", "spec.replicas")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    yield from label_causes(labels, "spec.template.metadata.labels")
    if (
        isinstance(selector, dict)
        and not selector.get("matchLabels")
        and not selector.get("matchExpressions")
    ):
        yield invalid_value("spec.selector", selector, "empty selector is invalid for workloads")
    elif selector is not None and not matches_label_selector(selector, labels):
        message = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", labels, message)
    yield from pod_spec_causes(template.get("spec") or {}, "spec.template.spec")
    if (template.get("spec") or {}).get("restartPolicy", "Always") != "Always":
        yield unsupported("spec.template.spec.restartPolicy", template["spec"]["restartPolicy"], ["Always"])
    if old is not None and selector != (old.get("spec") or {}).get("selector"):
        yield immutable("spec.selector", selector)


def _deployment(new: Document, _: Document | None) -> Iterator[Cause]:
    strategy = (new.get("spec") or {}).get("strategy") or {}
    kind = strategy.get("type")
    if kind not in ("RollingUpdate", "Recreate"):
        yield unsupported("spec.strategy.type", kind, ["Recreate", "RollingUpdate"])
    rolling = strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling:
        message = "may not be specified when strategy `type` is 'Recreate'"
        yield Cause("FieldValueForbidden", f"Forbidden: {message}", "spec.strategy.rollingUpdate")
    if rolling and all(str(rolling.get(key, "")) in ("0", "0%") for key in ("maxSurge", "maxUnavailable")):
        message = "may not be 0 when `maxSurge` is 0"
        yield invalid_value("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], message)


def _pod(new: Document, old: Document | None) -> Iterator[Cause]:
    yield from pod_spec_causes(new.get("spec") or {}, "spec")
    if old is not None and _pod_fixed(new) != _pod_fixed(old):
        message = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
            "to existing tolerations),`spec.terminationGracePeriodSeconds`"
        )
        yield Cause("FieldValueForbidden", message, "spec")


def _pod_fixed(pod: Document) -> Document:
    open_fields = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key not in open_fields}
    for name in ("containers", "initContainers"):
        items = [{**item, "image": ""} for item in spec.get(name) or ()]
        spec[name] = items
    return spec


def _service(new: Document, old: Document | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec.get("type") not in kinds:
        yield unsupported("spec.type", spec.get("type"), kinds)
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{path}.name")
        number = port.get("port")
        if isinstance(number, int) and not 1 <= number <= 65535:
            yield invalid_value(f"{path}.port", number, "must be between 1 and 65535, inclusive")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(f"{path}.protocol", port.get("protocol"), ["SCTP", "TCP", "UDP"])
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    if before and spec.get("clusterIP") != before and spec.get("type") != "ExternalName":
        yield invalid_value("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")


def _autoscaler(new: Document, _: Document | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(least, int) and least < 1:
        yield invalid_value("spec.minReplicas", least, "must be greater than or equal to 1")
    if isinstance(most, int) and most < 1:
        yield invalid_value("spec.maxReplicas", most, "must be greater than 0")
    elif isinstance(most, int) and isinstance(least, int) and most < least:
        yield invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for key in ("kind", "name"):
        if not target.get(key):
            yield required(f"spec.scaleTargetRef.{key}")


def _disruption_budget(new: Document, _: Document | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        message = "minAvailable and maxUnavailable cannot be both set"
        yield invalid_value("spec", {key: spec[key] for key in ("minAvailable", "maxUnavailable")}, message)
    for key in ("minAvailable", "maxUnavailable"):
        value = spec.get(key)
        if isinstance(value, int) and value < 0:
            yield invalid_value(f"spec.{key}", value, "must be greater than or equal to 0")
        elif isinstance(value, str) and not re.fullmatch(r"\d+%", value):
            yield invalid_value(f"spec.{key}", value, "must be an integer or percentage (e.g '5%')")


def _secret(new: Document, old: Document | None) -> Iterator[Cause]:
    if old is not None and new.get("type") != old.get("type"):
        yield immutable("type", new.get("type"))
    yield from _frozen_data(new, old)


def _frozen_data(new: Document, old: Document | None) -> Iterator[Cause]:
    if old is not None and old.get("immutable"):
        if not new.get("immutable"):
            yield immutable("immutable", new.get("immutable"), "field is immutable when `immutable` is set")
        if new.get("data") != old.get("data"):
            yield immutable("data", "", "field is immutable when `immutable` is set")
    size = len(orjson.dumps([new.get("data"), new.get("binaryData")]))
    if size > 1024**2 + 1024:
        yield Cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes", "data")


_CHECKS: Final[dict[str, Callable[[Document, Document | None], Iterator[Cause]]]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "services": _service,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "poddisruptionbudgets.policy": _disruption_budget,
    "secrets": _secret,
    "configmaps": _frozen_data,
}
