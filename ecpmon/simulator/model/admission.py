"""What a namespace lets in: LimitRange defaults and limits, ResourceQuota."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from ecpmon.simulator.model.keys import Document, ObjectKey, Refused, forbidden
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.quantities import container_requests, quantity, spelled
from ecpmon.simulator.model.state import Draft

QUOTAS: Final = "resourcequotas"
_COUNTED: Final = (
    "configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services",
)  # fmt: skip


def check_namespace(draft: Draft, key: ObjectKey) -> None:
    """Refused when the namespace does not exist (404) or is on its way out (403)."""
    if not key.namespace:
        return
    found = draft.object(ObjectKey("namespaces", "", key.namespace))
    if found is None:
        raise Refused(404, "NotFound", f'namespaces "{key.namespace}" not found')
    if found["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {key.namespace} because it is being terminated"
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {key.namespace} is being terminated",
            "field": "metadata.namespace",
        }
        refused = forbidden(key, why)
        refused.causes = [cause]
        raise refused


def limited(draft: Draft, key: ObjectKey, spec: Manifest) -> Manifest:
    """A pod's spec with its namespace's LimitRange defaults; the same object when there are none.

    Refused (403) when a container lies outside of the limits.
    """
    ranges = [
        item
        for document in draft.objects_of(key.namespace, "limitranges")
        for item in (document.get("spec") or {}).get("limits") or ()
        if item.get("type") == "Container"
    ]
    if not ranges:
        return spec
    containers = [_with_defaults(container, ranges) for container in spec.get("containers") or ()]
    problems = [text for item in ranges for c in containers for text in _outside(c, item)]
    if problems:
        text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise forbidden(key, text)
    unchanged = containers == list(spec.get("containers") or ())
    return spec if unchanged else {**spec, "containers": containers}


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
    return {**container, "resources": {**resources, **filled}}


def _outside(container: Manifest, item: Document) -> Iterator[str]:
    limits = (container.get("resources") or {}).get("limits") or {}
    requests = container_requests(container)
    for name, value in (item.get("min") or {}).items():
        if name not in requests:
            yield f"minimum {name} usage per Container is {value}.  No request is specified"
        elif quantity(requests[name]) < quantity(value):
            yield f"minimum {name} usage per Container is {value}, but request is {requests[name]}"
    for name, value in (item.get("max") or {}).items():
        if name not in limits:
            yield f"maximum {name} usage per Container is {value}.  No limit is specified"
        elif quantity(limits[name]) > quantity(value):
            yield f"maximum {name} usage per Container is {value}, but limit is {limits[name]}"


def check_quota(draft: Draft, key: ObjectKey, document: Manifest) -> None:
    """Refused (403, `exceeded quota: …`) when the new object does not fit; for pods also what is unstated."""
    asked = usage_of(key.resource, document)
    for quota in draft.objects_of(key.namespace, QUOTAS):
        hard = (quota.get("spec") or {}).get("hard") or {}
        name = quota["metadata"]["name"]
        if key.resource == "pods":
            _check_stated(key, name, hard, document)
        touched = [resource for resource in sorted(hard) if asked.get(resource)]
        used = used_of(draft, key.namespace, touched)
        over = [r for r in touched if used[r] + asked[r] > quantity(hard[r])]
        if over:
            raise forbidden(key, _exceeded(name, over, asked, used, hard))


def _exceeded(
    name: str, over: list[str], asked: dict[str, Decimal], used: dict[str, Decimal], hard: Document
) -> str:
    wanted = ",".join(f"{r}={spelled(r, asked[r])}" for r in over)
    taken = ",".join(f"{r}={spelled(r, used[r])}" for r in over)
    limit = ",".join(f"{r}={hard[r]}" for r in over)
    return f"exceeded quota: {name}, requested: {wanted}, used: {taken}, limited: {limit}"


def _check_stated(key: ObjectKey, quota: str, hard: Document, pod: Manifest) -> None:
    missing: dict[str, list[str]] = {}
    for resource in sorted(hard):
        kind, _, name = resource.rpartition(".")
        if name not in ("cpu", "memory") or kind not in ("", "requests", "limits"):
            continue
        for container in (pod.get("spec") or {}).get("containers") or ():
            stated = container_requests(container)
            if kind == "limits":
                stated = (container.get("resources") or {}).get("limits") or {}
            if name not in stated:
                missing.setdefault(resource, []).append(str(container["name"]))
    if missing:
        text = "; ".join(f"{resource} for: {','.join(names)}" for resource, names in missing.items())
        raise forbidden(key, f"failed quota: {quota}: must specify {text}")


def usage_of(resource: str, document: Manifest) -> dict[str, Decimal]:
    """What one object takes from a quota, by the quota's names for it."""
    usage = {f"count/{resource}": Decimal(1)}
    if resource in _COUNTED:
        usage[resource] = Decimal(1)
    if resource != "pods":
        return usage
    usage["pods"] = Decimal(1)
    for container in (document.get("spec") or {}).get("containers") or ():
        for name, value in container_requests(container).items():
            for spelling in (
                (f"requests.{name}", name) if name in ("cpu", "memory") else (f"requests.{name}",)
            ):
                usage[spelling] = usage.get(spelling, Decimal(0)) + quantity(value)
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
            usage[f"limits.{name}"] = usage.get(f"limits.{name}", Decimal(0)) + quantity(value)
    return usage


def used_of(draft: Draft, namespace: str, names: list[str]) -> dict[str, Decimal]:
    """What the namespace's objects take together, for the quota's `names`."""
    total = dict.fromkeys(names, Decimal(0))
    if not names:
        return total
    for pod in draft.pods_within(namespace):
        spec: Any = pod_spec(draft, pod.manifest, pod.replica_set)
        for name, value in _pod_usage(spec).items():
            if name in total:
                total[name] += value
    for path in draft.objects.get(namespace, {}):
        resource = path.partition("/")[0]
        for name in (resource if resource in _COUNTED else "", f"count/{resource}"):
            if name in total:
                total[name] += 1
    for resource, keys in (("deployments.apps", draft.deployments), ("replicasets.apps", draft.replica_sets)):
        if f"count/{resource}" in total:
            total[f"count/{resource}"] += sum(key.startswith(f"{namespace}/") for key in keys)
    return total


_USAGE: dict[int, tuple[Manifest, dict[str, Decimal]]] = {}


def _pod_usage(spec: Manifest) -> dict[str, Decimal]:
    """`usage_of` a pod, remembered by the identity of its spec: replicas share theirs."""
    found = _USAGE.get(id(spec))
    if found is not None and found[0] is spec:
        return found[1]
    if len(_USAGE) > 8192:
        _USAGE.clear()
    made = usage_of("pods", {"spec": spec})
    _USAGE[id(spec)] = (spec, made)
    return made


def pod_spec(draft: Draft, manifest: Manifest, replica_set: str) -> Manifest:
    """A pod's spec: its own, or its replica set's template."""
    if manifest:
        found: Manifest = manifest["spec"]
        return found
    template: Manifest = draft.replica_sets[replica_set].manifest["spec"]["template"]["spec"]
    return template
