"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    immutable,
    invalid,
    not_negative,
    of_messages,
    one_of,
    required,
    unsupported,
)
from ecpmon.kube.claims import claim_spec_causes
from ecpmon.kube.metadata import is_empty, matches, selector_causes
from ecpmon.kube.pods import template_causes
from ecpmon.kube.portions import portion, portion_causes

_TEMPLATE: Final = "spec.template"
# What may change of a StatefulSet that exists.
_STATEFUL_OPEN: Final = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip

# The minor version from which on the gate MaxUnavailableStatefulSet is open and stays so.
MAX_UNAVAILABLE_SINCE: Final = 37


def deployment_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from _replicated(spec, "deployment")
    yield from _strategy(spec.get("strategy") or {})
    yield from not_negative(spec, ("revisionHistoryLimit", "progressDeadlineSeconds"), "spec")
    deadline, least = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None and deadline <= least:
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from _same_selector(spec, old)


def replica_set_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from _replicated(spec, "deployment")
    yield from _same_selector(spec, old)


def _replicated(spec: Mapping[str, Any], what: str) -> Causes:
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")
    yield from _selected(spec, spec.get("template") or {}, what)
    yield from _long_running(spec)


def _selected(spec: Mapping[str, Any], template: Mapping[str, Any], what: str) -> Causes:
    """The selector, and the template if the selector can be understood."""
    selector = spec.get("selector")
    wrong = list(selector_causes(selector, "spec.selector"))
    yield from wrong
    if selector is None:
        yield required("spec.selector")
    elif is_empty(selector):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {what}")
    if wrong:
        yield invalid("spec.selector", selector, "invalid label selector")
        return
    yield from _selects(selector, template)
    yield from template_causes(template, _TEMPLATE)


def _selects(selector: Any, template: Mapping[str, Any]) -> Causes:
    labels = (template.get("metadata") or {}).get("labels")
    if not matches(selector, labels or {}):
        yield invalid(f"{_TEMPLATE}.metadata.labels", labels, "`selector` does not match template `labels`")


def _long_running(spec: Mapping[str, Any]) -> Causes:
    pod = (spec.get("template") or {}).get("spec") or {}
    if pod.get("restartPolicy", "Always") != "Always":
        yield unsupported(f"{_TEMPLATE}.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if "activeDeadlineSeconds" in pod:
        field = f"{_TEMPLATE}.spec.activeDeadlineSeconds"
        yield forbidden(field, "activeDeadlineSeconds in ReplicaSet is not Supported")


def _same_selector(spec: Mapping[str, Any], old: Document | None) -> Causes:
    if old is not None and spec.get("selector") != (old.get("spec") or {}).get("selector"):
        yield immutable("spec.selector", spec.get("selector"))


def _strategy(strategy: Mapping[str, Any]) -> Causes:
    kind, rolling, path = strategy.get("type"), strategy.get("rollingUpdate"), "spec.strategy.rollingUpdate"
    if kind not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy", dict(strategy), ("Recreate", "RollingUpdate"))
    elif kind == "Recreate":
        if rolling is not None:
            yield forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif rolling is None:
        yield required(path, "this should be defaulted and never be nil")
    else:
        yield from portion_causes(rolling, "maxUnavailable", path, at_most_all=True)
        yield from portion_causes(rolling, "maxSurge", path, at_most_all=False)
        if portion(rolling.get("maxUnavailable")) == 0 and portion(rolling.get("maxSurge")) == 0:
            detail = "may not be 0 when `maxSurge` is 0"
            yield invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), detail)


def daemon_set_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    selector, template = spec.get("selector"), spec.get("template") or {}
    wrong = list(selector_causes(selector, "spec.selector"))
    yield from wrong
    if not wrong:
        yield from _selects(selector, template)
    if selector is not None and is_empty(selector):
        yield invalid("spec.selector", selector, "empty selector is invalid for daemonset")
    yield from template_causes(template, _TEMPLATE)
    yield from _long_running(spec)
    yield from not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec")
    yield from _daemon_strategy(spec.get("updateStrategy") or {})
    yield from _same_selector(spec, old)


