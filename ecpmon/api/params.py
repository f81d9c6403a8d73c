"""Query parameters, durations and instants; everything wrong with a query is told at once."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from ecpmon.errors import ValidationFailed

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise ValueError("must be a duration such as 30s, 5m, 2h or 1d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def parse_instant(text: str) -> datetime:
    """Any ISO 8601 instant in UTC; without an offset it means UTC. Raises ValueError."""
    try:
        parsed = datetime.fromisoformat(text.strip())
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time such as 2026-01-20T14:30:00Z") from None


class Query:
    """Reads parameters and remembers what is wrong; `check` raises ValidationFailed with all of it."""

    def __init__(self, request: web.Request) -> None:
        self._query = request.query
        self._wrong: list[dict[str, str]] = []

    def wrong(self, name: str, message: str) -> None:
        self._wrong.append({"field": name, "message": message})

    def check(self) -> None:
        if self._wrong:
            first = self._wrong[0]
            raise ValidationFailed(f"{first['field']}: {first['message']}", fields=self._wrong)

    def text(self, name: str) -> str | None:
        """The value; an empty one counts as absent (forms send `preset=`)."""
        return self._query.get(name) or None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if re.fullmatch(r"[0-9]{1,10}", text) and low <= int(text) <= high:
            return int(text)
        self.wrong(name, f"must be a whole number from {low} to {high}")
        return default

    def boolean(self, name: str, default: bool) -> bool:
        text = self.text(name)
        if text is not None and text.lower() not in ("true", "false", "1", "0"):
            self.wrong(name, "must be true or false")
        return default if text is None else text.lower() in ("true", "1")

    def choice(self, name: str, known: Collection[str], default: str | None = None) -> str | None:
        text = self.text(name)
        if text is None or text in known:
            return text or default
        self.wrong(name, f"must be one of {', '.join(known)}")
        return default

    def choices(self, name: str, known: Collection[str], default: str) -> list[str]:
        """A comma-separated list, duplicates left out."""
        items = [item.strip() for item in (self.text(name) or default).split(",")]
        unknown = [item for item in items if item not in known]
        if unknown:
            self.wrong(name, f"{unknown[0][:40]!r} is not known; known are {', '.join(known)}")
        return list(dict.fromkeys(item for item in items if item in known))

    def instant(self, name: str) -> datetime | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            # A `+` of an offset that was not percent-encoded arrives as a space.
            return parse_instant(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def duration(self, name: str, default: str) -> timedelta:
        try:
            return parse_duration(self.text(name) or default)
        except ValueError as error:
            self.wrong(name, str(error))
            return parse_duration(default)
