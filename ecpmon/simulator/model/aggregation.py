"""ClusterRoles that collect the rules of others by their labels."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.kube.metadata import matches
from ecpmon.kube.rbac import GROUP
from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.state import Draft

ROLES: Final = f"clusterroles.{GROUP}"
Rules = list[dict[str, Any]]


def aggregate(draft: Draft) -> None:
    """Give every ClusterRole that collects others' rules what they have now, until nothing changes."""
    collectors = [r["metadata"]["name"] for r in draft.objects_of("", ROLES) if r.get("aggregationRule")]
    changed = bool(collectors)
    while changed:  # roles collect from roles that collect: each round reaches one further
        changed = False
        for name in collectors:
            changed = _collect(draft, ObjectKey(ROLES, "", name)) or changed


def _collect(draft: Draft, key: ObjectKey) -> bool:
    role = draft.object(key)
    if role is None:
        return False
    selectors = role["aggregationRule"].get("clusterRoleSelectors") or ()
    rules: Rules = []
    for other in draft.objects_of("", ROLES):
        labels = other["metadata"].get("labels") or {}
        if other["metadata"]["name"] != key.name and any(matches(s, labels) for s in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    if rules == (role.get("rules") or []):
        return False
    draft.put_object(key, {**role, "rules": rules}, followed=False)
    return True
