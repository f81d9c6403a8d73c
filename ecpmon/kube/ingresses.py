"""Ingresses and the classes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.addresses import address
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    immutable,
    invalid,
    of_messages,
    required,
    unsupported,
)
from ecpmon.kube.domains import controller_causes

_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_NEVER_WITHIN: Final = ("//", "/./", "/../", "%2f", "%2F")
_NEVER_LAST: Final = ("/..", "/.")
# What has any of these.
_ODD: Final = re.compile(r"//|/\.\.?(?:/|\Z)|%2[fF]")
_SCOPES: Final = ("Cluster", "Namespace")
_CLASS: Final = "kubernetes.io/ingress.class"


def ingress_causes(document: Document, _: Document | None) -> Causes:
    spec = document.get("spec") or {}
    rules, default, kind = spec.get("rules") or (), spec.get("defaultBackend"), spec.get("ingressClassName")
    if not rules and default is None:
        yield invalid("spec", [], "either `defaultBackend` or `rules` must be specified")
    if default is not None:
        yield from _backend(default, "spec.defaultBackend")
    for index, entry in enumerate(spec.get("tls") or ()):
        yield from _tls(entry, f"spec.tls[{index}]")
    for index, rule in enumerate(rules):
        yield from _rule(rule, f"spec.rules[{index}]")
    if kind is not None:
        yield from of_messages("spec.ingressClassName", kind, names.dns_subdomain(kind))
        annotation = (document["metadata"].get("annotations") or {}).get(_CLASS)
        if annotation and annotation != kind:
            field = f"annotations.{_CLASS}"
            yield invalid(field, annotation, "must match `ingressClassName` when both are specified")


def _host(host: str, at: str) -> Causes:
    rule = names.wildcard_subdomain if "*" in host else names.dns_subdomain
    yield from of_messages(at, host, rule(host))


def _tls(entry: Mapping[str, Any], at: str) -> Causes:
    for index, host in enumerate(entry.get("hosts") or ()):
        yield from _host(host, f"{at}.hosts[{index}]")
    if entry.get("secretName"):
        yield from of_messages(
            f"{at}.secretName", entry["secretName"], names.dns_subdomain(entry["secretName"])
        )


def _rule(rule: Mapping[str, Any], at: str) -> Causes:
    host = rule.get("host", "")
    if host:
        if address(host) is not None:
            yield invalid(f"{at}.host", host, "must be a DNS name, not an IP address")
        yield from _host(host, f"{at}.host")
    if "http" not in rule:
        return
    paths = rule["http"].get("paths") or ()
    if not paths:
        yield required(f"{at}.http.paths")
    for index, path in enumerate(paths):
        yield from _path(path, f"{at}.http.paths[{index}]")


def _path(path: Mapping[str, Any], at: str) -> Causes:
    kind, text = path.get("pathType"), path.get("path", "")
    if kind is None:
        yield required(f"{at}.pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/") or _ODD.search(text):
            yield from _strict_path(text, f"{at}.path")
    elif kind not in _PATH_TYPES:
        yield unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif text and not text.startswith("/"):
        yield invalid(f"{at}.path", text, "must be an absolute path")
    yield from _backend(path.get("backend") or {}, f"{at}.backend")


def _strict_path(text: str, at: str) -> Causes:
    if not text.startswith("/"):
        yield invalid(at, text, "must be an absolute path")
    for part in _NEVER_WITHIN:
        if part in text:
            yield invalid(at, text, f"must not contain '{part}'")
    for part in _NEVER_LAST:
        if text.endswith(part):
            yield invalid(at, text, f"cannot end with '{part}'")


def _backend(backend: Mapping[str, Any], at: str) -> Causes:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        yield invalid(at, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from reference_causes(resource, f"{at}.resource")
    elif service is not None:
        yield from _service(service, at)
    else:
        yield invalid(at, "", "resource or service backend is required")


def reference_causes(reference: Mapping[str, Any], at: str) -> Causes:
    """Another object by group, kind and name."""
    group = reference.get("apiGroup")
    if group is not None:
        yield from of_messages(f"{at}.apiGroup", group, names.dns_subdomain(group))
    for key in ("kind", "name"):
        value = reference.get(key, "")
        if not value:
            yield required(f"{at}.{key}")
        yield from of_messages(f"{at}.{key}", value, names.path_segment(value))


def _service(service: Mapping[str, Any], at: str) -> Causes:
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        yield required(f"{at}.service.name")
    elif wrong := names.dns_label(name):
        yield from of_messages(f"{at}.service.name", name, wrong)
    word, number = port.get("name", ""), port.get("number", 0)
    if word and number:
        yield invalid(at, "", "cannot set both port name & port number")
    elif word:
        if wrong := names.port_name(word):
            yield from of_messages(f"{at}.service.port.name", word, wrong)
    elif not number:
        yield required(at, "port name or number is required")
    elif wrong := names.port_number(number):
        yield from of_messages(f"{at}.service.port.number", number, wrong)


def ingress_class_causes(document: Document, old: Document | None) -> Causes:
    spec, before = document.get("spec") or {}, (old or {}).get("spec") or {}
    controller = spec.get("controller", "")
    yield from controller_causes(controller, "spec.controller")
    if old is not None and before.get("controller", "") != controller:
        yield immutable("spec.controller", controller)
    if "parameters" in spec:
        yield from _parameters(spec["parameters"], "spec.parameters")


def _parameters(reference: Mapping[str, Any], at: str) -> Causes:
    """Another object, of the whole cluster or of a namespace."""
    yield from reference_causes(reference, at)
    scope, namespace = reference.get("scope"), reference.get("namespace")
    if scope is None:
        yield required(f"{at}.scope")
    elif scope not in _SCOPES:
        yield unsupported(f"{at}.scope", scope, _SCOPES)
    elif scope == "Namespace" and namespace is None:
        yield required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        yield from of_messages(f"{at}.namespace", namespace, names.dns_label(namespace or ""))
    elif namespace is not None:
        yield forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")


def fill_ingress_class(document: Document) -> None:
    """The defaults of an IngressClass, in place."""
    parameters = (document.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")
