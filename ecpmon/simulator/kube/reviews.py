"""Access reviews: `kubectl auth can-i`, `whoami`, and what other components ask about tokens and users; pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ecpmon.kube.authorization import ALL, Attributes, Decision, Rule, User, rules_of
from ecpmon.kube.causes import Cause, Document, required
from ecpmon.kube.causes import invalid as invalid_value
from ecpmon.simulator.kube import policy
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import bad_request, invalid
from ecpmon.simulator.kube.token_requests import reviewed
from ecpmon.simulator.model.state import ClusterState

_RESOURCE: Final = ("namespace", "verb", "group", "resource", "subresource", "name")


def review(state: ClusterState, target: Target, body: Document, user: User) -> Document:
    """The answer to a review by `user`. ApiError 400 for another kind or form, 422 for one that asks nothing."""
    resource = target.resource
    if body.get("kind", resource.kind) != resource.kind:
        raise bad_request(f"the kind in the data does not match the expected kind ({resource.kind})")
    spec = body.get("spec") or {}
    metadata = body.get("metadata") or {}
    if not isinstance(spec, dict) or not isinstance(metadata, dict):
        raise bad_request("metadata and spec must be objects")
    status = _ANSWERS[resource.kind](state, target, spec, user)
    kept = {"spec": spec} if "spec" in body or resource.kind != "SelfSubjectReview" else {}
    identity = {"kind": resource.kind, "apiVersion": resource.api_version}
    return {**identity, "metadata": {"creationTimestamp": None, **metadata}, **kept, "status": status}


def _own_access(state: ClusterState, target: Target, spec: Document, user: User) -> Document:
    return _decided(state, user, _asked(target, spec))


def _access(state: ClusterState, target: Target, spec: Document, _: User) -> Document:
    """Of somebody else."""
    groups = spec.get("groups") or []
    if not isinstance(groups, list):
        raise bad_request("spec.groups must be a list")
    if not spec.get("user") and not groups:
        why = "at least one of user or group must be specified"
        raise _invalid(target, [required("spec.user", why)])
    other = User(str(spec.get("user") or ""), tuple(map(str, groups)), str(spec.get("uid") or ""))
    asked = _asked(target, spec)
    if target.namespace and asked.namespace != target.namespace:
        why = f"must match metadata.namespace: {target.namespace}"
        raise _invalid(target, [invalid_value("spec.resourceAttributes.namespace", asked.namespace, why)])
    return _decided(state, other, asked)


def _decided(state: ClusterState, user: User, asked: Attributes) -> Document:
    decision: Decision = policy.decide(state, user, asked)
    return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}


def _asked(target: Target, spec: Document) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (other is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid(target, [invalid_value("spec.resourceAttributes", resource, why)])
    found: Any = resource if other is None else other
    if not isinstance(found, dict) or any(not isinstance(found.get(key, ""), str) for key in _RESOURCE):
        raise bad_request("the attributes of a review are strings")
    if other is not None:
        return Attributes(str(found.get("verb", "")), path=str(found.get("path", "")))
    # Without a resource it would be a question about a path.
    return Attributes(
        **{key: found.get(key, "") for key in _RESOURCE} | {"resource": found.get("resource") or ALL}
    )


def _invalid(target: Target, causes: list[Cause]) -> Exception:
    return invalid(target.resource.kind, target.resource.group, "", causes)


def _own_rules(state: ClusterState, target: Target, spec: Document, user: User) -> Document:
    namespace = spec.get("namespace")
    if not namespace or not isinstance(namespace, str):
        raise bad_request("no namespace on request")
    if user.all_powerful:
        rules: list[Rule] = [
            {"verbs": [ALL], "apiGroups": [ALL], "resources": [ALL]}, {"verbs": [ALL], "nonResourceURLs": [ALL]}
        ]  # fmt: skip
    else:
        rules = rules_of(policy.StatePolicy(state), user, namespace)
    keys = ("verbs", "apiGroups", "resources", "resourceNames")
    return {
        "resourceRules": [{k: r[k] for k in keys if r.get(k)} for r in rules if r.get("resources")],
        "nonResourceRules": [
            {k: r[k] for k in ("verbs", "nonResourceURLs")} for r in rules if r.get("nonResourceURLs")
        ],
        "incomplete": False,
    }


def _self(_: ClusterState, __: Target, ___: Document, user: User) -> Document:
    return {"userInfo": policy.as_user_info(user)}


def _token(state: ClusterState, _: Target, spec: Document, __: User) -> Document:
    return reviewed(state, {"spec": spec})


_ANSWERS: Final[dict[str, Callable[[ClusterState, Target, Document, User], Document]]] = {
    "LocalSubjectAccessReview": _access,
    "SelfSubjectAccessReview": _own_access,
    "SelfSubjectReview": _self,
    "SelfSubjectRulesReview": _own_rules,
    "SubjectAccessReview": _access,
    "TokenReview": _token,
}
