"""When a failed delivery is tried again, and when it is given up. Pure; the dice are passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecpmon.model.delivery import DeliveryQueue


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: a random part of `base * 2**attempt`, at most `longest`.

    A delivery is given up `give_up` after its creation, yet never before `least_tries`, so that what waited
    while we were down, or behind another delivery, still gets its chance.
    """

    base: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=1)
    # Full jitter may draw nearly zero; a receiver in trouble gets at least this pause.
    shortest: timedelta = timedelta(seconds=1)
    give_up: timedelta = timedelta(hours=24)
    least_tries: int = 3

    def delay(self, attempt: int, random: Callable[[], float]) -> timedelta:
        """Pause after try number `attempt` (from 0). `random` draws from [0, 1)."""
        ceiling = min(self.longest, self.base * (1 << min(attempt, 20)))
        return max(self.shortest, ceiling * random())

    def next_attempt(
        self,
        *,
        attempt: int,
        created_at: datetime,
        now: datetime,
        random: Callable[[], float],
        retry_after: timedelta | None = None,
        receiver_failures: int = 0,
    ) -> datetime | None:
        """When to try again after try number `attempt` (from 0) failed at `now`; None: give up.

        `retry_after` is the receiver's own wish. The last try is at `created_at + give_up`, not after.
        `receiver_failures`: in a row before this try; what waited behind them for a day needs no more proof.
        """
        deadline = created_at + self.give_up
        tries_left = max(attempt, receiver_failures) + 1 < self.least_tries
        if now >= deadline and not tries_left:
            return None
        wanted = now + max(self.delay(attempt, random), retry_after or timedelta(0))
        return wanted if tries_left else min(wanted, deadline)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Leaves a receiver alone that failed `threshold` times in a row: one try after each rest, which doubles."""

    threshold: int = 3
    base: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=1)

    def rests_until(self, queue: DeliveryQueue) -> datetime | None:
        """Until when nothing is sent to a queue's receiver; None: it is not left alone."""
        if queue.failed_at is None or queue.failures < self.threshold:
            return queue.asked_until
        rest = min(self.longest, self.base * (1 << min(queue.failures - self.threshold, 20)))
        return max(queue.failed_at + rest, queue.asked_until or queue.failed_at)
