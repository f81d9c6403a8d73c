"""Burn-rate policies from YAML (`rules/burn_rate.yaml`); the arithmetic is in `ecpmon.sla.burn`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import yaml

from ecpmon.alerts.grammar import SECONDS
from ecpmon.model.alerts import FlapPolicy
from ecpmon.resources import data_dir, yaml_of
from ecpmon.settings import Settings
from ecpmon.sla.burn import BurnPolicy, PolicyError, WindowPair

_TOP: Final = {"period", "min_failed_observations", "min_bad_events", "min_coverage", "source", "policies"}
_LONGEST: Final = timedelta(days=366)


def default_policies() -> dict[str, BurnPolicy]:
    """The policies shipped in `rules/burn_rate.yaml`, by name: `page` and `ticket`."""
    return load_policies((data_dir("rules") / "burn_rate.yaml").read_text(encoding="utf-8"))


def flap_policy(settings: Settings) -> FlapPolicy | None:
    """What the settings say of rules that change all the time; None: every change is told."""
    if not settings.flap_firings:
        return None
    window, calm = timedelta(seconds=settings.flap_window), timedelta(seconds=settings.flap_calm)
    return FlapPolicy(settings.flap_firings, window, calm)


def load_policies(text: str) -> dict[str, BurnPolicy]:
    """Policies by name. Raises PolicyError with the path of what is wrong; unknown keys are refused.

    Whether a policy suits a target is `ecpmon.sla.burn.check_policy`'s to say.
    """
    try:
        document = yaml_of(text)
    except yaml.YAMLError as error:
        raise PolicyError(f"the burn-rate policies are not YAML: {error}") from error
    top = _mapping(document, "document", _TOP)
    policies = top["policies"]
    if not isinstance(policies, dict) or not policies:
        raise PolicyError("policies: expected a mapping of names to policies")
    return {str(name): _policy(str(name), body, top) for name, body in policies.items()}


def parse_duration(text: object, path: str) -> timedelta:
    """`5m`, `1h`, `30d`; more than a year is refused. Raises PolicyError."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise PolicyError(f"{path}: expected a duration such as 5m, 1h or 30d, found {text!r}")
    duration = timedelta(seconds=int(match[1]) * SECONDS[match[2]])
    if duration > _LONGEST:
        raise PolicyError(f"{path}: {text} is longer than a year")
    return duration


def _policy(name: str, body: object, top: Mapping[str, Any]) -> BurnPolicy:
    path = f"policies.{name}"
    fields = _mapping(body, path, {"severity", "pairs"})
    if not isinstance(fields["pairs"], list):
        raise PolicyError(f"{path}.pairs: expected a list")
    return BurnPolicy(
        name=name,
        severity=str(fields["severity"]),
        period=parse_duration(top["period"], "period"),
        pairs=tuple(_pair(pair, f"{path}.pairs[{index}]") for index, pair in enumerate(fields["pairs"])),
        min_failed_observations=int(_number(top["min_failed_observations"], "min_failed_observations")),
        min_coverage=_number(top["min_coverage"], "min_coverage"),
        source=str(top["source"]),
        min_bad_events=int(_number(top["min_bad_events"], "min_bad_events")),
    )


def _pair(body: object, path: str) -> WindowPair:
    fields = _mapping(body, path, {"budget_percent", "long", "short"})
    return WindowPair(
        budget_share=_number(fields["budget_percent"], f"{path}.budget_percent") / 100,
        long=parse_duration(fields["long"], f"{path}.long"),
        short=parse_duration(fields["short"], f"{path}.short"),
    )


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PolicyError(f"{path}: expected a number, found {value!r}")
    return value


def _mapping(value: object, path: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{path}: expected a mapping")
    if set(value) != keys:
        wrong = sorted(str(key) for key in set(value) ^ keys)
        raise PolicyError(f"{path}: missing or unknown keys: {', '.join(wrong)}")
    return value
