"""Rates: how much of something each key may use per second, of one process or of all of a machine."""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import datetime
from typing import Final

from ecpmon.errors import RateLimited
from ecpmon.ledger import Ledger

_MAX_KEYS: Final = 10_000


class Buckets:
    """Token buckets by key. Who still has something may spend more than that, and is refused until it is made up.

    So one request may be larger than the bucket, while the rate holds over time. With a `ledger` a bucket is one for
    all processes of the machine: what the others took is missing here as soon as one looks, so that together they
    spend no more than the bucket, what it gains, and a request each.
    """

    def __init__(
        self, what: str, rate: float, burst: float, ledger: Ledger | None = None, *, unit: str = "requests"
    ) -> None:
        """`unit`: what `policy` says that is counted."""
        self._what = what
        self._name = what.replace(" ", "_")
        quota, window = math.floor(burst), max(1, math.ceil(burst / rate))
        # A structured field (RFC 9651).
        self.policy = f'"{self._name}";q={quota};w={window}' + ("" if unit == "requests" else f';qu="{unit}"')
        self._rate = rate
        self._burst = burst
        self._ledger = ledger
        # The level, when it was so, and what the others had taken by then.
        self._levels: OrderedDict[str, tuple[float, datetime, float]] = OrderedDict()

    def _level(self, key: str, now: datetime) -> float:
        return self._look(key, now)[0]

    def _look(self, key: str, now: datetime) -> tuple[float, float]:
        """The level, and what the others have taken in all."""
        taken = self._ledger.total_of_others(self._shared(key)) if self._ledger else 0.0
        known = self._levels.get(key)
        if known is None:
            return self._burst - self._owed(key, now), taken
        level, at, taken_before = known
        gained = (now - at).total_seconds() * self._rate
        if gained > 0:  # a clock that steps back must neither fill nor empty a bucket
            level += gained
        level -= taken - taken_before
        return level if level < self._burst else self._burst, taken

    def _shared(self, key: str) -> str:
        return f"{self._what} {key}"

    def _owed(self, key: str, now: datetime) -> float:
        """What the processes of the machine have taken of a bucket that is new here, and was not made up yet."""
        if self._ledger is None:
            return 0.0
        own, shared = self._ledger.own(self._shared(key)), self._ledger.others(self._shared(key))
        entries = [*shared, *([own] if own else [])]
        since = now.timestamp()
        return max((e.owed - max(0.0, since - e.at) * self._rate for e in entries), default=0.0)

    def has_some(self, key: str, now: datetime) -> bool:
        return self._level(key, now) >= 1

    def check(self, key: str, now: datetime) -> None:
        """Raises RateLimited while less than one is left."""
        if self._ledger is None and (known := self._levels.get(key)) is not None and known[0] >= 1:
            return  # it has not become less since
        level = self._level(key, now)
        if level < 1:
            text = f"more than {self._rate:g} {self._what} per second; slow down"
            error = RateLimited(text, details={"limit": self._name})
            error.retry_after = self._until_one(level)
            error.limits = self.policy, self._told(level)
            raise error

    def left(self, key: str, now: datetime) -> str:
        """What is left in it, as `RateLimit` says it: so many, and more of them after `t` seconds."""
        return self._told(self._level(key, now))

    def _told(self, level: float) -> str:
        more = f";t={self._until_one(level)}" if level < self._burst else ""
        return f'"{self._name}";r={max(0, math.floor(level))}{more}'

    def _until_one(self, level: float) -> int:
        """Whole seconds until one more is there."""
        return max(1, math.ceil((1 - level) / self._rate))

    def charge(self, key: str, amount: float, now: datetime) -> None:
        """Take `amount`, below nothing if need be."""
        level, taken = self._look(key, now)
        self._levels[key] = level - amount, now, taken
        self._levels.move_to_end(key)
        if self._ledger:
            self._ledger.add(self._shared(key), amount, self._burst - level + amount, now.timestamp())
        if len(self._levels) > _MAX_KEYS:
            self._levels.popitem(last=False)

    def wait(self, key: str, now: datetime) -> float:
        """One of them, for who will wait and is not refused: the seconds until it has been made up."""
        self.charge(key, 1, now)
        return max(0.0, -self._level(key, now) / self._rate)

    def take(self, key: str, now: datetime) -> None:
        """One of them. Raises RateLimited; what is refused costs nothing more."""
        self.check(key, now)
        self.charge(key, 1, now)
