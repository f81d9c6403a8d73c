"""The statement as JSON-able data, which is what is kept, shown and compared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast, overload

from ecpmon.model.availability import GapReason, Span
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.statements import ComingDay, Contract, Day, Exclusion, Statement
from ecpmon.sla import hours, incidents
from ecpmon.sla.budgets import allowed
from ecpmon.sla.statements import coming, instant, limit_of, since_versions

if TYPE_CHECKING:
    from ecpmon.model.statement_documents import (
        MonthToCome,
        Rest,
        StatementContract,
        StatementDay,
        StatementDocument,
        StatementExclusion,
        StatementGap,
    )

# Decimals of what a contract says in percent: targets have eight digits at most.
DIGITS: Final = 10
_AGREED: Final = frozenset({"contract", "credit_percent", "credit_bounds"})


def document(s: Statement) -> StatementDocument:
    """The statement as JSON-able data: percentages 0–100, minutes, RFC 3339."""
    r, left = s.result, s.result.budget
    said: StatementDocument = {
        "tenant_id": s.tenant_id,
        "name": s.name,
        "month": s.month,
        # What it is the statement of: of a quarter or a year, which `month` is not.
        "of": s.month,
        "state": "final" if s.final else "preliminary",
        "period": {"start": instant(r.start), "end": instant(r.end)},
        # Within the month, which ends with it.
        "deleted_at": None if s.deleted_at is None else instant(s.deleted_at),
        "contract": _contract(s.contract),
        "availability": _percent(r.availability),
        "availability_other_accounting": _percent(r.availability_other_accounting),
        "bounds": {"low": _percent(r.low), "high": _percent(r.high)},
        "coverage": _percent(r.coverage),
        "verdict": r.verdict,
        "credit_percent": _agreed(s.credit),
        # What it would be if everything that nobody measured was up, and down.
        "credit_bounds": {"low": _agreed(s.credit_bounds[0]), "high": _agreed(s.credit_bounds[1])},
        "eligible_minutes": r.tally.eligible / 60,
        "down_minutes": r.tally.down / 60,
        "gap_minutes": r.tally.gap / 60,
        "maintenance_minutes": r.tally.maintenance / 60,
        "outside_minutes": r.tally.outside / 60,
        # Of the week, in words; null: every hour. With the holidays: `contract.hours`.
        "service_hours": None if s.contract.hours is None else hours.words(hours.stored(s.contract.hours)),
        "error_budget": {
            "total_minutes": left.total / 60,
            "consumed_minutes": left.consumed / 60,
            "remaining_minutes": left.remaining / 60,
        },
        "failure_count": r.failure_count,
        "recovery_time_avg": r.recovery_time_avg,
        # Outages with less up time than that between them are one.
        "flap_limit_seconds": incidents.FLAP_LIMIT.total_seconds(),
        "days": [_day(d) for d in s.days],
        "incidents": [
            {
                # Its own begin and end, which may lie outside of the month; what lies inside is counted.
                "start": instant(i.start),
                "end": None if i.ongoing and s.deleted_at is None else instant(i.end),
                "ongoing": i.ongoing and s.deleted_at is None,
                "counted": {"start": instant(i.counted.start), "end": instant(i.counted.end)},
                "down_minutes": i.down_seconds / 60,
                # Down time of all of it, outside of maintenance: `recovery_time_avg` is the mean of these.
                "recovery_minutes": None if i.ongoing else i.recovery_seconds / 60,
            }
            for i in s.incidents
        ],
        "gaps": [_gap(g) for g in s.gaps],
        "exclusions": [_excluded(e) for e in s.exclusions],
        # Of the minutes that were measured; together they are `maintenance_minutes`.
        "exclusion_minutes": {c.value: seconds / 60 for c, seconds in s.by_category.items() if seconds},
        # What was entered and does not count, because nobody has approved it.
        "uncounted_exclusions": [{**_excluded(e), "lacks": e.lacks} for e in s.uncounted],
        # What was once taken out, and by whom it was put back.
        "withdrawn": [
            {
                "start": instant(w.planned.start),
                "rrule": w.planned.rrule,
                "reason": w.planned.reason,
                "withdrawn_by": w.removed_by,
                "withdrawn_at": instant(w.removed_at),
            }
            for w in s.withdrawn
        ],
        "digest": s.digest,
    }
    _tell_rest(said, s.to_come)
    return said


def _contract(c: Contract) -> StatementContract:
    said: StatementContract = {
        "version": c.version,
        "target": _agreed(c.target),
        "maintenance_accounting": c.accounting,
        "time_zone": c.time_zone,
        "credit_tiers": [
            {"below": _agreed(limit_of(t, c)), "credit_percent": _agreed(t.credit)} for t in c.tiers
        ],
    }
    for more in since_versions(c):
        said.update(cast("StatementContract", more))
    return said


def _tell_rest(said: Rest, to_come: Sequence[ComingDay]) -> None:
    """What will yet be eligible; nothing of a month that is over: what is closed does not change."""
    if to_come:
        said["to_come_minutes"] = sum(d.seconds for d in to_come) / 60
        said["days_to_come"] = [
            {"date": d.day.isoformat(), "eligible_minutes": d.seconds / 60} for d in to_come
        ]


def coming_document(month: str, contract: Contract, planned: Sequence[Maintenance]) -> MonthToCome:
    """What is told of a month that has not begun, of an open quarter or year. Raises ValidationFailed."""
    days = coming(month, contract, planned)
    total = allowed(contract.target) * sum(d.seconds for d in days) / 60
    said: MonthToCome = {
        "month": month,
        "contract": _contract(contract),
        "error_budget": {"total_minutes": total},
    }
    _tell_rest(said, days)
    return said


def _gap(g: Span) -> StatementGap:
    found: StatementGap = {
        "start": instant(g.start),
        "end": instant(g.end),
        # As far as the tenant is unknown.
        "minutes": g.gap_seconds / 60,
        "reason": str(g.reason or GapReason.PART_SILENT),
    }
    if not g.is_blind:
        found["share"] = g.unknown_share
    return found


def _excluded(e: Exclusion) -> StatementExclusion:
    return {
        "start": instant(e.interval.start),
        "end": instant(e.interval.end),
        "category": e.category,
        "reason": e.reason,
        "approved_by": e.approved_by,
        "approved_at": None if e.approved_at is None else instant(e.approved_at),
        "entered_at": instant(e.entered_at),
    }


def _day(d: Day) -> StatementDay:
    return {
        "date": d.day.isoformat(),
        "availability": _percent(d.availability),
        # 1,500 on a day of 25 hours; less what was left out.
        "eligible_minutes": d.tally.eligible / 60,
        "down_minutes": d.tally.down / 60,
        "gap_minutes": d.tally.gap / 60,
        "maintenance_minutes": d.tally.maintenance / 60,
        "outside_minutes": d.tally.outside / 60,
    }


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What a restatement changes: top-level figures as old and new, lists as what was added and removed.

    Entries of lists are told apart by what both documents say of them: a later release may say more.
    """
    changes: dict[str, Any] = {}
    before = _as_now(before, after)
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if old == new or key == "digest" or (key in _AGREED and _written(old) == _written(new)):
            continue
        if isinstance(old, list) and isinstance(new, list):
            removed, added = _apart(old, new)
            if removed or added:
                changes[key] = {"removed": removed, "added": added}
        else:
            changes[key] = {"old": old, "new": new}
    return changes


