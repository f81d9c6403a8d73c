"""Times that callers give: read, and bounded before anybody stores them or computes with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

from ecpmon.api.common import bad_field

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def parse_time(text: str, local: tzinfo = UTC) -> datetime:
    """Any ISO 8601 time; a naive one is `local`. Raises ValueError, also when UTC lies outside of all years."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=local)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is not in the calendar as UTC") from error


def is_naive(text: str | None) -> bool:
    """Whether a text is a time that does not say in which zone."""
    try:
        return text is not None and datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def is_skipped(text: str, local: tzinfo) -> bool:
    """Whether a text that `parse_time` takes is a wall-clock time that `local` skips."""
    at = datetime.fromisoformat(text)
    return at.tzinfo is None and parse_time(text, local).astimezone(local).replace(tzinfo=None) != at


def parse_any_time(text: str) -> datetime:
    """The same for who asks for the `nearest` of it: what is in no year of UTC is as its own clock shows it."""
    try:
        return parse_time(text)
    except ValueError:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_range(at: datetime) -> datetime:
    """`at`, in UTC, when years can be added to it and subtracted. Raises ValueError.

    No measurement and no plan lies outside of this range; what is stored and computed with must be inside.
    """
    if not EARLIEST <= at < LATEST:
        raise ValueError(f"must lie in the years {EARLIEST.year} to {LATEST.year - 1}")
    return at.astimezone(UTC)


def nearest(at: datetime) -> datetime:
    """`at`, or the end of the range that it lies beyond: where refusing it would lose what it is the time of."""
    return min(max(at, EARLIEST), LATEST - timedelta(seconds=1))


# A time in a body.
JsonTime = Annotated[AwareDatetime, AfterValidator(in_range)]


def read_time(text: str, local: tzinfo = UTC) -> datetime:
    """A time that may be stored and computed with; a naive one is `local`. Raises ValueError with what to do."""
    try:
        at = parse_time(text, local)
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-01-20T14:30:00Z") from None
    return in_range(at)


def _asked(text: object) -> object:
    if not isinstance(text, str):
        return text
    # A `+` of an offset that was not escaped arrives as a space.
    return read_time(text.replace(" ", "+") if "T" in text else text)


# A time in a query string; without an offset it is UTC.
QueryTime = Annotated[
    datetime,
    BeforeValidator(_asked),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-20T14:30:00Z"]}),
]


def time_of(text: str, field: str, local: tzinfo = UTC) -> datetime:
    """A time as `read_time`. Raises ValidationFailed naming the field."""
    try:
        return read_time(text, local)
    except ValueError as error:
        raise bad_field(field, str(error)) from None
