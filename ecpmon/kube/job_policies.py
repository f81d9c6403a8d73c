"""When a Job is given up or taken as done before all of its pods are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    duplicate,
    invalid,
    not_negative,
    of_messages,
    required,
    too_many,
    unsupported,
)

_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS: Final = ("In", "NotIn")
_STATES: Final = ("False", "True", "Unknown")
_MOST_RULES: Final = 20
_MOST_VALUES: Final = 255
_INDEXES: Final = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", re.ASCII)


def failure_policy_causes(spec: Mapping[str, Any], path: str) -> Causes:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return
    rules, at = policy.get("rules") or (), f"{path}.podFailurePolicy.rules"
    if len(rules) > _MOST_RULES:
        yield too_many(at, len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _failure_rule(spec, rule, f"{at}[{index}]")


def _failure_rule(spec: Mapping[str, Any], rule: Mapping[str, Any], at: str) -> Causes:
    action, codes = rule.get("action", ""), rule.get("onExitCodes")
    conditions = rule.get("onPodConditions") or ()
    yield from _word(f"{at}.action", action, _ACTIONS)
    if action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        yield invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set")
    if codes is not None:
        yield from _exit_codes(spec, codes, f"{at}.onExitCodes")
    for index, condition in enumerate(conditions):
        where, kind = f"{at}.onPodConditions[{index}]", condition.get("type", "")
        yield from of_messages(f"{where}.type", kind, names.qualified_name(kind))
        # Absent is True.
        yield from _word(f"{where}.status", condition.get("status") or "True", _STATES)
    if (codes is None) == (not conditions):
        detail = "specifying one of OnExitCodes and OnPodConditions is required"
        yield invalid(at, dict(rule), detail)


def _word(field: str, value: str, allowed: tuple[str, ...]) -> Causes:
    if not value:
        yield required(field, f"valid values: {allowed}")
    elif value not in allowed:
        yield unsupported(field, value, allowed)


def _exit_codes(spec: Mapping[str, Any], codes: Mapping[str, Any], at: str) -> Causes:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    yield from _word(f"{at}.operator", operator, _OPERATORS)
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {item.get("name") for key in ("containers", "initContainers") for item in pod.get(key) or ()}
    name = codes.get("containerName")
    if name is not None and name not in known:
        detail = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{at}.containerName", name, detail)
    if not values:
        yield invalid(f"{at}.values", values, "at least one value is required")
    elif len(values) > _MOST_VALUES:
        yield too_many(f"{at}.values", len(values), _MOST_VALUES)
    elif values != sorted(values):
        yield invalid(f"{at}.values", values, "must be ordered")
    for index, value in enumerate(values[:_MOST_VALUES]):
        if operator == "In" and value == 0:
            yield invalid(f"{at}.values[{index}]", value, "must not be 0 for the In operator")
        if value in values[:index]:
            yield duplicate(f"{at}.values[{index}]", value)


def success_policy_causes(spec: Mapping[str, Any], path: str) -> Causes:
    policy, at = spec.get("successPolicy"), f"{path}.successPolicy"
    if policy is None:
        return
    if spec.get("completionMode") != "Indexed":
        yield invalid(at, policy, "requires indexed completion mode")
        return
    rules = policy.get("rules") or ()
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{at}.rules", detail)
    if len(rules) > _MOST_RULES:
        yield too_many(f"{at}.rules", len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _success_rule(rule, spec.get("completions", 0), f"{at}.rules[{index}]")


def _success_rule(rule: Mapping[str, Any], completions: int, at: str) -> Causes:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        yield required(at, "at least one of succeededCount or succeededIndexes must be specified")
    yield from not_negative(rule, ("succeededCount",), at)
    if count is not None and count > completions:
        detail = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(f"{at}.succeededCount", count, detail)
    if indexes is None:
        return
    total = _total(indexes, completions)
    if total is None:
        yield invalid(f"{at}.succeededIndexes", indexes, "error parsing succeededIndexes")
    if count is not None and count > (total or 0):
        detail = f"must be less than or equal to {total or 0} (the number of indexes in succeededIndexes)"
        yield invalid(f"{at}.succeededCount", count, detail)


def _total(text: str, completions: int) -> int | None:
    """How many indexes `0,2-5` names; None for what is not in order or not below `completions`."""
    if not _INDEXES.fullmatch(text):
        return None if text else 0
    total, last = 0, -1
    for part in text.split(","):
        first, dash, end = part.partition("-")
        low, high = int(first), int(end) if dash else int(first)
        if low <= last or high < low or (dash and high == low) or high >= completions:
            return None
        total, last = total + high - low + 1, high
    return total
