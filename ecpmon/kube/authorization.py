"""Role-based access control: who is bound to which rules, what they allow, and what may be granted on.

Invariants:
- nothing is denied by a rule: what no rule allows is refused;
- a rule that names objects (`resourceNames`) allows nothing that is asked for without a name, such as `create`;
- nobody grants what they do not hold: `missing` compares rules by their smallest parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, Protocol

from ecpmon.kube.causes import Document
from ecpmon.kube.rbac import GROUP

Rule = dict[str, Any]
ALL: Final = "*"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
ACCOUNTS: Final = "system:serviceaccounts"
ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as authentication found out."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, compare=False)

    @property
    def all_powerful(self) -> bool:
        """Whether rules do not matter."""
        return MASTERS in self.groups


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked for: a verb on a resource, or on a `path` when there is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """The resource as rules name it: `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Policy(Protocol):
    """The roles and bindings of a cluster."""

    def bindings(self, namespace: str) -> Iterable[Document]:
        """The RoleBindings of a namespace; of "" the ClusterRoleBindings."""

    def role(self, kind: str, namespace: str, name: str) -> Document | None:
        """The Role or ClusterRole."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule, and how it came to the user."""

    rule: Rule
    binding: Document
    subject: Document

    def as_reason(self) -> str:
        """As the real server says why something is allowed."""
        metadata, role = self.binding["metadata"], self.binding["roleRef"]
        space = metadata.get("namespace")
        kind, name = ("RoleBinding", f"{metadata['name']}/{space}") if space else (
            "ClusterRoleBinding", metadata["name"]
        )  # fmt: skip
        subject = self.subject
        who = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            who = f"{who}/{subject.get('namespace') or space}"
        return (
            f'RBAC: allowed by {kind} "{name}" of {role.get("kind")} "{role.get("name")}" '
            f'to {subject.get("kind")} "{who}"'
        )


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""


def account_name(namespace: str, name: str) -> str:
    """The user that a ServiceAccount is."""
    return f"{ACCOUNT_PREFIX}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every ServiceAccount of a namespace."""
    return ACCOUNTS, f"{ACCOUNTS}:{namespace}", AUTHENTICATED


def authorize(policy: Policy, user: User, attributes: Attributes) -> Decision:
    """Whether `user` may; the reason names the binding that allows, or the roles that are bound and missing."""
    if user.all_powerful:
        return Decision(True)
    errors: list[str] = []
    for grant in grants(policy, user, attributes.namespace, errors):
        if allows(grant.rule, attributes):
            return Decision(True, grant.as_reason())
    return Decision(False, f"RBAC: {_several(errors)}" if errors else "")


def _several(errors: Sequence[str]) -> str:
    return errors[0] if len(errors) == 1 else f"[{', '.join(dict.fromkeys(errors))}]"


def rules_of(policy: Policy, user: User, namespace: str) -> list[Rule]:
    """Every rule that holds for the user in a namespace; of "" only those of the whole cluster."""
    return [grant.rule for grant in grants(policy, user, namespace, [])]


def grants(policy: Policy, user: User, namespace: str, errors: list[str]) -> Iterator[Grant]:
    """The user's rules; `errors` gets what is bound and does not exist."""
    spaces = ("", namespace) if namespace else ("",)
    for space in spaces:
        for binding in policy.bindings(space):
            subject = next((s for s in binding.get("subjects") or () if is_meant(s, user, space)), None)
            if subject is None:
                continue
            role = binding.get("roleRef") or {}
            kind, name = str(role.get("kind", "")), str(role.get("name", ""))
            found = policy.role(kind, space, name)
            if found is None:
                errors.append(f'{kind.lower()}.{GROUP} "{name}" not found')
                continue
            for rule in found.get("rules") or ():
                yield Grant(rule, binding, subject)


def is_meant(subject: Document, user: User, namespace: str) -> bool:
    """Whether a binding's subject is this user, or a group of theirs."""
    kind, name = subject.get("kind"), str(subject.get("name", ""))
    if kind == "User":
        return name in (user.name, ALL)
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        space = subject.get("namespace") or namespace
        return bool(space) and user.name == account_name(str(space), name)
    return False


def allows(rule: Rule, asked: Attributes) -> bool:
    """Whether one rule allows what is asked."""
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if not asked.resource:
        return any(_leads_to(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), asked.group)
        and _has_resource(rule.get("resources") or (), asked.combined)
        and (not names or asked.name in names)
    )


def _has(words: Iterable[str] | None, word: str) -> bool:
    return any(found in (ALL, word) for found in words or ())


def _has_resource(resources: Iterable[str], wanted: str) -> bool:
    _, slash, sub = wanted.partition("/")
    return any(found in (ALL, wanted) or (slash and found == f"*/{sub}") for found in resources)


def _leads_to(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


# What may be granted on


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that `held` does not cover; parts of one resource are put together again."""
    parts = [part for rule in wanted for part in _parts(rule) if not any(_covers(h, part) for h in held)]
    return _together(parts)


def _parts(rule: Rule) -> Iterator[Rule]:
    """A rule as rules of one group, one resource, one verb and one name each."""
    verbs = rule.get("verbs") or ()
    for verb, url in product(verbs, rule.get("nonResourceURLs") or ()):
        yield {"nonResourceURLs": [url], "verbs": [verb]}
    names = [[name] for name in rule.get("resourceNames") or ()] or [[]]
    for group, resource, named, verb in product(
        rule.get("apiGroups") or (), rule.get("resources") or (), names, verbs
    ):
        named_rule = {"resourceNames": named} if named else {}
        yield {"apiGroups": [group], "resources": [resource], **named_rule, "verbs": [verb]}


def _covers(held: Rule, part: Rule) -> bool:
    if not _has(held.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return any(_leads_to(url, part["nonResourceURLs"][0]) for url in held.get("nonResourceURLs") or ())
    names, wanted = held.get("resourceNames") or (), part.get("resourceNames")
    return (
        _has(held.get("apiGroups"), part["apiGroups"][0])
        and _has_resource(held.get("resources") or (), part["resources"][0])
        and (not names or (wanted is not None and wanted[0] in names))
    )


def _together(parts: Iterable[Rule]) -> list[Rule]:
    found: dict[str, Rule] = {}
    for part in parts:
        of = repr({key: value for key, value in part.items() if key != "verbs"})
        if of in found:
            found[of] = {**found[of], "verbs": [*found[of]["verbs"], *part["verbs"]]}
        else:
            found[of] = part
    return list(found.values())


_SPELLED: Final = (
    ("APIGroups", "apiGroups"), ("Resources", "resources"), ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"), ("Verbs", "verbs"),
)  # fmt: skip


def spelled(rule: Rule) -> str:
    """A rule as the real server writes it into a refusal."""
    parts = [f"{name}:{quoted(rule[key])}" for name, key in _SPELLED if rule.get(key)]
    return "{" + ", ".join(parts) + "}"


def quoted(words: Iterable[str]) -> str:
    """As Go prints a list of strings."""
    return "[" + " ".join(f'"{word}"' for word in words) + "]"


def escalation(policy: Policy, user: User, namespace: str, wanted: Iterable[Rule]) -> str:
    """Why the user may not grant these rules in a namespace; empty when they hold all of them."""
    errors: list[str] = []
    held = [grant.rule for grant in grants(policy, user, namespace, errors)]
    lacking = missing(held, wanted)
    if not lacking or user.all_powerful:
        return ""
    listed = "\n".join(sorted({spelled(rule) for rule in lacking}))
    failed = f"; resolution errors: {_several(errors)}" if errors else ""
    return (
        f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not '
        f"currently held:\n{listed}{failed}"
    )
