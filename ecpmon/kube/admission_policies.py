"""ValidatingAdmissionPolicies and what binds them. Expressions (CEL) are not compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    forbidden,
    invalid,
    of_messages,
    one_of,
    placed,
    required,
    unsupported,
)
from ecpmon.kube.metadata import selector_causes
from ecpmon.kube.webhooks import (
    MATCHES,
    POLICIES,
    condition_causes,
    expression_causes,
    fill_matching,
    operation_causes,
)

_ACTIONS: Final = ("Audit", "Deny", "Warn")
_NOT_FOUND: Final = ("Deny", "Allow")
_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_MAX_ANNOTATIONS: Final = 20
_MAX_EXPRESSION: Final = 5 * 1024
_IDENTIFIER: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED: Final = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip


def policy_causes(document: Document, _: Document | None) -> Causes:
    """A ValidatingAdmissionPolicy."""
    spec, metadata = document.get("spec") or {}, document["metadata"]
    yield from one_of(spec, "failurePolicy", POLICIES, "spec")
    if "paramKind" in spec:
        yield from _parameter_kind(spec["paramKind"], "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield required("spec.matchConstraints")
    else:
        yield from _matching(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            yield required("spec.matchConstraints.resourceRules")
    yield from condition_causes(spec.get("matchConditions") or (), "spec.matchConditions")
    for index, variable in enumerate(spec.get("variables") or ()):
        yield from _variable(variable, f"spec.variables[{index}]")
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        for key in ("validations", "auditAnnotations"):
            yield required(f"spec.{key}", "validations or auditAnnotations must contain at least one item")
    for index, validation in enumerate(validations):
        yield from _validation(validation, f"spec.validations[{index}]")
    yield from _annotations(annotations, metadata.get("name", ""))


def _parameter_kind(kind: Mapping[str, Any], at: str) -> Causes:
    version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    if not version:
        yield required(f"{at}.apiVersion")
    elif version.count("/") > 1:
        yield invalid(f"{at}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    else:
        yield from _group_version(version, f"{at}.apiVersion")
    found = names.dns_1035_label(name.lower())
    if not name:
        yield required(f"{at}.kind")
    elif found:
        detail = f"may have mixed case, but should otherwise match: {','.join(found)}"
        yield invalid(f"{at}.kind", name, detail)


def _group_version(text: str, at: str) -> Causes:
    group, _, version = text.rpartition("/")
    if group and names.dns_subdomain(group):
        yield invalid(at, group, ",".join(names.dns_subdomain(group)))
    if not version:
        yield invalid(at, text, "version must be specified")
    elif names.dns_1035_label(version):
        yield invalid(at, version, ",".join(names.dns_1035_label(version)))


def _matching(match: Mapping[str, Any], at: str) -> Causes:
    yield from one_of(match, "matchPolicy", MATCHES, at)
    for key in ("namespaceSelector", "objectSelector"):
        yield from selector_causes(match.get(key), f"{at}.{key}")
    for key in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(key) or ()):
            yield from _named_rule(rule, f"{at}.{key}[{index}]")


def _named_rule(rule: Mapping[str, Any], at: str) -> Causes:
    seen: set[str] = set()
    for index, name in enumerate(rule.get("resourceNames") or ()):
        where = f"{at}.resourceNames[{index}]"
        yield from of_messages(where, name, names.path_segment(name))
        if name in seen:
            yield duplicate(where, name)
        seen.add(name)
    yield from operation_causes(rule, at)


def _variable(variable: Mapping[str, Any], at: str) -> Causes:
    name = variable.get("name", "")
    if not name.strip():
        yield required(f"{at}.name", "name is not specified")
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        yield invalid(f"{at}.name", name, "name is not a valid CEL identifier")
    yield from expression_causes(variable, "expression", at, "expression is not specified")


def _validation(validation: Mapping[str, Any], at: str) -> Causes:
    yield from expression_causes(validation, "expression", at, "expression is not specified")
    other, message = validation.get("messageExpression", ""), validation.get("message", "")
    if other and not other.strip():
        yield invalid(f"{at}.messageExpression", other, "must be non-empty if specified")
    if message and not message.strip():
        yield invalid(f"{at}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield invalid(f"{at}.message", message, "message must not contain line breaks")
    yield from one_of(validation, "reason", _REASONS, at)


def _annotations(annotations: Any, policy: str) -> Causes:
    path, seen = "spec.auditAnnotations", set()
    if len(annotations) > _MAX_ANNOTATIONS:
        detail = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        yield invalid(path, list(annotations), detail)
    for index, annotation in enumerate(annotations):
        at, key = f"{path}[{index}]", annotation.get("key", "")
        if policy:
            whole = f"{policy}/{key}"
            yield from of_messages(f"{at}.key", whole, names.qualified_name(whole))
        else:
            yield invalid(f"{at}.key", key, "requires metadata.name be non-empty")
        text = annotation.get("valueExpression", "").strip()
        if len(text.encode()) > _MAX_EXPRESSION:
            yield required(f"{at}.valueExpression", f"must not exceed {_MAX_EXPRESSION} bytes in length")
        yield from expression_causes(annotation, "valueExpression", at, "valueExpression is not specified")
        if key in seen:
            yield duplicate(f"{at}.key", key)
        seen.add(key)


def fill_policy(document: Document) -> None:
    """The defaults of a policy, in place."""
    spec = document.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    _fill_match(spec.get("matchConstraints"))


def _fill_match(match: Document | None) -> None:
    if match is None:
        return
    fill_matching(match)
    for key in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(key) or ():
            rule.setdefault("scope", "*")


def binding_causes(document: Document, _: Document | None) -> Causes:
    """A ValidatingAdmissionPolicyBinding."""
    spec = document.get("spec") or {}
    policy = spec.get("policyName", "")
    if not policy:
        yield required("spec.policyName")
    else:
        yield from of_messages("spec.policyName", policy, names.dns_subdomain(policy))
    if "paramRef" in spec:
        yield from _parameter(spec["paramRef"], "spec.paramRef")
    if "matchResources" in spec:
        # As the server spells it.
        for cause in _matching(spec["matchResources"], "spec.matchResouces"):
            yield from placed(cause.field.replace("matchResouces", "matchResources", 1), [cause])
    yield from _actions(spec.get("validationActions") or (), "spec.validationActions")


def _parameter(reference: Mapping[str, Any], at: str) -> Causes:
    name, selector, missing = (reference.get(k) for k in ("name", "selector", "parameterNotFoundAction"))
    both = "name and selector are mutually exclusive"
    if name:
        yield from of_messages(f"{at}.name", name, names.path_segment(name))
        if selector is not None:
            yield forbidden(f"{at}.name", both)
            yield forbidden(f"{at}.selector", both)
    yield from selector_causes(selector, f"{at}.selector")
    if not name and selector is None:
        yield required(at, "one of name or selector must be specified")
    if not missing:
        yield required(f"{at}.parameterNotFoundAction")
    elif missing not in _NOT_FOUND:
        yield unsupported(f"{at}.parameterNotFoundAction", missing, _NOT_FOUND)


def _actions(actions: Any, path: str) -> Causes:
    seen: set[str] = set()
    for index, action in enumerate(actions):
        at = f"{path}[{index}]"
        if action not in _ACTIONS:
            yield unsupported(at, action, _ACTIONS)
        if action in seen:
            yield duplicate(at, action)
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the "
        )
        detail += "API response and headers serves no purpose)"
        yield invalid(path, list(actions), detail)
    if not seen:
        yield required(path, "at least one validation action is required")


def fill_policy_binding(document: Document) -> None:
    """The defaults of a binding, in place."""
    _fill_match((document.get("spec") or {}).get("matchResources"))
