"""Roles: what a rule allows, who is bound to it, and what may be granted on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.kube.authorization import (
    Attributes,
    User,
    account_groups,
    account_name,
    allows,
    authorize,
    escalation,
    missing,
    rules_of,
    spelled,
)

Document = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> Document:
    made: Document = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**made, **({"resourceNames": names.split()} if names else {})}


READS = rule("get list", "pods pods/log")
ACCOUNT = {"kind": "ServiceAccount", "name": "bot", "namespace": "shop"}
BOT = User(account_name("shop", "bot"), account_groups("shop"))


class Held:
    """Roles and bindings as a cluster holds them."""

    def __init__(self) -> None:
        self.roles: dict[tuple[str, str, str], Document] = {}
        self.made: list[Document] = []

    def bind(
        self, subject: Document, *rules: Document, namespace: str = "", role: str = "ClusterRole"
    ) -> Held:
        name = f"r{len(self.made)}"
        self.roles[role, namespace if role == "Role" else "", name] = {"rules": list(rules)}
        metadata = {"name": f"b{len(self.made)}", **({"namespace": namespace} if namespace else {})}
        reference = {"apiGroup": GROUP, "kind": role, "name": name}
        self.made.append({"metadata": metadata, "subjects": [subject], "roleRef": reference})
        return self

    def bindings(self, namespace: str) -> Iterable[Document]:
        return [b for b in self.made if b["metadata"].get("namespace", "") == namespace]

    def role(self, kind: str, namespace: str, name: str) -> Document | None:
        return self.roles.get((kind, namespace if kind == "Role" else "", name))


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (READS, Attributes("get", "", "pods", "", "a", "shop"), True),
        (READS, Attributes("get", "", "pods", "log", "a", "shop"), True),
        (READS, Attributes("get", "", "pods", "exec", "a", "shop"), False),
        (READS, Attributes("delete", "", "pods", "", "a", "shop"), False),
        (READS, Attributes("get", "apps", "pods", "", "a", "shop"), False),
        (rule("*", "*", "*"), Attributes("escalate", "x", "y", "z", "a", "shop"), True),
        (rule("get", "*"), Attributes("get", "", "pods", "log", "a", "shop"), True),
        (rule("update", "*/scale", "apps"), Attributes("update", "apps", "deployments", "scale", "a"), True),
        (rule("update", "*/scale", "apps"), Attributes("update", "apps", "deployments", "", "a"), False),
        (rule("get", "pods", "", "one"), Attributes("get", "", "pods", "", "one"), True),
        (rule("get", "pods", "", "one"), Attributes("get", "", "pods", "", "two"), False),
        (rule("create", "pods", "", "one"), Attributes("create", "", "pods"), False),
        (rule("list", "pods", "", "one"), Attributes("list", "", "pods"), False),
        (rule("get", "pods"), Attributes("get", path="/version"), False),
        ({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, Attributes("get", path="/api/v1"), True),
        ({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, Attributes("get", path="/apis"), False),
        ({"nonResourceURLs": ["/api"], "verbs": ["get"]}, Attributes("get", path="/api/v1"), False),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, Attributes("post", path="/api"), False),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, Attributes("get", "", "pods"), False),
    ],
)
def test_a_rule_allows_what_it_names_and_nothing_else(
    held: Document, asked: Attributes, expected: bool
) -> None:
    assert allows(held, asked) is expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (ACCOUNT, True),
        ({**ACCOUNT, "namespace": "other"}, False),
        ({"kind": "User", "name": "system:serviceaccount:shop:bot"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:shop"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, False),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "User", "name": "bot"}, False),
    ],
)
def test_users_groups_and_accounts_are_bound(subject: Document, expected: bool) -> None:
    policy = Held().bind(subject, READS)
    assert authorize(policy, BOT, Attributes("get", "", "pods", "", "a", "shop")).allowed is expected


def test_a_role_binding_reaches_as_far_as_its_namespace() -> None:
    policy = Held().bind(ACCOUNT, READS, namespace="shop")
    allowed = authorize(policy, BOT, Attributes("get", "", "pods", "", "a", "shop"))
    assert allowed.reason == (
        'RBAC: allowed by RoleBinding "b0/shop" of ClusterRole "r0" to ServiceAccount "bot/shop"'
    )
    for namespace in ("other", ""):
        assert not authorize(policy, BOT, Attributes("get", "", "pods", "", "a", namespace)).allowed
    assert rules_of(policy, BOT, "shop") == [READS]
    assert rules_of(policy, BOT, "other") == []


def test_a_role_that_is_bound_and_missing_is_the_reason() -> None:
    policy = Held().bind(ACCOUNT, READS, namespace="shop", role="Role")
    policy.roles.clear()
    refused = authorize(policy, BOT, Attributes("get", "", "pods", "", "a", "shop"))
    assert (refused.allowed, refused.reason) == (False, f'RBAC: role.{GROUP} "r0" not found')


def test_the_administrators_group_needs_no_role() -> None:
    root = User("root", ("system:masters",))
    assert authorize(Held(), root, Attributes("delete", "", "nodes", "", "a")).allowed
    assert escalation(Held(), root, "", [rule("*", "*", "*")]) == ""


def test_what_is_granted_must_be_held() -> None:
    policy = Held().bind(ACCOUNT, READS, rule("*", "configmaps"), namespace="shop")
    assert escalation(policy, BOT, "shop", [READS, rule("get delete", "configmaps")]) == ""
    why = escalation(
        policy, BOT, "shop", [rule("get delete update", "pods"), rule("get", "secrets", "", "a")]
    )
    assert why == (
        'user "system:serviceaccount:shop:bot" (groups=["system:serviceaccounts" "system:serviceaccounts:shop" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "update"]}\n'
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}'
    )


def test_a_rule_for_some_names_does_not_cover_all_of_them() -> None:
    named = rule("get", "pods", "", "one two")
    assert missing([named], [rule("get", "pods", "", "one")]) == []
    assert missing([named], [rule("get", "pods")]) == [rule("get", "pods")]
    assert missing([rule("get", "pods")], [named]) == []
    assert missing([rule("get", "*/log")], [rule("get", "pods/log")]) == []
    assert spelled({"nonResourceURLs": ["/a"], "verbs": ["get"]}) == '{NonResourceURLs:["/a"], Verbs:["get"]}'


def _lists(words: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words.split()), min_size=1, max_size=3, unique=True)


RULES = st.builds(
    lambda verbs, groups, resources, names: {
        "verbs": verbs, "apiGroups": groups, "resources": resources, **({"resourceNames": names} if names else {})
    },
    _lists("get list delete *"),
    _lists("a b *"),
    _lists("pods pods/log */log nodes *"),
    st.lists(st.sampled_from(["one", "two"]), max_size=2, unique=True),
)  # fmt: skip
ASKED = st.builds(
    Attributes,
    st.sampled_from(["get", "list", "delete"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["pods", "nodes"]),
    st.sampled_from(["", "log"]),
    st.sampled_from(["", "one", "two"]),
)


@given(st.lists(RULES, max_size=3), RULES, ASKED)
def test_who_grants_only_what_they_hold_gives_nobody_more_than_they_have(
    held: list[Document], granted: Document, asked: Attributes
) -> None:
    if not missing(held, [granted]) and allows(granted, asked):
        assert any(allows(rule, asked) for rule in held)


@given(st.lists(RULES, max_size=4))
def test_everybody_may_grant_exactly_what_they_hold(held: list[Document]) -> None:
    assert missing(held, held) == []
    assert missing([rule("*", "*", "*")], held) == []
