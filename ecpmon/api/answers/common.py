"""Pieces that answers of several areas have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ecpmon.api.tenant_shapes import Bounds, Hint
from ecpmon.openapi.declaring import TypedDict

__all__ = ["Bounded", "Bounds", "Certainty", "Day", "Hint", "Instant", "ShownState"]
# Times and days that were written before the answer is made, in the form that the others get.
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
# `gap`: nobody measured it; `none`: nobody ever did.
ShownState = Literal["up", "down", "gap", "none"]


class Bounded(TypedDict):
    """`coverage`: how much was measured."""

    bounds: Bounds
    coverage: float | None


class Certainty(Bounded):
    """`stale`: what was measured last does not hold any more, so nobody knows what the tenant is now."""

    stale: bool
