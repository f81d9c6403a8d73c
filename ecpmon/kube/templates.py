"""Pod templates wherever they occur: in workloads of Kubernetes, and in custom resources that hold one.

Invariants
- Whatever the group, a mapping with `containers` that name images makes pods: nobody's are left uncounted. So does,
  in custom resources, one with `resources`, of whose pods nothing else is known.
- Paths are dotted, from the object's root, and lead to the pod's spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.kube.shapes import group_of, items, mapping, whole

NATIVE_GROUPS: Final = frozenset({
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
    "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
    "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "extensions", "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
    "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io",
})  # fmt: skip
LONG_RUNNING: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"}
)
_TEMPLATED: Final = LONG_RUNNING | {"Job"}
# How custom resources name the number of their pods, in the order in which they are believed.
_COUNTS: Final = ("replicas", "instances", "minReplicas", "minReplicaCount", "parallelism", "count")
_PARTS: Final = ("initContainers", "containers", "ephemeralContainers", "sidecars")


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """One template and the pods made of it.

    `unseen`: only requests and limits are stated, and an operator makes the rest of the pod.
    `path` leads to its spec, `pods` is how many the object asks for (a DaemonSet: on each node), `long` whether
    they run until somebody ends them. `claims` are the volume claims that come with each pod.
    """

    path: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    pods: int
    long: bool = False
    per_node: bool = False
    claims: tuple[dict[str, Any], ...] = ()
    unseen: bool = False

    @property
    def labels(self) -> dict[str, Any]:
        return mapping(self.metadata.get("labels"))

    def size(self) -> int:
        """How many containers there are at most."""
        return sum(len(items(self.spec.get(part))) for part in _PARTS) + 2

    def containers(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(`containers`, `initContainers` …, path, container) of each."""
        for part in _PARTS:
            for number, container in enumerate(items(self.spec.get(part))):
                yield part, f"{self.path}.{part}.{number}", mapping(container)
        for part in ("container", "script"):  # the only one, as workflows write it
            if isinstance(self.spec.get(part), dict):
                yield "containers", f"{self.path}.{part}", self.spec[part]


def pod_templates(body: dict[str, Any]) -> list[PodTemplate]:
    """Every template of an object, none for most kinds."""
    kind, group = str(body.get("kind", "")), group_of(body)
    if group not in NATIVE_GROUPS:
        return list(_custom(body))
    spec = mapping(body.get("spec"))
    if kind == "Pod":
        return [PodTemplate("spec", mapping(body.get("metadata")), spec, 1)]
    if kind == "PodTemplate":
        return [_from("template", mapping(body.get("template")), 0)]
    if kind == "CronJob":
        return [_cron(spec)]
    if kind not in _TEMPLATED:
        return []
    return [_of_workload(kind, spec)]


def _from(path: str, template: dict[str, Any], pods: int, **more: Any) -> PodTemplate:
    metadata = mapping(template.get("metadata"))
    return PodTemplate(f"{path}.spec", metadata, mapping(template.get("spec")), pods, **more)


def _of_workload(kind: str, spec: dict[str, Any]) -> PodTemplate:
    template = mapping(spec.get("template"))
    if kind == "Job":
        return _from("spec.template", template, _parallel(spec))
    if kind == "DaemonSet":
        return _from("spec.template", template, 1, long=True, per_node=True)
    claims = tuple(mapping(c) for c in items(spec.get("volumeClaimTemplates")))
    pods = whole(spec.get("replicas"), 1)
    return _from("spec.template", template, pods, long=True, claims=claims if kind == "StatefulSet" else ())


def _parallel(spec: dict[str, Any]) -> int:
    """The pods of a job that run at once."""
    if spec.get("suspend") is True:
        return 0
    parallel = whole(spec.get("parallelism"), 1)
    return min(parallel, whole(spec.get("completions"), parallel))


def _cron(spec: dict[str, Any]) -> PodTemplate:
    job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    pods = 0 if spec.get("suspend") is True else _parallel(job)
    return _from("spec.jobTemplate.spec.template", mapping(job.get("template")), pods)


def _custom(body: dict[str, Any]) -> Iterator[PodTemplate]:
    """Breadth first: (path, node, metadata of the template it is the spec of, pods)."""
    waiting: list[tuple[str, Any, dict[str, Any], int]] = [
        (key, value, {}, 1) for key, value in body.items() if key not in ("metadata", "status")
    ]
    for path, node, metadata, pods in waiting:
        if isinstance(node, list):
            waiting += [(f"{path}.{n}", child, {}, pods) for n, child in enumerate(node) if child]
        elif isinstance(node, dict):
            count = _count(node, pods)
            if _makes_pods(node):
                yield PodTemplate(path, metadata, node, count)
                continue
            if _has_needs(node):
                alone = {"containers": [{"resources": node["resources"]}]}
                yield PodTemplate(path, {}, alone, count, unseen=True)
            own = mapping(node.get("metadata"))
            waiting += [
                (f"{path}.{key}", child, own if key == "spec" else {}, count)
                for key, child in node.items()
                if isinstance(child, (dict, list)) and child
            ]


def _count(node: dict[str, Any], above: int) -> int:
    return next((node[name] for name in _COUNTS if whole(node.get(name), -1) >= 0), above)


def _has_needs(node: dict[str, Any]) -> bool:
    """Requests or limits of pods that an operator makes, as databases and brokers state them."""
    resources = mapping(node.get("resources"))
    return any(resources.get(side) and isinstance(resources[side], dict) for side in ("requests", "limits"))


def _makes_pods(node: dict[str, Any]) -> bool:
    if any(isinstance(mapping(node.get(part)).get("image"), str) for part in ("container", "script")):
        return True
    containers = items(node.get("containers"))
    return any(isinstance(c, dict) and ("image" in c or "name" in c) for c in containers)
