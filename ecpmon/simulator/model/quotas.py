"""ResourceQuotas: what one object takes, what a namespace's take together, and who is refused for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

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

QUOTAS: Final = "resourcequotas"
CLAIMS: Final = "persistentvolumeclaims"
_COUNTED: Final = (
    "configmaps", CLAIMS, "replicationcontrollers", "resourcequotas", "secrets", "services",
)  # fmt: skip
# Also counted under their own name, not only as `requests.…`.
_PLAIN: Final = ("cpu", "memory", "ephemeral-storage")
_CLASS: Final = "storageclass.storage.k8s.io"


def check_quota(draft: Draft, key: ObjectKey, document: Manifest, old: Manifest | None = None) -> None:
    """Refused (403, `exceeded quota: …`) when the new object, or what is more of it than of `old`, does not fit.

    For pods also what is unstated.
    """
    asked = usage_of(key.resource, document)
    for name, value in (usage_of(key.resource, old) if old else {}).items():
        asked[name] = asked.get(name, Decimal(0)) - value
    for quota in draft.objects_of(key.namespace, QUOTAS):
        limits = quota.get("spec") or {}
        hard, name = limits.get("hard") or {}, quota["metadata"]["name"]
        if not is_about(limits, key.resource, document.get("spec") or {}):
            continue
        if key.resource == "pods":
            _check_stated(key, name, hard, document)
        touched = [resource for resource in sorted(hard) if asked.get(resource, 0) > 0]
        used = used_of(draft, key.namespace, touched, limits)
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
    """Every container has to state what is limited, unless the pod as a whole states anything."""
    spec = pod.get("spec") or {}
    if any((spec.get("resources") or {}).get(what) for what in ("requests", "limits")):
        return
    missing: dict[str, list[str]] = {}
    for resource in sorted(hard):
        kind, _, name = resource.rpartition(".")
        if name not in ("cpu", "memory") or kind not in ("", "requests", "limits"):
            continue
        stated = container_limits if kind == "limits" else container_requests
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if name not in stated(container):
                missing.setdefault(resource, []).append(str(container["name"]))
    if missing:
        text = "; ".join(f"{resource} for: {','.join(names)}" for resource, names in missing.items())
        raise forbidden(key, f"failed quota: {quota}: must specify {text}")


def usage_of(resource: str, document: Manifest) -> dict[str, Decimal]:
    """What one object takes from a quota, by the quota's names for it."""
    usage = {f"count/{resource}": Decimal(1)}
    if resource in _COUNTED:
        usage[resource] = Decimal(1)
    spec = document.get("spec") or {}
    if resource == "pods":
        usage["pods"] = Decimal(1)
        for name, value in pod_requests(spec).items():
            usage[f"requests.{name}"] = value
            if name in _PLAIN:
                usage[name] = value
        usage |= {f"limits.{name}": value for name, value in pod_limits(spec).items()}
    elif resource == CLAIMS:
        _add_claim(usage, spec)
    elif resource == "services":
        kind = spec.get("type")
        if kind in ("NodePort", "LoadBalancer"):
            usage["services.nodeports"] = Decimal(len(spec.get("ports") or ()))
        if kind == "LoadBalancer":
            usage["services.loadbalancers"] = Decimal(1)
    return usage


def _add_claim(usage: dict[str, Decimal], spec: Manifest) -> None:
    size = quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
    usage["requests.storage"] = size
    name = spec.get("storageClassName")
    if name:
        usage[f"{name}.{_CLASS}/requests.storage"] = size
        usage[f"{name}.{_CLASS}/{CLAIMS}"] = Decimal(1)


def is_about(quota: Manifest, resource: str, spec: Manifest) -> bool:
    """Whether a quota's scopes are those of the object; one without scopes is about everything."""
    rules = [{"scopeName": scope, "operator": "Exists"} for scope in quota.get("scopes") or ()]
    rules += (quota.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not rules or (resource == "pods" and all(_in_scope(rule, spec) for rule in rules))


def _in_scope(rule: Manifest, spec: Manifest) -> bool:
    scope, operator = rule.get("scopeName"), rule.get("operator")
    if scope == "PriorityClass":
        named = spec.get("priorityClassName") or ""
        if operator in ("In", "NotIn"):
            return (named in (rule.get("values") or ())) is (operator == "In")
        return bool(named) is (operator == "Exists")
    if scope in ("BestEffort", "NotBestEffort"):
        stated = {**pod_requests(spec), **pod_limits(spec)}
        return any(name in stated for name in ("cpu", "memory")) is (scope == "NotBestEffort")
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
    return False


def used_of(draft: Draft, namespace: str, names: list[str], quota: Manifest) -> dict[str, Decimal]:
    """What the namespace's objects take together that the quota is about, for its `names`."""
    total = dict.fromkeys(names, Decimal(0))
    if not names:
        return total
    specs = [draft.manifest_of(pod)["spec"] for pod in draft.pods_within(namespace) if not pod.over]
    each = [_pod_usage(spec) for spec in specs if is_about(quota, "pods", spec)]
    for path, document in draft.objects.get(namespace, {}).items():
        resource = path.partition("/")[0]
        if is_about(quota, resource, {}):
            each.append(usage_of(resource, document))
    for usage in each:
        for name in names:
            total[name] += usage.get(name, 0)
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
