"""Values of ingestion: batches in, results and state changes out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ecpmon.model.availability import SpanState
from ecpmon.model.samples import (
    EARLIEST,
    LATEST,
    Block,
    Entry,
    Frame,
    Sample,
    Source,
    all_in_range,
    in_range,
    values_of,
)

# Refused samples that an answer names one by one.
MAX_NAMED: Final = 20


class AttemptOutcome(StrEnum):
    OK = "ok"
    TARGET_FAILED = "target_failed"
    COLLECTOR_DOWN = "collector_down"


class Rejection(StrEnum):
    """Why a sample was not taken; also the label of the rejection counter."""

    UNKNOWN_TENANT = "unknown_tenant"
    TOO_MANY_SERIES = "too_many_series"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    BAD_NAME = "bad_name"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    # The tenant's own rows stand in the way; its detail says why.
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pull (or heartbeat of the push endpoint): when, how it ended, how long it took.

    `tenant_id` is None when it concerned every tenant of the source.
    """

    ts: datetime
    source: Source
    outcome: AttemptOutcome
    duration_ms: float
    detail: str | None = None
    tenant_id: str | None = None


SAMPLES_PER_ENTRY: Final = 10


def cost_of(entry: Entry) -> int:
    """What committing a frame, or the frames of a block, costs, in samples."""
    return entry.size + len(entry.instants) * SAMPLES_PER_ENTRY


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together. `watermarks`: how far a collector has got, stored with its data.

    `sound`: who made the frames has seen to it that all of it lies within the bounds of values and of time.
    """

    frames: tuple[Entry, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    watermarks: tuple[tuple[Source, datetime], ...] = ()
    sound: bool = False


@dataclass(frozen=True, slots=True)
class RejectedSample:
    tenant_id: str
    metric: str
    reason: Rejection


class Rejections:
    """What was refused: all of it counted, the first few by name."""

    def __init__(self) -> None:
        self.counts: Counter[Rejection] = Counter()
        self.named: list[RejectedSample] = []

    @property
    def full(self) -> bool:
        """Whether no more are named."""
        return len(self.named) >= MAX_NAMED

    def add(self, tenant_id: str, metric: str, reason: Rejection, count: int = 1) -> None:
        self.counts[reason] += count
        if not self.full:
            self.named.append(RejectedSample(tenant_id, metric, reason))

    def include(self, result: IngestResult) -> None:
        """Add what the commit refused."""
        self.counts.update(result.refused)
        self.named = [*self.named, *result.rejected][:MAX_NAMED]


@dataclass(frozen=True, slots=True)
class StateChange:
    """The open end of a tenant's timeline changed its state."""

    tenant_id: str
    at: datetime
    state: SpanState
    previous: SpanState | None


@dataclass(frozen=True, slots=True)
class IngestResult:
    """`rejected` names the first `MAX_NAMED` samples that were refused, `refused` counts them all."""

    accepted: int
    rejected: tuple[RejectedSample, ...] = ()
    changes: tuple[StateChange, ...] = ()
    frames: tuple[Entry, ...] = field(default=(), repr=False)
    refused: Mapping[Rejection, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Screened:
    """A batch without the samples that no database of ours may hold, and those; None: there were none."""

    batch: Batch
    rejected: Rejections | None = None


def screen(batch: Batch) -> Screened:
    """Take out of a batch what lies outside the bounds of values and of time, whatever its source."""
    if batch.sound or all(map(_is_sound, batch.frames)):
        return Screened(batch)
    frames: list[Entry] = []
    rejected = Rejections()
    for frame in batch.frames:
        if isinstance(frame, Block) or _is_sound(frame):
            frames.append(frame)
        elif not EARLIEST <= frame.ts < LATEST:
            _reject(rejected, frame, [(s, Rejection.BAD_TIMESTAMP) for s in frame.samples])
        else:
            kept = tuple(s for s in frame.samples if in_range(s.value))
            _reject(rejected, frame, [(s, _why(s)) for s in frame.samples if not in_range(s.value)])
            frames += [replace(frame, samples=kept)] if kept else []
    return Screened(replace(batch, frames=tuple(frames)), rejected if rejected.counts else None)


def _is_sound(frame: Entry) -> bool:
    if isinstance(frame, Block):
        return True  # its own invariant
    return EARLIEST <= frame.ts < LATEST and all_in_range(values_of(frame))


def _why(sample: Sample) -> Rejection:
    return Rejection.OUT_OF_RANGE if math.isfinite(sample.value) else Rejection.NOT_A_NUMBER


def _reject(rejected: Rejections, frame: Frame, samples: Iterable[tuple[Sample, Rejection]]) -> None:
    for sample, why in samples:
        rejected.add(frame.tenant_id, sample.key.metric_name, why)
