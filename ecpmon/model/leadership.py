"""Who leads, as one process knows it. Pure: `now` is the reading of this process's own clock, in seconds.

That clock must never step back and should go on while the machine sleeps. Nothing is known of how it differs from the
database's clock, which alone decides when a leadership is over. Invariants (docs/adr/0012-leadership-by-term.md):

    at most one process holds       TRUST < LEASE, TRUST counted from before the request, LEASE from within it
    who is silent is replaced       at most LEASE + RENEWAL + one statement after its last renewal: within 10 s
    one lost answer is no loss      RENEWAL + ANSWER + the time to connect < TRUST
    no write after a take-over      checked by term in the transaction of the write, whatever the clocks do
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

# Seconds. By the database's clock, since a renewal was carried out: after that anybody may take over.
LEASE: Final = 6.0
# By the holder's own clock, since it asked for the renewal: after that it does not trust itself any more.
TRUST: Final = 4.0
# Between two requests, also of those who wait to take over.
RENEWAL: Final = 1.0
# How long an answer is waited for.
ANSWER: Final = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """In whose name something is written: `holder` leads as `role` in `term`. A term has one holder."""

    role: str
    term: int
    holder: UUID


@dataclass(frozen=True, slots=True)
class Answer:
    """The row after a request to keep the leadership. `mine`: renewed or taken over, for LEASE from then on."""

    term: int
    mine: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of the last answer. `term`: ours, None when it is somebody else's or nobody has answered yet."""

    term: int | None = None
    known_until: float = float("-inf")

    def heard(self, answer: Answer, asked_at: float) -> Standing:
        """After an answer to what was asked at `asked_at`, which is read before the request is sent."""
        return Standing(answer.term if answer.mine else None, asked_at + TRUST)

    def known(self, now: float) -> bool:
        """Whether the last answer is young enough to go by."""
        return now < self.known_until

    def held(self, now: float) -> bool:
        """Whether this process leads, for certain: nobody else can have taken over."""
        return self.term is not None and self.known(now)

    @property
    def presumed(self) -> bool:
        """Held, or held when it was last known, and nobody could be asked since."""
        return self.term is not None
