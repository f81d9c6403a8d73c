"""Figures as people read them: never better than they are."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Final

DASH: Final = "—"


def percent(value: float | None) -> str:
    """A percentage with three decimals, cut and not rounded: only a perfect window reads 100%."""
    if value is None:
        return DASH
    exact = Decimal(repr(value))
    if exact == 100:
        return "100%"
    cut = exact.quantize(Decimal("0.001"), rounding=ROUND_DOWN)
    return "<0.001%" if cut == 0 < exact else f"{cut}%"


def towards_less(value: float, step: str) -> Decimal:
    """Towards minus infinity: a budget is never shown larger than it is."""
    return Decimal(repr(value)).quantize(Decimal(step), rounding=ROUND_FLOOR)
