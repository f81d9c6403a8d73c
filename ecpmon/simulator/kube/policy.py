"""What a user may do in the simulated cluster, and the refusals in the real server's words; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from ecpmon.kube import authorization
from ecpmon.kube.authorization import ALL, Attributes, Decision, User, authorize, escalation
from ecpmon.kube.rbac import GROUP
from ecpmon.simulator.kube.status import ApiError, Document, forbidden, not_found
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.kube import ObjectKey
from ecpmon.simulator.model.state import ClusterState

T = TypeVar("T")
Change = Callable[[ClusterState], tuple[ClusterState, T]]
_VERBS: Final = {
    "POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
}  # fmt: skip
_OF_NAMESPACES: Final = ("status", "finalize")
_TRUE: Final = ("1", "t", "true")
_ROLES: Final = {"Role": f"roles.{GROUP}", "ClusterRole": f"clusterroles.{GROUP}"}
_BINDINGS: Final = (f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}")
_EVERYTHING: Final = (
    {"apiGroups": [ALL], "resources": [ALL], "verbs": [ALL]},
    {"nonResourceURLs": [ALL], "verbs": [ALL]},
)


class StatePolicy:
    """The roles and bindings that a state holds."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def bindings(self, namespace: str) -> Iterable[Document]:
        return cluster.items(self._state, _BINDINGS[0 if namespace else 1], namespace)

    def role(self, kind: str, namespace: str, name: str) -> Document | None:
        if kind not in _ROLES:
            return None
        space = namespace if kind == "Role" else ""
        return cluster.get(self._state, ObjectKey(_ROLES[kind], space, name))


def attributes_of(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    """What a request asks for, as the real server reads its path, whether anything is served there or not."""
    verb, parts = _VERBS.get(method, method.lower()), [part for part in path.split("/") if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis") or (parts[0] == "apis" and len(parts) < 4):
        return Attributes(method.lower(), path=path)
    group, parts = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if parts[0] == "watch" and len(parts) > 1:
        verb, parts = "watch", parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _OF_NAMESPACES:
            parts = parts[2:]
    name = parts[1] if len(parts) > 1 else ""
    if not name and verb in ("get", "delete"):
        watches = query.get("watch", "").lower() in _TRUE
        verb = "deletecollection" if verb == "delete" else "watch" if watches else "list"
    if not name and verb in ("list", "watch", "deletecollection"):
        name = _named(query.get("fieldSelector", ""))
    return Attributes(verb, group, parts[0], parts[2] if len(parts) > 2 else "", name, namespace)


def _named(selector: str) -> str:
    """The name that a field selector asks for, if it asks for one."""
    for part in selector.split(","):
        key, _, value = part.partition("=")
        if key.strip() == "metadata.name":
            return value.lstrip("=").strip()
    return ""


def refuse(user: User, asked: Attributes, reason: str = "") -> ApiError:
    """403 as the real server says it."""
    if not asked.resource:
        what = f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    else:
        where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        what = (
            f'User "{user.name}" cannot {asked.verb} resource "{asked.combined}" in API group '
            f'"{asked.group}" {where}'
        )
    return forbidden(asked.resource, asked.group, asked.name, f"{what}: {reason}" if reason else what)


def decide(state: ClusterState, user: User, asked: Attributes) -> Decision:
    return authorize(StatePolicy(state), user, asked)


def check(state: ClusterState, user: User, asked: Attributes) -> None:
    """ApiError 403 when the user may not."""
    decision = decide(state, user, asked)
    if not decision.allowed:
        raise refuse(user, asked, decision.reason)


def guarded(change: Change[T], user: User, asked: Attributes) -> Change[T]:
    """`change`, refused when it makes what the user may not make: an object by server-side apply, or a role or
    binding that grants more than they hold."""
    if user.all_powerful:
        return change

    def tried(state: ClusterState) -> tuple[ClusterState, T]:
        after, answer = change(state)
        if after is not state:
            _check_made(state, after, user, asked)
        return after, answer

    return tried


def _check_made(before: ClusterState, after: ClusterState, user: User, asked: Attributes) -> None:
    resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    for found in cluster.changes(before, after):
        own = found.key.resource == resource and found.key.name == asked.name
        if own and found.kind == "ADDED" and asked.verb == "patch":
            check(before, user, replace(asked, verb="create"))
        if found.kind != "DELETED" and (own or found.kind == "ADDED"):
            _check_granted(before, found.key, found.document, user)


def _check_granted(state: ClusterState, key: ObjectKey, document: Document, user: User) -> None:
    old = cluster.get(state, key)
    if key.resource in _ROLES.values():
        if old is None or _differ(old, document, "rules", "aggregationRule"):
            _check_rules(state, key, document, user)
    elif key.resource in _BINDINGS and (old is None or _differ(old, document, "roleRef", "subjects")):
        _check_binding(state, key, document, user)


def _differ(old: Document, new: Document, *keys: str) -> bool:
    return any((old.get(key) or None) != (new.get(key) or None) for key in keys)


def _check_rules(state: ClusterState, key: ObjectKey, role: Document, user: User) -> None:
    plural = key.resource.partition(".")[0]
    asked = Attributes("escalate", GROUP, plural, "", key.name, key.namespace)
    if decide(state, user, asked).allowed:
        return
    if role.get("aggregationRule") and escalation(StatePolicy(state), user, key.namespace, _EVERYTHING):
        why = "must have cluster-admin privileges to use an aggregationRule"
        raise forbidden(plural, GROUP, key.name, why)
    _refuse_escalation(state, key, user, role.get("rules") or ())


def _check_binding(state: ClusterState, key: ObjectKey, binding: Document, user: User) -> None:
    role = binding.get("roleRef") or {}
    kind, name = str(role.get("kind", "")), str(role.get("name", ""))
    asked = Attributes("bind", GROUP, f"{kind.lower()}s", "", name, key.namespace)
    if decide(state, user, asked).allowed:
        return
    found = StatePolicy(state).role(kind, key.namespace, name)
    if found is None:
        raise not_found(f"{kind.lower()}s", GROUP, name)
    _refuse_escalation(state, key, user, found.get("rules") or ())


def _refuse_escalation(
    state: ClusterState, key: ObjectKey, user: User, rules: Iterable[authorization.Rule]
) -> None:
    why = escalation(StatePolicy(state), user, key.namespace, rules)
    if why:
        raise forbidden(key.resource.partition(".")[0], GROUP, key.name, why)


def as_user_info(user: User) -> dict[str, Any]:
    """`UserInfo` of reviews."""
    found: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        found["uid"] = user.uid
    if user.extra:
        found["extra"] = user.extra
    return found
