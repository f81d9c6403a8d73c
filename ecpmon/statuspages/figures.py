"""How a status page writes figures and times. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.statuspages.words import Words

_DIGITS: Final = Decimal("0.001")
_ALMOST_ALL: Final = Decimal("99.9999999999")


def percent(fraction: float | None) -> str:
    """Cut, never rounded up to a promise that was not kept: 0.9999996 is not shown as 100 %."""
    if fraction is None:
        return "–"
    if fraction >= 1:
        return "100 %"
    exact = min(Decimal(repr(round(fraction * 100, 10))), _ALMOST_ALL)
    return f"{exact.quantize(_DIGITS, ROUND_FLOOR)} %"


def between(low: float | None, high: float | None) -> str:
    """Empty where both are the same, as far as they are shown."""
    if low is None or high is None or percent(low) == percent(high):
        return ""
    return f"{percent(low)} … {percent(high)}"


def lasting(seconds: float, say: Words) -> str:
    whole = round(seconds)
    if not whole and seconds <= 0:
        return "–"
    if whole < 120:
        return say("seconds", n=max(1, whole))
    if whole < 7_200:
        return say("minutes", n=round(whole / 60))
    return say("hours", n=f"{whole / 3_600:.1f}".removesuffix(".0"))


def moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
