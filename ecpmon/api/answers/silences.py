"""Silences, and who has seen alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ecpmon.api.tenant_shapes import Pagination
from ecpmon.model.alerts import Severity
from ecpmon.openapi.declaring import TypedDict


class Times(TypedDict):
    start: datetime
    end: datetime


class ShownMatcher(TypedDict):
    """Which alerts: all that is said holds. An empty list, and null, is any."""

    rule_id: str | None
    alerts: Annotated[list[str], Field(description="names of alerts, in which `*` is any text")]
    severities: list[Severity]


class ShownSilence(TypedDict):
    """`tenants`: those of the caller's that it is for. `end`: of its first time; `ends_at`: it silences nothing from
    then on, null of one that recurs for ever."""

    silence_id: str
    tenants: list[str]
    matcher: ShownMatcher
    state: Literal["active", "pending", "expired"]
    start: datetime
    end: datetime
    duration_seconds: float
    rrule: str | None
    time_zone: str
    reason: str
    created_by: str
    created_at: datetime
    ends_at: datetime | None
    ended_by: str | None
    next_times: Annotated[list[Times], Field(description="ten, within 90 days; that which is on among them")]


class ShownSilences(TypedDict):
    silences: list[ShownSilence]
    pagination: Pagination


class OneSilence(TypedDict):
    """More than one where it was ended for some of its tenants only."""

    silences: list[ShownSilence]


class EndedSilence(TypedDict):
    """`tenants`: those for whom it was not over."""

    silence_id: str
    tenants: list[str]


class Acknowledged(TypedDict):
    """Who has seen an alert, since when, and what there was to say."""

    by: str
    at: datetime
    note: str | None


class SilencedBy(TypedDict):
    """Why nobody is told what a rule does. `until`: when that time is over."""

    silence_id: str
    until: datetime
    reason: str
    created_by: str