def _daemon_strategy(strategy: Mapping[str, Any]) -> Causes:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    path = "spec.updateStrategy.rollingUpdate"
    if kind not in ("RollingUpdate", "OnDelete"):
        yield unsupported("spec.updateStrategy", dict(strategy), ("RollingUpdate", "OnDelete"))
    elif kind == "OnDelete":
        return
    elif rolling is None:
        yield required(path)
    else:
        for key in ("maxUnavailable", "maxSurge"):
            yield from portion_causes(rolling, key, path, at_most_all=True)
        down, up = (portion(rolling.get(key)) for key in ("maxUnavailable", "maxSurge"))
        if down and up:
            detail = "may not be set when maxUnavailable is non-zero"
            yield invalid(f"{path}.maxSurge", rolling.get("maxSurge"), detail)
        elif not down and not up:
            yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def stateful_set_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_strategy(spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for key in ("whenDeleted", "whenScaled"):
        at = "spec.persistentVolumeClaimRetentionPolicy"
        yield from one_of(retention, key, ("Retain", "Delete"), at)
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")
    yield from not_negative(spec.get("ordinals") or {}, ("start",), "spec.ordinals")
    if spec.get("serviceName"):
        yield from of_messages("spec.serviceName", spec["serviceName"], names.dns_label(spec["serviceName"]))
    yield from _claim_templates(spec)
    yield from _selected(spec, _with_claims(spec), "statefulset")
    yield from _long_running(spec)
    yield from _stateful_changes(spec, old)


def _stateful_strategy(strategy: Mapping[str, Any]) -> Causes:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    path = "spec.updateStrategy.rollingUpdate"
    if kind not in ("RollingUpdate", "OnDelete"):
        yield invalid("spec.updateStrategy", dict(strategy), "must be 'RollingUpdate' or 'OnDelete'")
    elif kind == "OnDelete":
        if rolling is not None:
            yield invalid(path, rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif rolling is not None:
        # Before 1.37 the server drops `maxUnavailable`, whatever it is.
        yield from not_negative(rolling, ("partition",), path)


def unavailable_causes(document: Document) -> Causes:
    """How many pods of a StatefulSet may be missing while it is updated, since MAX_UNAVAILABLE_SINCE. (1.35.0 to 1.35.3
    knew it, too.)"""
    rolling = ((document.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate") or {}
    path = "spec.updateStrategy.rollingUpdate"
    if "maxUnavailable" in rolling:
        yield from portion_causes(rolling, "maxUnavailable", path, at_most_all=True)
        if portion(rolling["maxUnavailable"]) == 0:
            yield invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], "cannot be 0")


def _claim_templates(spec: Mapping[str, Any]) -> Causes:
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claim_spec_causes(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")


def _with_claims(spec: Mapping[str, Any]) -> Document:
    """The template with the volumes that its pods will have: of each claim's name one, instead of any of that name. The
    controller gives each pod a host's name of its own."""
    template = spec.get("template") or {}
    pod = {k: v for k, v in (template.get("spec") or {}).items() if k not in ("hostname", "subdomain")}
    claims = [claim.get("metadata") or {} for claim in spec.get("volumeClaimTemplates") or ()]
    taken = list(dict.fromkeys(claim.get("name", "") for claim in claims))
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in taken]
    volumes += [item for item in pod.get("volumes") or () if item.get("name", "") not in taken]
    return {**template, "spec": {**pod, "volumes": volumes} if volumes else pod}


def _stateful_changes(spec: Mapping[str, Any], old: Document | None) -> Causes:
    def fixed(of: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in of.items() if key not in _STATEFUL_OPEN}

    if old is not None and fixed(spec) != fixed(old.get("spec") or {}):
        listed = "', '".join(_STATEFUL_OPEN)
        yield forbidden("spec", f"updates to statefulset spec for fields other than '{listed}' are forbidden")


def replication_controller_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        yield required("spec.selector")
    if not template:
        yield required(_TEMPLATE)
        return
    if selector:
        yield from _selects({"matchLabels": selector}, template)
    yield from template_causes(template, _TEMPLATE)
    yield from _long_running(spec)
