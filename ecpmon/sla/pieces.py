"""What lies between two marks, told by its first and its last entry: outages that begin, go on and end there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecpmon.model.sums import Entry, Mark


@dataclass(frozen=True, slots=True)
class Piece:
    """What lies between two marks, at least one entry: the first and the last of them."""

    a: Mark
    b: Mark
    first: Entry
    last: Entry

    @property
    def reaches_in(self) -> bool:
        return self.first is self.a.last

    @property
    def begun(self) -> Entry | None:
        """The first entry that begins inside."""
        following = self.a.next
        return following if following is not None and following.starts < self.b.at else None

    @property
    def downs(self) -> int:
        """How many of its entries are down."""
        begun = self.begun
        inside = self.last.downs_before + self.last.is_down - begun.downs_before if begun else 0
        return inside + (self.reaches_in and self.first.is_down)

    @property
    def outages(self) -> int:
        begun = self.begun
        inside = self.last.outages_before + self.last.opens - begun.outages_before if begun else 0
        # The first one began before, but here it is seen to begin.
        return inside + (self.first.is_down and (self.reaches_in or self.first.joins is not None))

    @property
    def begins_with(self) -> Entry | None:
        """Down time of its first outage, if no gap comes before."""
        return self.first if self.first.is_down else None

    @property
    def ends_with(self) -> datetime | None:
        """When its last outage began, which may be before the piece; None: a gap comes after."""
        return self.last.outage_at


def piece_between(a: Mark, b: Mark) -> Piece | None:
    """None: up all the time."""
    first = a.last if a.last is not None and a.last.ends > a.at else a.next
    if first is None or b.last is None or first.starts >= b.at:
        return None
    return Piece(a, b, first, b.last)
