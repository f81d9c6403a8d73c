"""Counters of what is used: the model knows rates, a cAdvisor sums."""

from __future__ import annotations

from ecpmon.simulator.model.times import SECOND, Micros


class Meters:
    """Sums that begin at 0 with the first reading, as those of a cAdvisor that was just started.

    Between two readings the rate is the mean of both. They live as long as the process; whoever reads a counter takes
    a smaller number for a restart. `sweep` forgets what was not read since the last one.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Micros, float, float]] = {}
        self._read: set[str] = set()

    def read(self, key: str, now: Micros, rate: float) -> float:
        """The sum at `now` of what goes by at `rate` per second; never less than before."""
        at, before, total = self._held.get(key, (now, rate, 0.0))
        total += max(0.0, (before + rate) / 2 * (now - at) / SECOND)
        self._held[key] = (now, rate, total)
        self._read.add(key)
        return total

    def sweep(self) -> None:
        self._held = {key: self._held[key] for key in self._read}
        self._read = set()
