"""Values of ingestion: batches in, results and state changes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ecpmon.model.availability import SpanState
from ecpmon.model.samples import Frame, Source


class AttemptOutcome(StrEnum):
    OK = "ok"
    TARGET_FAILED = "target_failed"
    COLLECTOR_DOWN = "collector_down"


class Rejection(StrEnum):
    """Why a sample was not taken; also the label of the rejection counter."""

    UNKNOWN_TENANT = "unknown_tenant"
    TOO_MANY_SERIES = "too_many_series"
    NOT_A_NUMBER = "not_a_number"
    BAD_NAME = "bad_name"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"


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


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together. `watermarks`: how far a collector has got, stored with its data."""

    frames: tuple[Frame, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    watermarks: tuple[tuple[Source, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedSample:
    tenant_id: str
    metric: str
    reason: Rejection


@dataclass(frozen=True, slots=True)
class StateChange:
    """The open end of a tenant's timeline changed its state."""

    tenant_id: str
    at: datetime
    state: SpanState
    previous: SpanState | None


@dataclass(frozen=True, slots=True)
class IngestResult:
    accepted: int
    rejected: tuple[RejectedSample, ...] = ()
    changes: tuple[StateChange, ...] = ()
    frames: tuple[Frame, ...] = field(default=(), repr=False)
