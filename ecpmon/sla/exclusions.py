"""Which windows count, and who may let them. Pure.

Rules: what somebody else has approved counts. What needs approval and has none does not, nor does what begins sooner
after it was entered than the notice demands; of a recurring window that is decided for each occurrence. What does not
count yet is shown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ecpmon.errors import Conflict, Forbidden
from ecpmon.model.maintenance import Interval, Maintenance


class Lacks(StrEnum):
    """Why a window does not count."""

    APPROVAL = "needs_approval"
    NOTICE = "late_notice"


def lacks(planned: Maintenance, begin: datetime) -> Lacks | None:
    """Why the occurrence that begins then does not count; None: it does."""
    if planned.approved_at is not None:
        return None
    if planned.needs_approval:
        return Lacks.APPROVAL
    if planned.notice is not None and begin < planned.created_at + planned.notice:
        return Lacks.NOTICE
    return None


def lacks_at_first(planned: Maintenance) -> Lacks | None:
    """Why its first occurrence does not count: later ones lack nothing else."""
    return lacks(planned, planned.start)


def agreed_by(planned: Maintenance) -> str | None:
    """Who answers for it in a statement; None while somebody else has to."""
    if planned.approver is not None:
        return planned.approver
    return None if planned.needs_approval else planned.approved_by or planned.created_by


def check_approval(planned: Maintenance, by: str, token: str | None) -> None:
    """Raises Conflict for what needs no approval, Forbidden for who entered it."""
    if lacks_at_first(planned) is None:
        raise Conflict(
            "it counts as it is; there is nothing to approve",
            details={"maintenance_id": planned.maintenance_id},
        )
    if by == planned.created_by or (token is not None and token == planned.token):
        raise Forbidden("somebody else than who entered it has to approve it")


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A part of a period that is planned and does not count yet."""

    interval: Interval
    planned: Maintenance
    lacks: Lacks


def selected(names: Collection[str] | None, pattern: str | None, tenant_id: str) -> bool:
    """Whether a tenant's name is listed, and fits a pattern in which `*` is any text."""
    return (names is None or tenant_id in names) and (pattern is None or fits(pattern, tenant_id))


def fits(pattern: str, text: str) -> bool:
    """Whether the text is like the pattern, in which `*` is any text. Time grows with the length of both only."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
