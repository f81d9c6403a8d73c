"""Rate limit per caller: token buckets in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

# Buckets kept; the least recently used is forgotten, which at worst forgives its caller's past.
MAX_BUCKETS: Final = 10_000


class RateLimiter:
    """Each key may spend `burst` at once and `rate` per second after that."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, key: str) -> int:
        """0 when the caller may go on, else the whole seconds after which it may try again."""
        now = self._monotonic()
        level, at = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - level) / self._rate))
