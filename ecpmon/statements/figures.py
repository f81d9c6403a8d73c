"""How figures are written on the pages of a statement: so that whoever reads can add them up and compare them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from ecpmon.statements.words import Words

_LEAST_DIGITS: Final = 3
# As many as a contract's target may have.
_MOST_DIGITS: Final = 6
_ALMOST_ALL: Final = Decimal("99.9999999999")


def number(value: float) -> str:
    """A percentage as people wrote it: 99.9, not 99.90000000000001."""
    return repr(round(value, 10)).removesuffix(".0")


def percent(value: float | None, digits: int = _LEAST_DIGITS) -> str:
    """Cut, never rounded up: 99.9996 is not shown as 100."""
    if value is None:
        return "–"
    if value >= 100:
        return "100 %"
    # What floats take away from 99.9995 is not cut off.
    exact = min(Decimal(repr(round(value, 10))), _ALMOST_ALL)
    return f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR)} %"


def digits_of(data: Mapping[str, Any]) -> int:
    """With how many digits an availability is seen to be below a target, or a limit of the credits, of a statement."""
    months = [m["contract"] for m in (*data.get("months", ()), *data.get("months_to_come", ()))]
    contracts = months or [data["contract"]]
    limits = [t["below"] for c in contracts for t in c.get("credit_tiers", ())]
    written = (number(each).partition(".")[2] for each in (*(c["target"] for c in contracts), *limits))
    digits = min(max(_LEAST_DIGITS, *map(len, written)), _MOST_DIGITS)
    # What several contracts come to has digits without end.
    found, target = data["availability"], data["contract"]["target"]
    while digits < _MOST_DIGITS and found not in (None, target) and _alike(found, target, digits):
        digits += 1
    return digits


def _alike(one: float, other: float, digits: int) -> bool:
    return percent(one, digits) == percent(other, digits)


def minutes(value: float, say: Words) -> str:
    """To the sixteenth of a second, and no further than it has digits: two seconds are 0.033."""
    whole, _, part = f"{round(value, 3) + 0.0:,.3f}".partition(".")
    return say("minutes", value=f"{whole}.{part[0]}{part[1:].rstrip('0')}")


def credit(data: Mapping[str, Any], say: Words) -> str:
    """With the range, where time that nobody measured decides; statements of earlier releases have none."""
    measured, bounds = data["credit_percent"], data.get("credit_bounds")
    if measured is None:
        return "–"
    told = say("credit_of_fee", percent=number(measured))
    if bounds is None or bounds["low"] == bounds["high"]:
        return told
    return say("credit_range", credit=told, low=number(bounds["low"]), high=number(bounds["high"]))


def credit_tiers(data: Mapping[str, Any], say: Words) -> list[tuple[str, str]]:
    """What is owed below which availability, as label and text: of a quarter once for the months that have the same."""
    contract, found = data["contract"], dict[str, list[str]]()
    for version in contract.get("versions") or [{"months": [], "contract": contract}]:
        if text := _tiers(version["contract"], say):
            found.setdefault(text, []).extend(version["months"])
    label = say("credit_tiers")
    if len(found) < 2:
        return [(label, text) for text in found]
    return [(f"{label}, {', '.join(months)}", text) for text, months in found.items()]


def _tiers(contract: Mapping[str, Any], say: Words) -> str:
    tiers = sorted(contract.get("credit_tiers", ()), key=lambda t: -t["below"])
    return "; ".join(
        say("credit_below", below=number(t["below"]), credit=number(t["credit_percent"])) for t in tiers
    )


def incidents(data: Mapping[str, Any], say: Words) -> list[tuple[str, str]]:
    """How many, and how long the down time of one lasted; as label and text."""
    limit, mean = data.get("flap_limit_seconds"), data.get("recovery_time_avg")
    count = str(data["failure_count"])
    if limit is not None:
        count = say("joined", count=count, seconds=number(limit))
    return [
        ("incident_count", count),
        *([("recovery", minutes(mean / 60, say))] if mean is not None else []),
    ]
