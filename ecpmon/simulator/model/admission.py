"""What a namespace lets in: whether it takes anything, and what has to be there before a pod is."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.model.keys import ObjectKey, Refused, forbidden
from ecpmon.simulator.model.limits import limited
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.state import Draft

# Of one workload, those of a Job that have ended among them: a simulation has to hold them all. A real cluster lets
# the API take any number as well, and refuses pods by a quota or an admission webhook; so does this one.
MAX_PODS: Final = 1000
_PRIORITIES: Final = "priorityclasses.scheduling.k8s.io"
_RUNTIMES: Final = "runtimeclasses.node.k8s.io"
# Every cluster has these, whether anybody made them or not.
_OWN_PRIORITIES: Final = frozenset(("system-cluster-critical", "system-node-critical"))


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


def check_number(draft: Draft, key: ObjectKey, group: str) -> None:
    """Refused (403) when the workload whose pods `group` holds has as many as are simulated."""
    if len(draft.pods_of.get(group, ())) >= MAX_PODS:
        raise forbidden(key, f"this simulator holds {MAX_PODS} pods of one workload")


def admitted(draft: Draft, key: ObjectKey, spec: Manifest) -> Manifest:
    """A new pod's spec with its namespace's defaults; the same object when there are none.

    Refused (403) outside of the LimitRanges, and where its ServiceAccount, its PriorityClass or its RuntimeClass does
    not exist.
    """
    account = spec.get("serviceAccountName") or "default"
    found = draft.object(ObjectKey("serviceaccounts", key.namespace, account))
    # The default account comes back by itself when somebody deletes it.
    if found is None and account != "default":
        why = f'error looking up service account {key.namespace}/{account}: serviceaccount "{account}" not found'
        raise forbidden(key, why)
    priority = spec.get("priorityClassName")
    known = not priority or priority in _OWN_PRIORITIES
    if not known and draft.object(ObjectKey(_PRIORITIES, "", str(priority))) is None:
        raise forbidden(key, f"no PriorityClass with name {priority} was found")
    return limited(draft, key, _of_runtime(draft, key, spec))


def _of_runtime(draft: Draft, key: ObjectKey, spec: Manifest) -> Manifest:
    """With what its RuntimeClass takes beside the containers, and where it can run."""
    name = spec.get("runtimeClassName")
    found = draft.object(ObjectKey(_RUNTIMES, "", str(name))) if name else None
    if name and found is None:
        raise forbidden(key, f'pod rejected: RuntimeClass "{name}" not found')
    fixed = ((found or {}).get("overhead") or {}).get("podFixed")
    if spec.get("overhead") and spec["overhead"] != fixed:
        why = "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        raise forbidden(key, f"pod rejected: {why}")
    where = (found or {}).get("scheduling") or {}
    added: dict[str, Any] = {"overhead": fixed} if fixed else {}
    if where.get("nodeSelector"):
        added["nodeSelector"] = _joined(key, spec.get("nodeSelector") or {}, where["nodeSelector"])
    if where.get("tolerations"):
        own = spec.get("tolerations") or ()
        added["tolerations"] = [*own, *(t for t in where["tolerations"] if t not in own)]
    return {**spec, **added} if added else spec


def _joined(key: ObjectKey, own: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    for label, value in other.items():
        if own.get(label, value) != value:
            why = "conflict: runtimeClass.scheduling.nodeSelector"
            raise forbidden(key, f"{why}[{label}] = {value}; pod.spec.nodeSelector[{label}] = {own[label]}")
    return {**own, **other}


def pod_spec(draft: Draft, manifest: Manifest, replica_set: str) -> Manifest:
    """A pod's spec: its own, or its replica set's template."""
    if manifest:
        found: Manifest = manifest["spec"]
        return found
    template: Manifest = draft.replica_sets[replica_set].manifest["spec"]["template"]["spec"]
    return template
