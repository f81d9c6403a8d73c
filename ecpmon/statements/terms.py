"""Credit tables: the shipped one (`rules/credits.yaml`), and those of single contracts. Schema-checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator

from ecpmon.errors import ValidationFailed
from ecpmon.model.statements import CreditTier
from ecpmon.resources import data_dir, yaml_of
from ecpmon.shapes import Model

Percent = Annotated[float, Field(strict=True, gt=0, le=100, allow_inf_nan=False)]
MAX_TIERS: Final = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """The name of a credit table, and its tiers."""

    version: str
    tiers: tuple[CreditTier, ...]


class Tier(Model):
    model_config = ConfigDict(extra="forbid")

    below_percent: Percent | Literal["target"]
    credit_percent: Percent


class CreditTable(Model):
    """As it is stored and shown. One tier is the target's: whoever misses it is owed something."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(min_length=1, max_length=100)] = "own"
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=MAX_TIERS)]

    @field_validator("tiers")
    @classmethod
    def _complete(cls, tiers: list[Tier]) -> list[Tier]:
        limits = [tier.below_percent for tier in tiers]
        if "target" not in limits:
            raise ValueError("one tier must be below_percent: target, the credit of whoever just misses it")
        if len(set(limits)) < len(limits):
            raise ValueError("one limit stands twice")
        return tiers


@cache
def load_terms(text: str | None = None) -> Terms:
    """The shipped tiers, or `text`. Raises ValidationFailed."""
    if text is None:
        text = (data_dir("rules") / "credits.yaml").read_text(encoding="utf-8")
    try:
        return terms_of(yaml_of(text))
    except yaml.YAMLError as error:
        raise ValidationFailed(f"the credit tiers are not as they should be: {error}") from error


def terms_of(table: Mapping[str, Any]) -> Terms:
    """A credit table as it is stored. Raises ValidationFailed."""
    try:
        found = CreditTable.model_validate(table)
    except ValidationError as error:
        raise ValidationFailed(f"the credit tiers are not as they should be: {error}") from error
    tiers = [
        # Exactly: 99.9 / 100 is a little over 0.999, and would give credit to who kept it.
        CreditTier(
            None if t.below_percent == "target" else round(t.below_percent / 100, 12),
            round(t.credit_percent / 100, 12),
        )
        for t in found.tiers
    ]
    return Terms(found.version, tuple(tiers))
