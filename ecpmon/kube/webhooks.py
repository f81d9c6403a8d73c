"""Webhooks that an API server asks: who is asked about what, and where it answers. They are never asked here.

Expressions (CEL) of match conditions are not compiled; what stands around them is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    duplicate,
    invalid,
    of_messages,
    one_of,
    placed,
    required,
    too_many,
    unsupported,
)
from ecpmon.kube.domains import qualified_causes
from ecpmon.kube.metadata import selector_causes

POLICIES: Final = ("Fail", "Ignore")
MATCHES: Final = ("Equivalent", "Exact")
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_AGAIN: Final = ("IfNeeded", "Never")
_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES: Final = ("*", "Cluster", "Namespaced")
_REVIEWS: Final = ("v1", "v1beta1")
_FORM: Final = "; desired format: https://host[/path]"
_HTTPS: Final = 443
_MAX_CONDITIONS: Final = 64


def webhook_configuration_causes(document: Document, _: Document | None) -> Causes:
    """A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration."""
    seen: set[str] = set()
    for index, hook in enumerate(document.get("webhooks") or ()):
        at, name = f"webhooks[{index}]", hook.get("name", "")
        yield from _webhook(hook, at)
        yield from review_causes(hook.get("admissionReviewVersions") or (), f"{at}.admissionReviewVersions")
        if name and name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)


def _webhook(hook: Mapping[str, Any], at: str) -> Causes:
    yield from qualified_causes(hook.get("name", ""), f"{at}.name")
    for index, rule in enumerate(hook.get("rules") or ()):
        yield from operation_causes(rule, f"{at}.rules[{index}]")
    yield from one_of(hook, "failurePolicy", POLICIES, at)
    yield from one_of(hook, "matchPolicy", MATCHES, at)
    effects, seconds = hook.get("sideEffects"), hook.get("timeoutSeconds", 1)
    if effects is None:
        yield required(f"{at}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    elif effects not in _SIDE_EFFECTS:
        yield unsupported(f"{at}.sideEffects", effects, _SIDE_EFFECTS)
    if not 1 <= seconds <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        yield invalid(f"{at}.timeoutSeconds", seconds, detail)
    for key in ("namespaceSelector", "objectSelector"):
        yield from selector_causes(hook.get(key), f"{at}.{key}")
    yield from one_of(hook, "reinvocationPolicy", _AGAIN, at)
    yield from client_causes(hook.get("clientConfig") or {}, f"{at}.clientConfig")
    yield from condition_causes(hook.get("matchConditions") or (), f"{at}.matchConditions")


def review_causes(
    versions: Any, path: str, *, detail: str = f"must specify one of {', '.join(_REVIEWS)}"
) -> Causes:
    """The versions of reviews that a webhook understands."""
    if not versions:
        yield required(path, detail)
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        at = f"{path}[{index}]"
        if version in seen:
            yield invalid(at, version, "duplicate version")
        else:
            yield from of_messages(at, version, names.dns_1035_label(version))
        seen.add(version)
    if not seen & set(_REVIEWS):
        yield invalid(path, list(versions), f"must include at least one of {', '.join(_REVIEWS)}")


def operation_causes(rule: Mapping[str, Any], at: str) -> Causes:
    """What is asked about: operations on resources."""
    yield from _wild(rule.get("operations") or (), f"{at}.operations", "operations")
    for index, operation in enumerate(rule.get("operations") or ()):
        if operation not in _OPERATIONS:
            yield unsupported(f"{at}.operations[{index}]", operation, _OPERATIONS)
    yield from _wild(rule.get("apiGroups") or (), f"{at}.apiGroups", "API groups")
    versions = rule.get("apiVersions") or ()
    yield from _wild(versions, f"{at}.apiVersions", "API versions")
    for index, version in enumerate(versions):
        if not version:
            yield required(f"{at}.apiVersions[{index}]")
    yield from _resources(rule.get("resources") or (), f"{at}.resources")
    yield from one_of(rule, "scope", _SCOPES, at)


def _wild(words: Any, path: str, what: str) -> Causes:
    """Everything stands alone."""
    if not words:
        yield required(path)
    elif len(words) > 1 and "*" in words:
        yield invalid(path, list(words), f"if '*' is present, must not specify other {what}")


def _resources(resources: Any, path: str) -> Causes:
    if not resources:
        yield required(path)
    whole: set[str] = set()  # all subresources of these
    everywhere: set[str] = set()  # these subresources of all
    bare = False
    for index, text in enumerate(resources):
        at = f"{path}[{index}]"
        resource, slash, sub = text.partition("/")
        if not text:
            yield required(at)
        elif not slash:
            bare = text != "*"
        else:
            if resource in whole:
                yield invalid(at, text, f"if '{resource}/*' is present, must not specify {text}")
            if sub in everywhere:
                yield invalid(at, text, f"if '*/{sub}' is present, must not specify {text}")
            whole |= {resource} if sub == "*" else set()
            everywhere |= {sub} if resource == "*" else set()
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, list(resources), "if '*/*' is present, must not specify other resources")
    if "*" in resources and bare:
        detail = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, list(resources), detail)


def client_causes(client: Mapping[str, Any], at: str) -> Causes:
    """Where a webhook answers: at an address or at a service."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(at, "exactly one of url or service is required")
    elif url is not None:
        yield from _url(url, f"{at}.url")
    elif service is not None:
        yield from _service(service, f"{at}.service")


