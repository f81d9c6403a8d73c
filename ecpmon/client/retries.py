"""When a request is sent again, and when not before."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ecpmon.client.errors import AnsweredError, ECPError, did_nothing, passes


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is. `attempts` counts the first one; `seconds` bounds all of them together.

    Between two attempts it waits as long as the service asked for (`Retry-After`), plus up to a tenth, so that many
    clients do not come back at the same instant; else `first_wait` seconds, doubled each time, up to `longest_wait`.
    A wait that would go beyond `seconds` is not begun: the error is raised at once.
    """

    attempts: int = 6
    seconds: float = 60.0
    first_wait: float = 0.2
    longest_wait: float = 10.0

    def hook(self, repeatable: bool, now: Callable[[], float]) -> Callable[[Exception], bool | float]:
        """What stamina asks after each failure: whether to try again, or after how many seconds."""
        end = now() + self.seconds

        def again(error: Exception) -> bool | float:
            if not isinstance(error, ECPError) or not passes(error):
                return False
            if not (repeatable or did_nothing(error)):
                return False
            asked = error.retry_after if isinstance(error, AnsweredError) else None
            if asked is None:
                return now() < end
            return False if now() + asked > end else asked * random.uniform(1, 1.1)

        return again


USUAL = Retries()
NEVER = Retries(attempts=1)
"""Every failure is raised at once."""


def retry_after_of(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a `Retry-After`, given as seconds or as a date (RFC 9110); None: absent, or neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
