"""What follows from the pods of a namespace: endpoints of Services, use of quotas, disruption budgets; and from the
roles of the cluster: those that collect others."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.model import claims
from ecpmon.simulator.model.addresses import pod_address
from ecpmon.simulator.model.aggregation import aggregate
from ecpmon.simulator.model.hashing import name_suffix
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.manifests import share
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quantities import spelled
from ecpmon.simulator.model.quotas import QUOTAS, used_of
from ecpmon.simulator.model.selecting import chosen_by, matches
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import timestamp
from ecpmon.simulator.model.workloads.owned import key_of

BUDGETS: Final = "poddisruptionbudgets.policy"
SLICES: Final = "endpointslices.discovery.k8s.io"
_SERVICE_LABEL: Final = "kubernetes.io/service-name"


def follow(draft: Draft, namespace: str) -> None:
    """Bring everything derived in a namespace up to date; what is as it was stays the same object."""
    if not namespace:
        aggregate(draft)
        return
    claims.follow(draft, namespace)
    kinds = {path.partition("/")[0] for path in draft.objects.get(namespace, {})}
    if "services" in kinds:
        for service in draft.objects_of(namespace, "services"):
            _follow_service(draft, namespace, service)
    if QUOTAS in kinds:
        for quota in draft.objects_of(namespace, QUOTAS):
            _follow_quota(draft, namespace, quota)
    if BUDGETS in kinds:
        for budget in draft.objects_of(namespace, BUDGETS):
            _follow_budget(draft, namespace, budget)


def _set_status(draft: Draft, key: ObjectKey, document: Document, status: Document) -> None:
    if document.get("status") != status:
        draft.put_object(key, {**document, "status": status}, followed=False)


def _follow_quota(draft: Draft, namespace: str, quota: Document) -> None:
    hard = (quota.get("spec") or {}).get("hard") or {}
    used = used_of(draft, namespace, sorted(hard), quota.get("spec") or {})
    status = {"hard": hard, "used": {name: spelled(name, used[name]) for name in sorted(hard)}}
    _set_status(draft, ObjectKey(QUOTAS, namespace, quota["metadata"]["name"]), quota, status)


def _follow_budget(draft: Draft, namespace: str, budget: Document) -> None:
    spec = budget.get("spec") or {}
    chosen = [p for p in draft.pods_within(namespace) if matches(spec.get("selector"), p.meta.labels)]
    pods = [p for p in chosen if not p.over]
    healthy, expected = sum(p.serving for p in pods), _expected(draft, pods)
    if spec.get("maxUnavailable") is not None:
        desired = max(0, expected - share(spec["maxUnavailable"], expected, up=True))
    else:
        desired = share(spec.get("minAvailable", 1), expected, up=True)
    allowed = max(0, healthy - desired) if pods else 0
    key = ObjectKey(BUDGETS, namespace, budget["metadata"]["name"])
    status = {
        "observedGeneration": budget["metadata"].get("generation", 1),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": _budget_conditions(draft, budget, allowed),
    }
    _set_status(draft, key, budget, status)


def _expected(draft: Draft, pods: list[Pod]) -> int:
    """The replicas that the pods' controllers want; pods of nobody count as they are."""
    total, seen = 0, set()
    for pod in pods:
        wanted = _wanted(draft, pod)
        if wanted is None:
            total += 1
        elif pod.group not in seen:
            seen.add(pod.group)
            total += wanted
    return total


def _wanted(draft: Draft, pod: Pod) -> int | None:
    """The replicas that the pod's controller wants; None for a pod of nobody who counts them."""
    deployment = draft.deployments.get(pod.group)
    if deployment is not None:
        return deployment.spec.replicas
    if pod.controller:
        key = key_of(pod.controller)
        found = draft.object(key) if key.resource == "statefulsets.apps" else None
        return None if found is None else int(found["spec"].get("replicas", 1))
    replica_set = draft.replica_sets.get(pod.replica_set)
    return None if replica_set is None else int(replica_set.manifest["spec"].get("replicas", 1))