def _url(url: str, at: str) -> Causes:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(at, f"url must be a valid URL: {error}{_FORM}")
        return
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme != "https":
        yield invalid(at, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not host:
        yield invalid(at, host, f"host must be specified{_FORM}")
    for value, what in (
        (user, "user information is not permitted in the URL"),
        (parts.fragment, "fragments are not permitted in the URL"),
        (parts.query, "query parameters are not permitted in the URL"),
    ):
        if value:
            yield invalid(at, value, what)


def _service(service: Mapping[str, Any], at: str) -> Causes:
    # The server takes one for the other: it says `namespace` where the name is missing.
    for key, said in (("namespace", "name"), ("name", "namespace")):
        if not service.get(key):
            yield from placed(f"{at}.{key}", [required(f"{at}.{said}")])
    port = service.get("port", _HTTPS)
    found = names.port_number(port)
    if found:
        yield invalid(f"{at}.port", port, f"port is not valid: {', '.join(found)}")
    if service.get("path") is not None:
        yield from _path(service["path"], f"{at}.path")


def _path(path: str, at: str) -> Causes:
    if path in ("", "/"):
        return
    if path == "//":
        yield invalid(at, path, "segment[0] may not be empty")
        return
    if not path.startswith("/"):
        yield invalid(at, path, "must start with a '/'")
    for index, step in enumerate(path[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(at, path, f"segment[{index}] may not be empty")
        else:
            yield from of_messages(at, path, [f"segment[{index}]: {m}" for m in names.dns_subdomain(step)])


def condition_causes(conditions: Any, path: str) -> Causes:
    """Conditions under which somebody is asked at all."""
    if len(conditions) > _MAX_CONDITIONS:
        yield too_many(path, len(conditions), _MAX_CONDITIONS)
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        at, name = f"{path}[{index}]", condition.get("name", "")
        yield from expression_causes(condition, "expression", at)
        if not name:
            yield required(f"{at}.name")
        else:
            yield from of_messages(f"{at}.name", name, names.qualified_name(name))
        if name and name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)


def expression_causes(holder: Mapping[str, Any], key: str, at: str, detail: str = "") -> Causes:
    """An expression that has to be there."""
    if not str(holder.get(key, "")).strip():
        yield required(f"{at}.{key}", detail)


def fill_webhooks(document: Document) -> None:
    """The defaults of either configuration, in place."""
    mutating = document.get("kind") == "MutatingWebhookConfiguration"
    for hook in document.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        fill_matching(hook)
        hook.setdefault("timeoutSeconds", 10)
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", _HTTPS)


def fill_matching(holder: Document) -> None:
    """How closely resources have to match, and of which namespaces and objects: all."""
    holder.setdefault("matchPolicy", "Equivalent")
    holder.setdefault("namespaceSelector", {})
    holder.setdefault("objectSelector", {})
