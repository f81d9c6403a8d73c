"""The roles and bindings that an API server makes by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ecpmon.kube.rbac import GROUP
from ecpmon.simulator.model.aggregation import ROLES, Rules, aggregate
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish

BINDINGS: Final = f"clusterrolebindings.{GROUP}"
_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_UPDATED: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"

_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")
_BOTH: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def _rule(verbs: Iterable[str], group: str, *resources: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _urls(*paths: str) -> Rules:
    return [{"nonResourceURLs": list(paths), "verbs": ["get"]}]


_VIEW: Final[Rules] = [
    _rule(
        _READ, "", "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
        "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status",
    ),
    _rule(
        _READ, "", "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status",
        "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
    ),
    _rule(_READ, "", "namespaces"),
    _rule(_READ, "discovery.k8s.io", "endpointslices"),
    _rule(
        _READ, "apps", "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
        "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
        "statefulsets/scale", "statefulsets/status",
    ),
    _rule(_READ, "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
    _rule(_READ, "batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
    _rule(_READ, "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
    _rule(_READ, "networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
]  # fmt: skip
_EDIT: Final[Rules] = [
    _rule(_READ, "", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"),
    _rule(("impersonate",), "", "serviceaccounts"),
    _rule(_WRITE, "", "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
    _rule(("create",), "", "pods/eviction"),
    _rule(
        _WRITE, "", "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers",
        "replicationcontrollers/scale", "secrets", "serviceaccounts", "services", "services/proxy",
    ),
    _rule(("create",), "", "serviceaccounts/token"),
    _rule(
        _WRITE, "apps", "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets",
        "replicasets/scale", "statefulsets", "statefulsets/scale",
    ),
    _rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    _rule(_WRITE, "batch", "cronjobs", "jobs"),
    _rule(_WRITE, "policy", "poddisruptionbudgets"),
    _rule(_WRITE, "networking.k8s.io", "ingresses", "networkpolicies"),
    _rule(_BOTH, "coordination.k8s.io", "leases"),
]  # fmt: skip
_ADMIN: Final[Rules] = [
    _rule(("create",), "authorization.k8s.io", "localsubjectaccessreviews"),
    _rule(_BOTH, GROUP, "roles", "rolebindings"),
]
# Name, what it adds its rules to, its own rules, what it collects.
_CLUSTER_ROLES: Final[tuple[tuple[str, tuple[str, ...], Rules, str], ...]] = (
    ("cluster-admin", (), [_rule("*", "*", "*"), {"nonResourceURLs": ["*"], "verbs": ["*"]}], ""),
    ("admin", (), [], "admin"),
    ("edit", ("admin",), [], "edit"),
    ("view", ("edit",), [], "view"),
    ("system:aggregate-to-admin", ("admin",), _ADMIN, ""),
    ("system:aggregate-to-edit", ("edit",), _EDIT, ""),
    ("system:aggregate-to-view", ("view",), _VIEW, ""),
    # What the metrics of this cluster would bring along.
    ("system:aggregated-metrics-reader", ("view",), [_rule(_READ, "metrics.k8s.io", "pods", "nodes")], ""),
    (
        "system:auth-delegator",
        (),
        [
            _rule(("create",), "authentication.k8s.io", "tokenreviews"),
            _rule(("create",), "authorization.k8s.io", "subjectaccessreviews"),
        ],
        "",
    ),
    (
        "system:basic-user",
        (),
        [
            _rule(
                ("create",), "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"
            ),
            _rule(("create",), "authentication.k8s.io", "selfsubjectreviews"),
        ],
        "",
    ),
    (
        "system:discovery",
        (),
        _urls(
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
            "/version", "/version/",
        ),
        "",
    ),
    ("system:public-info-viewer", (), _urls("/healthz", "/livez", "/readyz", "/version", "/version/"), ""),
    (
        "system:service-account-issuer-discovery",
        (),
        _urls("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks",
              "/openid/v1/jwks/"),
        "",
    ),
)  # fmt: skip
_BOUND: Final = (
    ("cluster-admin", ("system:masters",)),
    ("system:basic-user", ("system:authenticated",)),
    ("system:discovery", ("system:authenticated",)),
    ("system:public-info-viewer", ("system:authenticated", "system:unauthenticated")),
    ("system:service-account-issuer-discovery", ("system:serviceaccounts",)),
)


def with_default_roles(state: ClusterState) -> ClusterState:
    """The state with the roles and bindings that it lacks, as an API server makes them when it starts."""
    draft = Draft(state)
    for key, document in _defaults():
        if draft.object(key) is None:
            metadata = {**draft.identity(key), **document["metadata"]}
            draft.put_object(key, {**document, "metadata": metadata})
    if draft.revision == state.revision:
        return state
    aggregate(draft)
    return finish(draft)


def _defaults() -> Iterator[tuple[ObjectKey, Document]]:
    for name, targets, rules, collects in _CLUSTER_ROLES:
        labels = {**_LABELS, **{f"{_AGGREGATE}{target}": "true" for target in targets}}
        body: Document = {"rules": rules}
        if collects:
            selector = {"matchLabels": {f"{_AGGREGATE}{collects}": "true"}}
            body["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        yield ObjectKey(ROLES, "", name), _document("ClusterRole", labels, body)
    for name, groups in _BOUND:
        body = {
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups],
        }
        yield ObjectKey(BINDINGS, "", name), _document("ClusterRoleBinding", _LABELS, body)


def _document(kind: str, labels: dict[str, str], body: Document) -> Document:
    metadata = {"labels": dict(labels), "annotations": dict(_UPDATED)}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, **body}
