"""A timeline as the database hands it over, to be taken apart elsewhere: ten thousand spans are one value of bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.spans import Head, attribute, timeline

# Begin and end in microseconds since 2000, the share, the doubts of both changes, what is unknown beside the share, the
# first letters of state and reason.
_SPAN: Final = struct.Struct(">qqddddcc")
ORIGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_STATES: Final = {state.value[:1].encode(): state for state in SpanState}
_REASONS: Final = {b" ": None, **{reason.value[:1].encode(): reason for reason in GapReason}}


@dataclass(frozen=True, slots=True)
class PackedTimeline:
    """Closed spans as bytes, in order, and what the rest follows from, up to `now`.

    `silent`: what the gap after the last observation is put down to while our collector was `awake`; None: nobody
    asked.
    """

    spans: bytes
    head: Head | None
    now: datetime
    awake: Sequence[Interval] = ()
    silent: GapReason | None = None

    def __len__(self) -> int:
        """How many closed spans."""
        return len(self.spans) // _SPAN.size

    @property
    def tail(self) -> Interval | None:
        """The gap after the last observation."""
        if self.head is None or self.head.expires >= self.now:
            return None
        return Interval(self.head.expires, self.now)

    def open(self) -> list[Span]:
        closed = [
            Span(_at(start), _at(end), _STATES[state], _REASONS[reason], share, doubt, after, unknown)
            for start, end, share, doubt, after, unknown, state, reason in _SPAN.iter_unpack(self.spans)
        ]
        spans = timeline(closed, self.head, self.now, None)
        return spans if self.silent is None else attribute(spans, self.awake, self.silent)

    def troubles(self, start: datetime, most: int) -> list[Span]:
        """The newest `most` that are not up and end after `start`, oldest first."""
        return [s for s in self.open() if s.state is not SpanState.UP and s.end > start][-most:]


NOTHING: Final = PackedTimeline(b"", None, ORIGIN)


def _at(micros: int) -> datetime:
    return ORIGIN + timedelta(microseconds=micros)