def _as_now(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """A statement with what those of earlier releases do not say: all that they left out was maintenance."""
    taken, plain = before.get("maintenance_minutes"), {"category": "maintenance", "approved_at": None}
    more = {"exclusion_minutes": {"maintenance": taken} if taken else {}, "uncounted_exclusions": []}
    found = {**{name: value for name, value in more.items() if name in after}, **before}
    if "exclusions" in before:
        found["exclusions"] = [{**plain, **e} for e in before["exclusions"]]
    return found


def _written(value: Any) -> Any:
    """What a contract says in percent, without the digits that earlier releases added to it."""
    if isinstance(value, dict):
        return {name: _written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _apart(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any]]:
    """Entries of the one that are not in the other, and the other way round."""
    said = [set().union(*(e for e in entries if isinstance(e, dict))) for entries in (old, new)]
    both = said[0] & said[1]

    def seen(entry: Any) -> Any:
        return _frozen({k: v for k, v in entry.items() if k in both} if isinstance(entry, dict) else entry)

    # Where one of the lists is empty there is nothing to compare with.
    known = [{seen(entry) for entry in entries} for entries in (old, new)]
    return [e for e in old if seen(e) not in known[1]], [e for e in new if seen(e) not in known[0]]


def _frozen(value: Any) -> Any:
    """JSON-able data as something that sets can hold, equal where the data is."""
    if isinstance(value, dict):
        return tuple((key, _frozen(value[key])) for key in sorted(value))
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@overload
def _agreed(fraction: float) -> float: ...
@overload
def _agreed(fraction: None) -> None: ...
@overload
def _agreed(fraction: float | None) -> float | None: ...
def _agreed(fraction: float | None) -> float | None:
    """What a contract says in percent, as people wrote it: 7 and not 7.000000000000001. Nothing measured is rounded."""
    return None if fraction is None else round(fraction * 100, DIGITS)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else fraction * 100
