"""Instants as whole microseconds since the Unix epoch (UTC), and their RFC 3339 spelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

Micros = int

SECOND: Final[Micros] = 1_000_000
MINUTE: Final[Micros] = 60 * SECOND
HOUR: Final[Micros] = 60 * MINUTE
DAY: Final[Micros] = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> Micros:
    """Microseconds since the epoch of an aware `moment`; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return (moment - _EPOCH) // _TICK


def to_datetime(at: Micros) -> datetime:
    """The aware UTC datetime of `at`."""
    return _EPOCH + timedelta(microseconds=at)


def rfc3339(at: Micros) -> str:
    """`2026-11-02T08:00:00.000000Z`: always UTC, always six digits."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")[:-6] + "Z"


def from_seconds(seconds: float) -> Micros:
    """`seconds` rounded to the nearest microsecond."""
    return round(seconds * SECOND)


def parsed(text: str) -> Micros:
    """The instant that `timestamp` or `rfc3339` has written."""
    return to_micros(datetime.fromisoformat(text))


def timestamp(at: Micros) -> str:
    """Kubernetes writes whole seconds."""
    return rfc3339(at // SECOND * SECOND)[:19] + "Z"
