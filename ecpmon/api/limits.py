"""Requests per caller: a token bucket in memory."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Final

from ecpmon.errors import RateLimited

RATE_PER_SECOND: Final = 200.0
BURST: Final = 1_000.0
_MAX_CALLERS: Final = 10_000


class RateLimiter:
    """`check(caller, now)` raises RateLimited once a caller's bucket is empty."""

    def __init__(self, rate: float = RATE_PER_SECOND, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def check(self, caller: str, now: datetime) -> None:
        level, at = self._buckets.pop(caller, (self._burst, now))
        # A clock that steps back must neither fill nor empty a bucket.
        level = min(self._burst, level + max(0.0, (now - at).total_seconds()) * self._rate)
        self._buckets[caller] = (max(level - 1, 0.0), now)
        if len(self._buckets) > _MAX_CALLERS:
            self._buckets.popitem(last=False)
        if level < 1:
            raise RateLimited(f"more than {self._rate:g} requests per second; slow down")
