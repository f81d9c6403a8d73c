"""LimitRanges: what they fill in, and what they refuse of containers, pods and claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ecpmon.simulator.model.keys import Document, ObjectKey, forbidden
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.quantities import (
    container_limits,
    container_requests,
    pod_limits,
    pod_requests,
    quantity,
    spelled,
)
from ecpmon.simulator.model.state import Draft

_KINDS: Final = ("initContainers", "containers")


def limited(draft: Draft, key: ObjectKey, spec: Manifest) -> Manifest:
    """A pod's spec with its namespace's LimitRange defaults; the same object when there are none.

    Refused (403) when a container, init containers included, or the pod as a whole lies outside of the limits.
    """
    ranges = _items(draft, key.namespace)
    if not ranges:
        return spec
    spec = filled(draft, key.namespace, spec)
    problems = [
        text
        for item in ranges
        if item.get("type") == "Container"
        for kind in ("containers", "initContainers")
        for container in spec.get(kind) or ()
        for text in _outside("Container", container_requests(container), container_limits(container), item)
    ]
    for item in ranges:
        if item.get("type") == "Pod":
            problems += _outside("Pod", _spelled(pod_requests(spec)), _spelled(pod_limits(spec)), item)
    _refuse(key, problems)
    return spec


def filled(draft: Draft, namespace: str, spec: Manifest) -> Manifest:
    """The spec with the requests and limits that its namespace gives to who states none."""
    each = [item for item in _items(draft, namespace) if item.get("type") == "Container"]
    made = {kind: [_with_defaults(c, each) for c in spec[kind]] for kind in _KINDS if spec.get(kind)}
    unchanged = not each or all(made[kind] == list(spec[kind]) for kind in made)
    return spec if unchanged else {**spec, **made}


def check_claim(draft: Draft, key: ObjectKey, document: Manifest) -> None:
    """Refused (403) when a PersistentVolumeClaim asks for less or more than its namespace lets it."""
    asked = ((document.get("spec") or {}).get("resources") or {}).get("requests") or {}
    kind = "PersistentVolumeClaim"
    items = [item for item in _items(draft, key.namespace) if item.get("type") == kind]
    # A claim has no limit: its request is what counts on both sides.
    _refuse(key, [text for item in items for text in _outside(kind, asked, None, item)])


def _items(draft: Draft, namespace: str) -> list[Document]:
    return [
        item
        for document in draft.objects_of(namespace, "limitranges")
        for item in (document.get("spec") or {}).get("limits") or ()
    ]


def _refuse(key: ObjectKey, problems: list[str]) -> None:
    if problems:
        raise forbidden(key, problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _spelled(amounts: Mapping[str, Any]) -> dict[str, str]:
    return {name: spelled(name, value) for name, value in amounts.items()}


def _with_defaults(container: Manifest, ranges: list[Document]) -> Manifest:
    resources = container.get("resources") or {}
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    # A limit that the container states itself is its request as well, before any default is looked at.
    requests = {**limits, **requests}
    for item in ranges:
        for name, value in (item.get("default") or {}).items():
            limits.setdefault(name, value)
        for name, value in (item.get("defaultRequest") or item.get("default") or {}).items():
            requests.setdefault(name, value)
    filled = {k: v for k, v in (("limits", limits), ("requests", requests)) if v}
    return {**container, "resources": {**resources, **filled}} if filled else container


def _outside(
    kind: str, requests: Mapping[str, Any], limits: Mapping[str, Any] | None, item: Document
) -> Iterator[str]:
    """`limits` None: of what has none."""
    for name, value in (item.get("min") or {}).items():
        if name not in requests:
            yield f"minimum {name} usage per {kind} is {value}.  No request is specified"
        elif quantity(requests[name]) < quantity(value):
            yield f"minimum {name} usage per {kind} is {value}, but request is {requests[name]}"
    for name, value in (item.get("max") or {}).items():
        most = "limit" if limits is not None else "request"
        stated = requests if limits is None else limits
        if name not in stated:
            yield f"maximum {name} usage per {kind} is {value}.  No {most} is specified"
        elif quantity(stated[name]) > quantity(value):
            yield f"maximum {name} usage per {kind} is {value}, but {most} is {stated[name]}"
    for name, value in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _stretched(kind, name, requests.get(name), (limits or {}).get(name), value)


def _stretched(kind: str, name: str, request: Any, limit: Any, most: Any) -> Iterator[str]:
    said = f"{name} max limit to request ratio per {kind} is {most}"
    if request is None or not quantity(request):
        yield f"{said}, but no request is specified or request is 0"
    elif limit is None or not quantity(limit):
        yield f"{said}, but no limit is specified or limit is 0"
    elif quantity(limit) / quantity(request) > quantity(most):
        yield f"{said}, but provided ratio is {float(quantity(limit) / quantity(request)):f}"
