"""Which resources this API serves, and with which verbs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

CORE_VERBS: Final = (
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
)  # fmt: skip
READ_VERBS: Final = ("get", "list")
CREATE_ONLY: Final = ("create",)
SUB_VERBS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object. `group`, `version`, `kind` name what it speaks, where that is another kind."""

    name: str
    verbs: tuple[str, ...] = SUB_VERBS
    kind: str = ""
    group: str = ""
    version: str = ""


STATUS: Final = Subresource("status")
SCALE: Final = Subresource("scale", kind="Scale", group="autoscaling", version="v1")
LOG: Final = Subresource("log", ("get",))
TOKEN: Final = Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1")
EVICTION: Final = Subresource("eviction", ("create",), "Eviction", "policy", "v1")
# Only the path that a scrape needs is answered; everything else behind it is 404, as with a silent pod.
RESIZE: Final = Subresource("resize")
PROXY: Final = Subresource("proxy", ("get",), "PodProxyOptions", "", "v1")
NODE_PROXY: Final = Subresource("proxy", ("get",), "NodeProxyOptions", "", "v1")
SERVICE_PROXY: Final = Subresource("proxy", ("get",), "ServiceProxyOptions", "", "v1")


@dataclass(frozen=True, slots=True)
class Custom:
    """What a CustomResourceDefinition says of a version of its kind. `identity` stands for all the rest.

    `schema` is its own, `node` the same with the fields that every object has; `ending`: nothing new is taken.
    """

    identity: str
    singular: str
    list_kind: str
    ending: bool
    schema: dict[str, Any] = field(compare=False)
    node: dict[str, Any] = field(compare=False)
    columns: tuple[Any, ...] = field(compare=False)
    scale: dict[str, str] = field(compare=False)
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API names it. `schemaless` kinds are what a CRD would have defined, or has."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CORE_VERBS
    schemaless: bool = False
    custom: Custom | None = None

    @property
    def name(self) -> str:
        """`plural[.group]`: how the cluster model calls the collection."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.custom.singular if self.custom else self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.custom.list_kind if self.custom else f"{self.kind}List"

    @property
    def has_status(self) -> bool:
        return STATUS in self.subresources

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


_ALL = ("all",)
_S = (STATUS,)
_SS = (STATUS, SCALE)

RESOURCES: Final[tuple[Resource, ...]] = (
    Resource("", "v1", "ConfigMap", "configmaps", short_names=("cm",)),
    Resource("", "v1", "Endpoints", "endpoints", short_names=("ep",)),
    Resource("", "v1", "Event", "events", short_names=("ev",)),
    Resource("", "v1", "LimitRange", "limitranges", short_names=("limits",)),
    Resource("", "v1", "Namespace", "namespaces", False, ("ns",), _S),
    Resource("", "v1", "Node", "nodes", False, ("no",), (STATUS, NODE_PROXY)),
    Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ("pvc",), _S),
    Resource("", "v1", "PersistentVolume", "persistentvolumes", False, ("pv",), _S),
    Resource("", "v1", "Pod", "pods", True, ("po",), (STATUS, LOG, EVICTION, PROXY, RESIZE), _ALL),
    # Stored only; `kubectl apply --prune` asks for it and fails where there is none.
    Resource("", "v1", "ReplicationController", "replicationcontrollers", True, ("rc",), _S, _ALL),
    Resource("", "v1", "ResourceQuota", "resourcequotas", True, ("quota",), _S),
    Resource("", "v1", "Secret", "secrets"),
    Resource("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), (TOKEN,)),
    Resource("", "v1", "Service", "services", True, ("svc",), (STATUS, SERVICE_PROXY), _ALL),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        False,
        ("crd", "crds"),
        _S,
        ("api-extensions",),
    ),
    # Made and read, and written by nobody: what its data looks like is the controllers' own business.
    Resource("apps", "v1", "ControllerRevision", "controllerrevisions", schemaless=True),
    Resource("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), _S, _ALL),
    Resource("apps", "v1", "Deployment", "deployments", True, ("deploy",), _SS, _ALL),
    Resource("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), _SS, _ALL),
    Resource("apps", "v1", "StatefulSet", "statefulsets", True, ("sts",), _SS, _ALL),
    Resource(
        "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ("hpa",), _S, _ALL
    ),
    Resource("batch", "v1", "CronJob", "cronjobs", True, ("cj",), _S, _ALL),
    Resource("batch", "v1", "Job", "jobs", True, (), _S, _ALL),
    Resource("coordination.k8s.io", "v1", "Lease", "leases"),
    Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False),
    Resource("networking.k8s.io", "v1", "Ingress", "ingresses", True, ("ing",), _S),
    Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",)),
    Resource("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", False),
    Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), _S),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
    Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Resource("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False, ("pc",)),
    Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", False, ("sc",)),
    Resource("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors", True, ("pmon",), schemaless=True),
    Resource(
        "monitoring.coreos.com",
        "v1",
        "PrometheusRule",
        "prometheusrules",
        True,
        ("promrule",),
        schemaless=True,
    ),
    Resource(
        "monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", True, ("smon",), schemaless=True
    ),
    Resource(
        "argoproj.io", "v1alpha1", "Application", "applications", True, ("app", "apps"), schemaless=True
    ),
    Resource("argoproj.io", "v1alpha1", "AppProject", "appprojects", True, ("appproj",), schemaless=True),
)

# Answered without being stored: reviews and measurements.
VIRTUAL: Final[tuple[Resource, ...]] = (
    Resource("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", False, verbs=READ_VERBS, schemaless=True),
    Resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", True, verbs=READ_VERBS, schemaless=True),
    Resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False,
             verbs=CREATE_ONLY),
    Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False, verbs=CREATE_ONLY),
    Resource("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews",
             verbs=CREATE_ONLY),
    Resource("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False,
             verbs=CREATE_ONLY),
    Resource("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False,
             verbs=CREATE_ONLY),
    Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False,
             verbs=CREATE_ONLY),
)  # fmt: skip


_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def _priority(version: str) -> tuple[int, int, int, str]:
    """Versions in the order in which Kubernetes prefers them: v2, v1, v1beta1, v1alpha1, then others by name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return 3, 0, 0, version
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return stage, -int(found[1]), -int(found[3] or 0), ""


class Catalogue:
    """Look-ups over a set of resources."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.all = tuple(resources)
        self._by_path = {(r.group, r.version, r.plural): r for r in self.all}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def groups(self) -> list[str]:
        """Group names in the order of discovery, the core group ("") first."""
        return list(dict.fromkeys(r.group for r in self.all))

    def versions(self, group: str) -> list[str]:
        return sorted({r.version for r in self.all if r.group == group}, key=_priority)

    def resources(self, group: str, version: str) -> list[Resource]:
        return [r for r in self.all if (r.group, r.version) == (group, version)]

    def extended(self, more: Iterable[Resource]) -> Catalogue:
        """With `more`, which take the place of what has the same name."""
        added = tuple(more)
        names = {resource.name for resource in added}
        return Catalogue((*(r for r in self.all if r.name not in names), *added))


CATALOGUE: Final = Catalogue((*RESOURCES, *VIRTUAL))