def _budget_conditions(draft: Draft, budget: Document, allowed: int) -> list[Document]:
    wanted = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "observedGeneration": budget["metadata"].get("generation", 1),
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    before = ((budget.get("status") or {}).get("conditions") or [{}])[0]
    same = before.get("status") == wanted["status"]
    moment = before["lastTransitionTime"] if same else timestamp(draft.now)
    return [{**wanted, "lastTransitionTime": moment}]


# Services


def _follow_service(draft: Draft, namespace: str, service: Document) -> None:
    selector = (service.get("spec") or {}).get("selector")
    if not selector:
        return
    pods = [
        p
        for p in draft.pods_within(namespace)
        if p.address and p.node is not None and not p.over and chosen_by(selector, p.meta.labels)
    ]
    pods.sort(key=lambda p: p.address)
    _put_derived(
        draft,
        ObjectKey("endpoints", namespace, service["metadata"]["name"]),
        _endpoints(draft, service, pods),
    )
    name = f"{service['metadata']['name']}-{name_suffix(5, draft.seed, service['metadata']['uid'])}"
    _put_derived(draft, ObjectKey(SLICES, namespace, name), _slice(draft, service, pods))


def _put_derived(draft: Draft, key: ObjectKey, made: Document) -> None:
    """Store `made` when its content differs from what is there."""
    found = draft.object(key)
    if found is None:
        identity = draft.identity(key)
        draft.put_object(key, {**made, "metadata": {**identity, **made["metadata"]}}, followed=False)
        return
    if any(found.get(part) != made.get(part) for part in ("subsets", "endpoints", "ports")):
        metadata = {**found["metadata"], **made["metadata"]}
        draft.put_object(key, {**found, **made, "metadata": metadata}, followed=False)


def _endpoints(draft: Draft, service: Document, pods: list[Pod]) -> Document:
    document: Document = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"labels": dict(service["metadata"].get("labels") or {})},
    }
    ready = [_address(draft, p) for p in pods if p.serving]
    idle = [_address(draft, p) for p in pods if not p.serving]
    if pods:
        subset: Document = {"ports": _ports(draft, service, pods)}
        subset |= {key: value for key, value in (("addresses", ready), ("notReadyAddresses", idle)) if value}
        document["subsets"] = [subset]
    return document


def _address(draft: Draft, pod: Pod) -> Document:
    return {"ip": pod_address(pod.address), "nodeName": pod.node, "targetRef": _reference(pod)}


def _reference(pod: Pod) -> Document:
    return {"kind": "Pod", "namespace": pod.meta.namespace, "name": pod.meta.name, "uid": pod.meta.uid}


def _ports(draft: Draft, service: Document, pods: list[Pod]) -> list[Document]:
    """The service's ports with the pods' numbers; a named port is looked up in the first pod."""
    spec = draft.manifest_of(pods[0])["spec"] if pods else {}
    made = []
    for port in service["spec"].get("ports") or ():
        name = {"name": port["name"]} if port.get("name") else {}
        number = _number(port.get("targetPort", port.get("port")), port, spec)
        made.append({**name, "port": number, "protocol": port.get("protocol", "TCP")})
    return made


def _number(target: Any, port: Manifest, spec: Manifest) -> int:
    if isinstance(target, int):
        return target
    for container in spec.get("containers") or ():
        for found in container.get("ports") or ():
            if found.get("name") == target:
                return int(found["containerPort"])
    return int(port["port"])


def _slice(draft: Draft, service: Document, pods: list[Pod]) -> Document:
    name = service["metadata"]["name"]
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": name,
        "uid": service["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {**(service["metadata"].get("labels") or {}), _SERVICE_LABEL: name}
    labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"labels": labels, "ownerReferences": [owner]},
        "addressType": "IPv4",
        "endpoints": [_endpoint(p) for p in pods],
        # A slice names every port, if only by nothing: kubectl's `describe` relies on it.
        "ports": [{"name": "", **port} for port in _ports(draft, service, pods)],
    }


def _endpoint(pod: Pod) -> Document:
    return {
        "addresses": [pod_address(pod.address)],
        "conditions": {"ready": pod.serving, "serving": pod.serving, "terminating": False},
        "targetRef": _reference(pod),
        "nodeName": pod.node,
    }
