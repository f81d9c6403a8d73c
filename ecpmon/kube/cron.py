"""Schedules and time zones of CronJobs."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

_DESCRIPTORS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_DURATION: Final = re.compile(r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Of each field: least, most, and the names that numbers have.
_FIELDS: Final[tuple[tuple[int, int, dict[str, int]], ...]] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)  # fmt: skip
_MAX_SHOWN: Final = 200
_MAX_SCHEDULE: Final = 10_000


def schedule_problem(text: str) -> str | None:
    """What is wrong with five fields or a word such as `@daily`; None when nothing is."""
    if len(text) > _MAX_SCHEDULE:
        return f"a schedule of {len(text)} characters is none that anybody meant"
    if text.startswith("@"):
        return _descriptor_problem(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)[:_MAX_SHOWN]}]"
    for field, (least, most, words) in zip(fields, _FIELDS, strict=True):
        for part in filter(None, field.split(",")):
            problem = _part_problem(part, least, most, words)
            if problem is not None:
                return problem
    return None


def _descriptor_problem(text: str) -> str | None:
    every, _, duration = text.partition(" ")
    if text in _DESCRIPTORS or (every == "@every" and _DURATION.fullmatch(duration)):
        return None
    return f"unrecognized descriptor: {text[:_MAX_SHOWN]}"


def _part_problem(part: str, least: int, most: int, words: dict[str, int]) -> str | None:
    """One of `*`, `3`, `1-5`, `*/10`, `mon-fri`."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    if span in ("*", "?"):
        low, high = least, most
    else:
        start = _number(first, words)
        end = _number(last, words) if dash else start
        if start is None or end is None:
            return f"failed to parse int from {part[:_MAX_SHOWN]}"
        low, high = start, most if slash and not dash else end
    if low < least:
        return f"beginning of range ({low}) below minimum ({least}): {part[:_MAX_SHOWN]}"
    if high > most:
        return f"end of range ({high}) above maximum ({most}): {part[:_MAX_SHOWN]}"
    if low > high:
        return f"beginning of range ({low}) beyond end of range ({high}): {part[:_MAX_SHOWN]}"
    if slash and not _number(step, {}):
        return f"step of range should be a positive number: {part[:_MAX_SHOWN]}"
    return None


def _number(text: str, words: dict[str, int]) -> int | None:
    if text.lower() in words:
        return words[text.lower()]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def time_zone_problem(name: str) -> str | None:
    """What is wrong with a time zone's name; None when nothing is."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return f"unknown time zone {name[:_MAX_SHOWN]}"
    return None
