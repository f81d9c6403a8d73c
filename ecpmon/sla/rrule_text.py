"""One recurrence rule of RFC 5545 as text, read into a value. Pure.

What the RFC says MUST NOT be written is refused, and so is what happens too often to be maintenance; what it leaves
undefined has one meaning here, said at the head of `sla.recurrence`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Final

MAX_RRULE: Final = 500
MAX_INTERVAL: Final = 1_000
MAX_COUNT: Final = 10**6
# More often than this is not maintenance but the normal state.
MAX_PER_DAY: Final = 6
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# Lowest and highest of each list, and whether they may be counted from the end.
_LISTS: Final = {
    "BYSECOND": (0, 59, False), "BYMINUTE": (0, 59, False), "BYHOUR": (0, 23, False), "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True), "BYWEEKNO": (1, 53, True), "BYMONTH": (1, 12, False), "BYSETPOS": (1, 366, True),
}  # fmt: skip
_PARTS: Final = frozenset({"FREQ", "UNTIL", "COUNT", "INTERVAL", "BYDAY", "WKST", *_LISTS})
_DAY: Final = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(_DAYS)})")
_LAST_MOMENT: Final = time(23, 59, 59, 999_999)


class Freq(StrEnum):
    """Coarse ones only."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is written; an empty set is a part that is absent, and so is None.

    `until` with a zone is an instant, without one a wall-clock time; both are included. `days`: (n, weekday from
    Monday), n 0 for every one. `week_start`: from Monday.
    """

    freq: Freq
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    seconds: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    days: frozenset[tuple[int, int]] = frozenset()
    month_days: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    positions: frozenset[int] = frozenset()
    week_start: int = 0


@lru_cache(maxsize=4096)
def rule_of(text: str) -> Rule:
    """The rule, with or without `RRULE:` before it. Raises ValueError saying what is wrong."""
    parts = _parts(text)
    lists = {name: _numbers(name, parts[name]) for name in _LISTS if name in parts}
    rule = Rule(
        Freq(parts["FREQ"]),
        int(parts.get("INTERVAL", "1")),
        int(parts["COUNT"]) if "COUNT" in parts else None,
        _until(parts["UNTIL"]) if "UNTIL" in parts else None,
        tuple(sorted(lists.get("BYSECOND", ()))),
        tuple(sorted(lists.get("BYMINUTE", ()))),
        tuple(sorted(lists.get("BYHOUR", ()))),
        _weekdays(parts["BYDAY"]) if "BYDAY" in parts else frozenset(),
        lists.get("BYMONTHDAY", frozenset()),
        lists.get("BYYEARDAY", frozenset()),
        lists.get("BYWEEKNO", frozenset()),
        lists.get("BYMONTH", frozenset()),
        lists.get("BYSETPOS", frozenset()),
        _weekday(parts.get("WKST", "MO")),
    )
    _refuse_forbidden(rule, parts)
    return rule


def _parts(text: str) -> Mapping[str, str]:
    """The parts by name, each once."""
    if len(text) > MAX_RRULE:
        raise ValueError(f"at most {MAX_RRULE} characters")
    pairs = [part.partition("=") for part in text.strip().upper().removeprefix("RRULE:").split(";") if part]
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    odd = any(re.search(r"[\s:]", value) for value in parts.values())
    if len(parts) < len(pairs) or not parts.keys() <= _PARTS or odd:
        raise ValueError("one rule of RFC 5545, each part once, without DTSTART, EXDATE and RDATE")
    if parts.get("FREQ") not in list(Freq):
        raise ValueError("FREQ must be YEARLY, MONTHLY, WEEKLY or DAILY")
    for name, most in (("INTERVAL", MAX_INTERVAL), ("COUNT", MAX_COUNT)):
        if name in parts and not (re.fullmatch(r"[0-9]{1,7}", parts[name]) and 0 < int(parts[name]) <= most):
            raise ValueError(f"{name} must be a whole number from 1 to {most}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("give either COUNT or UNTIL")
    return parts


def _numbers(name: str, text: str) -> frozenset[int]:
    low, high, signed = _LISTS[name]
    pattern, found = r"[+-]?[0-9]{1,3}" if signed else r"[0-9]{1,3}", text.split(",")
    if not all(re.fullmatch(pattern, n) and low <= abs(int(n)) <= high for n in found):
        raise ValueError(
            f"{name} must be whole numbers from {low} to {high}{', or negative' if signed else ''}"
        )
    return frozenset(map(int, found))


def _weekdays(text: str) -> frozenset[tuple[int, int]]:
    found = [_DAY.fullmatch(each) for each in text.split(",")]
    days = [(int(m[1]) if m[1] else 0, _DAYS.index(m[2])) for m in found if m]
    if len(days) < len(found) or any(m and m[1] and not 1 <= abs(int(m[1])) <= 53 for m in found):
        raise ValueError("BYDAY must be days such as MO, 1MO or -1FR")
    return frozenset(days)


def _weekday(text: str) -> int:
    if text not in _DAYS:
        raise ValueError("WKST must be a day such as MO")
    return _DAYS.index(text)


def _until(text: str) -> datetime:
    """A date is all of that day."""
    if not re.fullmatch(r"[0-9]{8}(T[0-9]{6}Z?)?", text):
        raise ValueError("UNTIL must be such as 20261231T235959Z, 20261231T235959 or 20261231")
    if len(text) == 8:
        return datetime.combine(datetime.strptime(text, "%Y%m%d"), _LAST_MOMENT)  # noqa: DTZ007 - wall clock
    at = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall clock
    return at.replace(tzinfo=UTC) if text.endswith("Z") else at


def _refuse_forbidden(rule: Rule, parts: Mapping[str, str]) -> None:
    """What RFC 5545 says must not be. Raises ValueError."""
    numbered, times = any(n for n, _ in rule.days), (rule.hours, rule.minutes, rule.seconds)
    if math.prod(max(1, len(each)) for each in times) > MAX_PER_DAY:
        raise ValueError(f"it happens more than {MAX_PER_DAY} times a day")
    if numbered and rule.freq not in (Freq.MONTHLY, Freq.YEARLY):
        raise ValueError("BYDAY has numbers in MONTHLY and YEARLY rules only")
    if numbered and rule.weeks:
        raise ValueError("BYDAY has no numbers beside BYWEEKNO")
    if rule.month_days and rule.freq is Freq.WEEKLY:
        raise ValueError("BYMONTHDAY is not for WEEKLY rules")
    if rule.year_days and rule.freq is not Freq.YEARLY:
        raise ValueError("BYYEARDAY is for YEARLY rules")
    if rule.weeks and rule.freq is not Freq.YEARLY:
        raise ValueError("BYWEEKNO is for YEARLY rules")
    if rule.positions and not any(name.startswith("BY") for name in parts if name != "BYSETPOS"):
        raise ValueError("BYSETPOS needs another BY… part to choose from")
