"""What belongs to the whole cluster, and smaller kinds: namespaces, nodes, priorities, runtimes, leases, APIs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import network, network_messages
from ecpmon.kube.causes import (
    Cause,
    Causes,
    Document,
    duplicate,
    forbidden,
    immutable,
    invalid,
    not_negative,
    of_messages,
    one_of,
    placed,
    required,
    unsupported,
)
from ecpmon.kube.metadata import label_causes, standard_finalizer_causes
from ecpmon.kube.pods import template_causes
from ecpmon.kube.resources import amount_causes, requirement_causes
from ecpmon.kube.scheduling import EFFECTS, toleration_causes

_SYSTEM: Final = "system-"
_HIGHEST_PRIORITY: Final = 1_000_000_000
_SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_STRATEGIES: Final = ("OldestEmulationVersion",)
_MOST: Final = 20_000
_MOST_VERSIONS: Final = 1_000
_HTTPS: Final = 443


def namespace_causes(document: Document, old: Document | None) -> Causes:
    """A Namespace: the finalizers of its spec, which only its own subresource changes later."""
    finalizers = (document.get("spec") or {}).get("finalizers") or ()
    for index, name in enumerate(finalizers if old is None else ()):
        path = "spec.finalizers"
        found = [*of_messages(path, name, names.qualified_name(name)), *standard_finalizer_causes(name, path)]
        yield from placed(f"{path}[{index}]", found)


def node_causes(document: Document, old: Document | None) -> Causes:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    # The server says that taints are metadata.
    for cause in _taints(spec.get("taints") or (), "metadata.taints"):
        yield from placed(cause.field.replace("metadata", "spec", 1), [cause])
    for key in ("capacity", "allocatable"):
        for name, text in (status.get(key) or {}).items():
            yield from amount_causes(name, text, f"status.{key}.{name}")
    if old is None:
        yield from _networks(spec.get("podCIDRs") or (), "spec.podCIDRs")
        return
    before = old.get("spec") or {}
    for key, said in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(key) and before[key] != spec.get(key):
            detail = f'node updates may not change {said} except from "" to valid'
            yield forbidden(f"spec.{key}", detail)


def _taints(taints: Any, path: str) -> Causes:
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for index, taint in enumerate(taints):
        at, key, effect = f"{path}[{index}]", taint.get("key", ""), taint.get("effect", "")
        value = taint.get("value", "")
        yield from of_messages(f"{at}.key", key, names.qualified_name(key))
        if names.label_value(value):
            yield invalid(f"{at}.value", value, ";".join(names.label_value(value)))
        if not effect:
            yield required(f"{at}.effect")
        elif effect not in EFFECTS:
            yield unsupported(f"{at}.effect", effect, EFFECTS)
        if key in seen[effect]:
            said = duplicate(at, dict(taint)).message
            detail = f"{said}: taints must be unique by key and effect pair"
            yield Cause("FieldValueDuplicate", detail, at)
        seen[effect].add(key)


def _networks(texts: Any, path: str) -> Causes:
    read = [(text, network(text)) for text in texts]
    for index, (text, found) in enumerate(read):
        yield from of_messages(f"{path}[{index}]", text, network_messages(found))
    families = {found.version for _, found in read if found is not None}
    if len(texts) > 2 or (len(texts) == 2 and len(families) < 2):
        yield invalid(path, list(texts), "may specify no more than one CIDR for each IP family")


def fill_node(document: Document) -> None:
    """The two spellings of a node's networks are one, and what it has it can give."""
    spec, status = document.setdefault("spec", {}), document.get("status") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def priority_class_causes(document: Document, old: Document | None) -> Causes:
    name, value = document["metadata"].get("name", ""), document.get("value", 0)
    if name.startswith(_SYSTEM):
        if value != _SYSTEM_PRIORITIES.get(name) or document.get("globalDefault"):
            detail = "priority class names with 'system-' prefix are reserved for system use only"
            yield forbidden("metadata.name", f"{detail}. error: {name} is not a known system priority class")
    elif value > _HIGHEST_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}")
    policy = document.get("preemptionPolicy")
    yield from one_of(document, "preemptionPolicy", ("Never", "PreemptLowerPriority"), "")
    if old is not None and value != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")
    if old is not None and policy != old.get("preemptionPolicy"):
        yield immutable("preemptionPolicy", policy)


