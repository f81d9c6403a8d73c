"""`rules/credits.yaml`: the credit tiers. Schema-checked."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecpmon.errors import ValidationFailed
from ecpmon.model.statements import CreditTier
from ecpmon.resources import data_dir, yaml_of
from ecpmon.statements.service import Terms

Percent = Annotated[float, Field(gt=0, le=100)]


class _Tier(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    below_percent: Percent | Literal["target"]
    credit_percent: Percent


class _Credits(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    version: Annotated[str, Field(min_length=1)]
    tiers: Annotated[list[_Tier], Field(min_length=1)]


@cache
def load_terms(text: str | None = None) -> Terms:
    """The shipped tiers, or `text`. Raises ValidationFailed."""
    if text is None:
        text = (data_dir("rules") / "credits.yaml").read_text(encoding="utf-8")
    try:
        found = _Credits.model_validate(yaml_of(text))
    except (yaml.YAMLError, ValidationError) as error:
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
