"""The one history that every system under test is given: a minute slot is up, down or not observed.

The same seed gives the same history. Nothing is measured here.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecpmon.model.availability import Observation, Span
from ecpmon.sla.spans import Head, lay, make_head

SLOT = timedelta(minutes=1)
DAYS = 30
SLOTS = DAYS * 1440
METRIC = "ecpmon_up"
# Incidents begin on a grid wider than the longest of them, so that two never touch.
_GRID, _LONGEST = 30, 20
_ENTRY = 18  # bytes of one encoded sample, its header included


@dataclass(frozen=True, slots=True)
class Run:
    """`length` slots from `first` on that were down, or (not `down`) not observed."""

    first: int
    length: int
    down: bool


@dataclass(frozen=True, slots=True)
class History:
    """`tenants` tenants over the 30 days from `start`, each with `incidents` outages and `gaps` silences."""

    tenants: int
    start: datetime
    incidents: int = 50
    gaps: int = 5

    @property
    def now(self) -> datetime:
        """Just before the slot after the last one: every window of whole slots ends with the last slot."""
        return self.start + SLOTS * SLOT - timedelta(milliseconds=1)

    def runs(self, tenant: int) -> list[Run]:
        dice = random.Random(tenant)
        places = dice.sample(range(1, SLOTS // _GRID), self.incidents + self.gaps)
        found = [
            Run(place * _GRID, dice.randint(1, _LONGEST), number < self.incidents)
            for number, place in enumerate(places)
        ]
        return sorted(found, key=lambda run: run.first)

    def observations(self, tenant: int) -> list[Observation]:
        """Every single one, for checking what `spans` does with runs."""
        states = _states(self.runs(tenant))
        return [
            Observation(self.start + slot * SLOT, down, SLOT)
            for slot in range(SLOTS)
            if (down := states.get(slot, False)) is not None
        ]

    def spans(self, tenant: int) -> tuple[list[Span], Head]:
        """What the engine makes of the observations. Equal neighbours only repeat each other, so the first and
        the last of a run of equal slots stand for it: they hold over what is between them."""
        seen = list(self._edges(tenant))
        return make_head(lay(seen, seen[-1].ts), seen[-1])

    def _edges(self, tenant: int) -> Iterator[Observation]:
        position = 0
        for run in [*self.runs(tenant), Run(SLOTS, 0, False)]:
            yield from self._edge(position, run.first, False)
            if run.down:
                yield from self._edge(run.first, run.first + run.length, True)
            position = run.first + run.length

    def _edge(self, first: int, end: int, down: bool) -> Iterator[Observation]:
        if end - first > 1:
            yield Observation(self.start + first * SLOT, down, (end - 1 - first) * SLOT)
        if end > first:
            yield Observation(self.start + (end - 1) * SLOT, down, SLOT)


def _states(runs: Sequence[Run]) -> dict[int, bool | None]:
    """The slots that are not up: True down, None not observed."""
    return {slot: run.down or None for run in runs for slot in range(run.first, run.first + run.length)}


def now_floored() -> datetime:
    """The present hour: stores refuse samples that are too old or in the future."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


class RemoteWriter:
    """Encodes a history as Prometheus remote-write requests, stretch by stretch of `slots` slots."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._states = [_states(history.runs(tenant)) for tenant in range(history.tenants)]
        self._labels = [
            _field(1, _field(1, b"__name__") + _field(2, METRIC.encode()))
            + _field(1, _field(1, b"tenant") + _field(2, tenant_name(tenant).encode()))
            for tenant in range(history.tenants)
        ]

    def request(self, first: int, slots: int, tenants: range) -> tuple[bytes, int]:
        """An uncompressed body and its number of samples."""
        begin = int(self._history.start.timestamp() * 1000)
        step = int(SLOT.total_seconds() * 1000)
        template = b"".join(_sample(begin + slot * step) for slot in range(first, first + slots))
        body = bytearray()
        samples = 0
        for tenant in tenants:
            encoded = self._stretch(tenant, first, slots, template)
            samples += len(encoded) // _ENTRY
            body += _field(1, self._labels[tenant] + encoded)
        return bytes(body), samples

    def _stretch(self, tenant: int, first: int, slots: int, template: bytes) -> bytes:
        encoded = bytearray(template)
        states = self._states[tenant]
        for index in range(slots - 1, -1, -1):
            down = states.get(first + index, False)
            if down is None:
                del encoded[index * _ENTRY : (index + 1) * _ENTRY]
            elif down:
                encoded[index * _ENTRY + 3 : index * _ENTRY + 11] = bytes(8)
        return bytes(encoded)


def tenant_name(tenant: int) -> str:
    return f"tenant-{tenant}"


def _sample(milliseconds: int) -> bytes:
    """One sample of value 1 in field 2 of a series."""
    encoded = _field(2, b"\x09" + struct.pack("<d", 1.0) + b"\x10" + _varint(milliseconds))
    assert len(encoded) == _ENTRY
    return encoded


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