def runtime_class_causes(document: Document, old: Document | None) -> Causes:
    handler = document.get("handler", "")
    yield from of_messages("handler", handler, names.dns_label(handler))
    fixed = (document.get("overhead") or {}).get("podFixed") or {}
    for cause in requirement_causes({"limits": fixed}, "overhead", {}):
        yield from placed(cause.field.replace("overhead.limits", "overhead.podFixed", 1), [cause])
    where = document.get("scheduling") or {}
    yield from label_causes(where.get("nodeSelector") or {}, "scheduling.nodeSelector")
    for index, toleration in enumerate(where.get("tolerations") or ()):
        yield from toleration_causes(toleration, f"scheduling.tolerations[{index}]")
    if old is not None and handler != old.get("handler", ""):
        yield immutable("handler", handler)


def lease_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    if spec.get("leaseDurationSeconds", 1) <= 0:
        yield invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    yield from not_negative(spec, ("leaseTransitions",), "spec")
    strategy = spec.get("strategy")
    if strategy is not None and "/" in strategy:
        yield from of_messages("spec.strategy.strategy", strategy, names.qualified_name(strategy))
    elif strategy is not None and strategy not in _STRATEGIES:
        yield unsupported("spec.strategy.strategy", strategy, _STRATEGIES)
    if spec.get("preferredHolder") and not strategy:
        yield forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


def pod_template_causes(document: Document, _: Document | None) -> Causes:
    """A PodTemplate: a template that nothing makes pods of."""
    yield from template_causes(document.get("template") or {}, "template")


def revision_causes(document: Document, old: Document | None) -> Causes:
    """A ControllerRevision."""
    if "data" not in document:
        yield required("data", "data is mandatory")
    yield from not_negative(document, ("revision",), "")
    if old is not None and document.get("data") != old.get("data"):
        yield immutable("data", document.get("data"))


def api_service_causes(document: Document, _: Document | None) -> Causes:
    """An APIService: a version of a group that the server itself or a service answers for."""
    spec, name = document.get("spec") or {}, document["metadata"].get("name", "")
    group, version, service = spec.get("group", ""), spec.get("version", ""), spec.get("service")
    wanted = f"{version}.{group}"
    if name and not names.path_segment(name) and name != wanted:
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if group:
        yield from of_messages("spec.group", group, names.dns_subdomain(group))
    elif version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    yield from of_messages("spec.version", version, names.dns_1035_label(version))
    for key, most in (("groupPriorityMinimum", _MOST), ("versionPriority", _MOST_VERSIONS)):
        if not 0 < spec.get(key, 0) <= most:
            yield invalid(f"spec.{key}", spec.get(key, 0), f"must be positive and less than {most}")
    yield from _served_by(spec, service)


def _served_by(spec: Mapping[str, Any], service: Mapping[str, Any] | None) -> Causes:
    trusted, unchecked = spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    if service is None:
        if trusted:
            yield invalid("spec.caBundle", "bytes", "local APIServices may not have a caBundle")
        if unchecked:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("spec.insecureSkipTLSVerify", True, detail)
        return
    for key in ("namespace", "name"):
        if not service.get(key):
            yield required(f"spec.service.{key}")
    port = service.get("port", _HTTPS)
    if names.port_number(port):
        detail = f"port is not valid: {', '.join(names.port_number(port))}"
        yield invalid("spec.service.port", port, detail)
    if unchecked and trusted:
        yield invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")
