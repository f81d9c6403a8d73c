"""What a piece of work costs, in a unit that fast and slow machines agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_TIMES = 3


def unit() -> float:
    """Processor seconds of a fixed piece of Python: 5 to 10 ms on a server of 2026."""
    begun = time.thread_time()
    for _ in range(_TIMES):
        sum(number * number for number in range(50_000))
    return time.thread_time() - begun


@contextmanager
def at_most(units: float) -> Iterator[None]:
    """What this thread does inside costs at most so many times `unit()`; give it a multiple of what was measured.

    Processor time, not the wall's: waiting costs nothing. Before and after, as a busy machine changes its pace.
    """
    before = unit()
    begun = time.thread_time()
    yield
    spent = time.thread_time() - begun
    found = spent / max(before, unit())
    assert found <= units, f"{found:.0f} units of work ({spent:.2f} s), and at most {units:g} were expected"
