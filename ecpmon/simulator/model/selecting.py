"""Label selectors, as far as controllers use them."""

from __future__ import annotations

from collections.abc import Mapping

from ecpmon.simulator.model.objects import Manifest


def matches(selector: Manifest | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector chooses these labels; None chooses nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(item, labels) for item in selector.get("matchExpressions") or ())


def _holds(item: Manifest, labels: Mapping[str, str]) -> bool:
    found = labels.get(item["key"])
    values = item.get("values") or ()
    operator = item["operator"]
    if operator == "In":
        return found in values
    if operator == "NotIn":
        return found not in values
    return (found is not None) is (operator == "Exists")


def chosen_by(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a plain map, as Services have it, chooses these labels."""
    return all(labels.get(key) == value for key, value in selector.items())
