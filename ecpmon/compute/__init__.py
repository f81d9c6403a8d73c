"""Where work is done that would hold the event loop: in processes of its own, or in threads.

`Hands` is the one interface; `threads` and `processes` are its two kinds, and one contract test holds for both
(tests/unit/compute/test_hands.py). What is handed over is a function of a module, and arguments and results that
pickle: cheaply, because that is done on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from ecpmon.errors import Overloaded

RETRY_AFTER: Final = 2


class Hands(Protocol):
    """So many of them work at once; whose turn it is, others decide (`workers.Workers`)."""

    @property
    def count(self) -> int: ...

    async def work(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], limit: float
    ) -> Any:
        """What `function` returns or raises.

        Raises Overloaded when that took more than `limit` seconds of a process, which is ended then (a thread goes
        on), or when the process ended by itself. Not more than `count` at once.
        """
        ...

    async def close(self) -> None:
        """End what is still at work."""
        ...


def refusal(limit: str, what: str) -> Overloaded:
    """`what` went wrong, in words; `limit` for programs."""
    error = Overloaded(
        f"{what}; try again in {RETRY_AFTER} s, or ask for less", details={"limit": f"workers_{limit}"}
    )
    error.retry_after = RETRY_AFTER
    return error
