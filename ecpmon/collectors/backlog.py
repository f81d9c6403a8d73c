"""What of a source could not be had while the rest could: asked again, piece by piece, and then given up. Pure.

Invariants:
- One question that is refused holds up no other: the source is read on, and what was missed of this one waits here.
- A piece that is refused is halved, so that what is bad of it alone is lost; after HALVINGS, or when it is one instant,
  it is given up, with the reason. So every piece is asked for a bounded number of times.
- A question that is refused now is asked again after a pause that grows, at most LONGEST_PAUSE.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

HALVINGS: Final = 10
FIRST_PAUSE: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=5)
_MOST_PIECES: Final = 50


@dataclass(frozen=True, slots=True)
class Piece:
    """Instants from `first` to `last`, both included, in seconds since 1970. `halved`: how often."""

    first: float
    last: float
    halved: int = 0


@dataclass(frozen=True, slots=True)
class GivenUp:
    subject: str
    piece: Piece
    reason: str


@dataclass(slots=True)
class _Missing:
    pieces: deque[Piece] = field(default_factory=deque)
    reason: str = ""
    # In a row, now; 0: it answers again.
    refusals: int = 0
    next_at: datetime | None = None


class Backlog:
    """By the subject of a question. `step` in seconds between instants."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._missing: dict[str, _Missing] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        """What is refused now, and why."""
        return {subject: each.reason for subject, each in self._missing.items() if each.refusals}

    def is_due(self, subject: str, now: datetime) -> bool:
        """Whether to ask about the present; a clock that stepped back keeps nobody waiting."""
        each = self._missing.get(subject)
        return each is None or each.next_at is None or not now < each.next_at <= now + LONGEST_PAUSE

    def missed(
        self, subject: str, first: float, last: float, now: datetime, reason: str | None
    ) -> list[GivenUp]:
        """`reason` None: it was not its turn."""
        each = self._missing.setdefault(subject, _Missing())
        if reason is not None:
            each.reason = reason
            each.next_at = (
                now + min(FIRST_PAUSE * 2 ** min(each.refusals, 10), LONGEST_PAUSE) - FIRST_PAUSE / 2
            )
            each.refusals += 1
        newest = each.pieces[-1] if each.pieces else None
        if newest and not newest.halved and first <= newest.last + self._step * 1.5:
            each.pieces[-1] = Piece(newest.first, max(last, newest.last))
        else:
            each.pieces.append(Piece(first, last))
        return [
            GivenUp(subject, each.pieces.popleft(), each.reason)
            for _ in range(len(each.pieces) - _MOST_PIECES)
        ]

    def answered(self, subject: str) -> None:
        """About the present; what was missed can be asked for."""
        each = self._missing.get(subject)
        if each is not None:
            each.refusals, each.next_at = 0, None
            if not each.pieces:
                del self._missing[subject]

    def next(self, longest: float) -> tuple[str, Piece] | None:
        """Something to ask for again, of `longest` seconds at most: of a question that answers, the oldest."""
        waiting = [
            (each.pieces[0].first, subject)
            for subject, each in self._missing.items()
            if each.pieces and not each.refusals
        ]
        if not waiting:
            return None
        _, subject = min(waiting)
        pieces = self._missing[subject].pieces
        piece = pieces.popleft()
        if piece.last - piece.first > longest:
            pieces.appendleft(Piece(self._instant(piece, longest) + self._step, piece.last, piece.halved))
            piece = Piece(piece.first, self._instant(piece, longest), piece.halved)
        self._drop(subject)
        return subject, piece

    def refuse(self, subject: str, piece: Piece, reason: str) -> GivenUp | None:
        """A piece that was asked for again was refused again."""
        if piece.halved >= HALVINGS or piece.last - piece.first < self._step / 2:
            return GivenUp(subject, piece, reason)
        each = self._missing.setdefault(subject, _Missing())
        middle = self._instant(piece, (piece.last - piece.first) / 2)
        if middle + self._step <= piece.last:
            each.pieces.appendleft(Piece(middle + self._step, piece.last, piece.halved + 1))
        each.pieces.appendleft(Piece(piece.first, middle, piece.halved + 1))
        return None

    def put_back(self, subject: str, piece: Piece) -> None:
        """Nobody was there to answer."""
        self._missing.setdefault(subject, _Missing()).pieces.appendleft(piece)

    def _instant(self, piece: Piece, after: float) -> float:
        """The last instant of the piece that is no later than so long after its first."""
        return piece.first + after // self._step * self._step

    def _drop(self, subject: str) -> None:
        if not self._missing[subject].pieces and not self._missing[subject].refusals:
            del self._missing[subject]
