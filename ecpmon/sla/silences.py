"""Whom a silence is about, when it is on, and what is told while it is. Pure.

States of an alert, as those whom its rule tells know it:

    nobody knows ── fires, and no silence is on ──► told ── resolved, silence or not ──► nobody knows
      │                                              ▲
      └── fires while a silence is on ──► owed ──────┘ it still fires when no silence is on any more
                                            │
                                            └── resolved ──► nobody knows: nobody was told that it fired

Formula, of a message about an alert:

    it fires    is told where no silence of its tenant that matches it is on
    resolved    is told unless the alert is owed

So whoever was told that something fires is told at once that it is over, also in a silence: what he has open (an
incident, a ticket) is closed by it, and wakes nobody. What began and ended in a silence is on record, and told nobody.
A message that tells once more that something fires (a rule has calmed) changes neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

from ecpmon.errors import ValidationFailed
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.silences import Matcher, Silence
from ecpmon.sla.exclusions import fits
from ecpmon.sla.maintenance import merged, occurrences, recurrence, zone

# What lasts longer recurs, or is no alert that anybody wants.
LONGEST: Final = timedelta(days=31)
AHEAD: Final = timedelta(days=366)
# With COUNT what recurs is counted from its start, whenever it is asked about.
MOST_TIMES: Final = 1_000
# What recurs for longer, or until then, recurs for ever.
LONG_AFTER: Final = timedelta(days=3_660)
_FAR: Final = 2_200
_INSTANT: Final = timedelta(microseconds=1)
# Of those to come that are shown.
SHOWN_AHEAD: Final = timedelta(days=90)
SHOWN: Final = 10
SilenceState = Literal["active", "pending", "expired"]


class Rule(Protocol):
    """What silences ask of one."""

    @property
    def rule_id(self) -> str: ...

    @property
    def alert_name(self) -> str: ...

    @property
    def severity(self) -> str: ...


def matches(matcher: Matcher, rule: Rule) -> bool:
    """Whether a silence is about what the rule does."""
    if matcher.rule_id is not None and matcher.rule_id != rule.rule_id:
        return False
    if matcher.severities and rule.severity not in matcher.severities:
        return False
    return not matcher.alerts or any(fits(pattern, rule.alert_name) for pattern in matcher.alerts)


def times(silence: Silence, start: datetime, end: datetime) -> list[Interval]:
    """When it is on within `[start, end)`."""
    if silence.ends_at is not None:
        end = min(end, silence.ends_at)
    return occurrences(_planned(silence), start, end) if start < end else []


def is_on(silence: Silence, now: datetime) -> bool:
    return bool(times(silence, now, now + _INSTANT))


def on_until(silence: Silence, now: datetime) -> datetime | None:
    """When the occurrence ends that is on; None: none is."""
    found = times(silence, now, now + LONGEST + _INSTANT) if is_on(silence, now) else []
    return found[0].end if found else None


def state_of(silence: Silence, now: datetime) -> SilenceState:
    """`expired`: it is never on again within a year."""
    if is_on(silence, now):
        return "active"
    return "pending" if times(silence, now, now + AHEAD) else "expired"


def counts(silence: Silence, now: datetime) -> bool:
    """Whether it is on; one that nobody can read (it was edited by hand) silences nothing."""
    try:
        return is_on(silence, now)
    except ValidationFailed:
        return False


def silencing(silences: Iterable[Silence], rule: Rule) -> Silence | None:
    """Of silences that are on, the first for which nobody is told what the rule does."""
    return next((s for s in silences if matches(s.matcher, rule)), None)


def is_owed(silences: Iterable[Silence], rule: Rule, since: datetime, now: datetime) -> bool:
    """Whether whoever keeps a list of alerts need not hear of one that fires `since` then: at no instant since it began
    none was on that had been made. So what was told once goes on being told, whatever silences come later. The list of
    `alert_hushed` knows of rules that tell somebody themselves, and who keeps such a list is told of all."""
    about = [s for s in silences if matches(s.matcher, rule)]
    reach, end = min(since, now), now + _INSTANT
    if not (any(counts(s, now) for s in about) and any(counts(s, reach) for s in about)):
        return False
    while reach < end:
        until = min(reach + LONGEST, end)
        on = merged(i for s in about for i in _made_times(s, reach, until))
        if not on or on[0].start > reach or on[0].end < until:
            return False
        reach = until
    return True


def _made_times(silence: Silence, start: datetime, end: datetime) -> list[Interval]:
    """When it is on within `[start, end)`, from when it was made on; of one that nobody can read never."""
    try:
        return times(silence, max(start, silence.created_at), end)
    except ValidationFailed:
        return []


@dataclass(frozen=True, slots=True)
class Said:
    """What becomes of a message, and whether its alert is owed from then on."""

    told: bool
    owed: bool


def said(*, fires: bool, again: bool, owed: bool, silenced: bool) -> Said:
    """`fires`: the message says so, else that it is over; `again`: it told so before, unless it is `owed`."""
    if not fires:
        return Said(told=not owed, owed=False)
    if not silenced:
        return Said(told=True, owed=False)
    return Said(told=False, owed=owed or not again)


def checked(silence: Silence, now: datetime) -> Silence:
    """`silence`, when it can be meant (`check`). One that recurs so many times, or until then, is over with the last.

    Raises ValidationFailed naming the field.
    """
    check(silence, now)
    end = _end_of_all(silence)
    if end is None:
        return silence
    if end <= now:
        message = "lies in the past: it would silence nothing"
        raise ValidationFailed(f"rrule: {message}", fields=[{"field": "rrule", "message": message}])
    return replace(silence, ends_at=end)


def _end_of_all(silence: Silence) -> datetime | None:
    """From when on one that recurs is surely over; None: it goes on, or is no rule. For one that was checked."""
    if silence.rrule is None:
        return None
    found = recurrence(silence.rrule, silence.start, silence.time_zone)
    if (until := found.rule.until) is not None:
        last = until if until.tzinfo else until.replace(tzinfo=found.zone)
        return max(last, silence.start).astimezone(UTC) + silence.duration if last.year < _FAR else None
    if found.rule.count is None:
        return None
    begins = list(found.begins(found.local.date(), found.local.date() + LONG_AFTER))
    return begins[-1] + silence.duration if len(begins) == found.rule.count else None


def check(silence: Silence, now: datetime) -> None:
    """Refuse what cannot be meant. Raises ValidationFailed naming the field."""
    problem = _problem(silence, now)
    if problem:
        field, message = problem
        raise ValidationFailed(f"{field}: {message}", fields=[{"field": field, "message": message}])
    zone(silence.time_zone)
    if silence.rrule is not None:
        rule = recurrence(silence.rrule, silence.start, silence.time_zone, new=True).rule
        if rule.count is not None and rule.count > MOST_TIMES:
            message = f"COUNT is at most {MOST_TIMES} here; say UNTIL instead"
            raise ValidationFailed(f"rrule: {message}", fields=[{"field": "rrule", "message": message}])


def _problem(silence: Silence, now: datetime) -> tuple[str, str] | None:
    if silence.duration <= timedelta(0):
        return "end", "must lie after start"
    if silence.duration > LONGEST:
        return "end", f"a silence lasts at most {LONGEST.days} days; say rrule for one that recurs"
    if silence.start > now + AHEAD:
        return "start", "lies more than a year ahead"
    if silence.rrule is None and silence.start + silence.duration <= now:
        return "end", "lies in the past: it would silence nothing"
    if silence.start < now - AHEAD:
        return "start", "lies more than a year ago"
    return None


def _planned(silence: Silence) -> Maintenance:
    """As what recurs is worked out."""
    return Maintenance(
        silence.silence_id,
        silence.start,
        silence.duration,
        silence.reason,
        silence.created_by,
        silence.created_at,
        silence.time_zone,
        silence.rrule,
    )
