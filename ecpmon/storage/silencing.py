"""Which messages about events are silenced, decided in the transaction that stores the events.

The states of their rules are locked then, so nobody else decides about the same alerts. Formula: `sla.silences`.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ecpmon.model.alerts import AlertRule, RuleStatus, TransitionReason
from ecpmon.model.silences import Silence
from ecpmon.ports.alerts import NewEvent
from ecpmon.sla.silences import counts, said, silencing
from ecpmon.slices import in_slices
from ecpmon.storage.queries import load
from ecpmon.storage.silences import silence_of

# A new event of a rule.
Told = tuple[AlertRule, NewEvent]


@dataclass(slots=True)
class Decision:
    """`events` as they are to be stored: those that are silenced say for which silence, and have no messages.

    By rule: in which alert nobody was told of it, and for which silence; and who is in none such any more.
    """

    events: list[Told]
    hushed: dict[str, tuple[str, str]] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)


class Silencing:
    """Shared by whoever stores events."""

    def __init__(self) -> None:
        self._sql = load("silences")

    async def decide(self, connection: Any, new: Sequence[Told], now: datetime) -> Decision:
        """The states of the rules are locked by the caller's transaction."""
        rules = list({rule.rule_id for rule, event in new if event.notifications})
        if not rules:
            return Decision(list(new))
        rows = await connection.fetch(self._sql["hushed"], rules)
        owed = {(str(r["rule_id"]), str(r["alert_id"])): str(r["silence_id"]) for r in rows}
        live = await on_now(await connection.fetch(self._sql["of_rules"], rules, now), now)
        if not owed and not live:
            return Decision(list(new))
        found = Decision([])
        for rule, event in new:
            found.events.append((rule, _decided(found, owed, live.get(rule.tenant_id, ()), rule, event)))
        found.free |= {rule_id for rule_id, _ in owed} - found.hushed.keys()
        return found

    async def note(self, connection: Any, decision: Decision, numbers: Sequence[int], now: datetime) -> None:
        """What was decided, once the events have their numbers."""
        if decision.free:
            await connection.execute(self._sql["unhush"], [uuid.UUID(r) for r in decision.free])
        if decision.hushed:
            rows = [(rule, *where) for rule, where in decision.hushed.items()]
            await connection.execute(self._sql["hush"], *(list(c) for c in zip(*rows, strict=True)), now)
        silenced = [
            (number, rule.rule_id, event.silenced_by)
            for number, (rule, event) in zip(numbers, decision.events, strict=True)
            if event.silenced_by is not None
        ]
        if silenced:
            await connection.execute(self._sql["note"], *(list(c) for c in zip(*silenced, strict=True)))


async def on_now(rows: Iterable[Any], now: datetime) -> Mapping[str, Sequence[Silence]]:
    """By tenant those of its silences that are on."""
    found: dict[str, list[Silence]] = defaultdict(list)
    async for row in in_slices(rows):
        silence = silence_of(row)
        if counts(silence, now):
            found[row["tenant_id"]].append(silence)
    return found


def _decided(
    found: Decision,
    owed: dict[tuple[str, str], str],
    live: Sequence[Silence],
    rule: AlertRule,
    event: NewEvent,
) -> NewEvent:
    if not event.notifications:
        return event
    place = (rule.rule_id, event.alert_id)
    silence = silencing(live, rule)
    becomes = said(
        fires=event.to_state == RuleStatus.FIRING,
        again=event.reason == TransitionReason.CALMED,
        owed=place in owed,
        silenced=silence is not None,
    )
    by = silence.silence_id if silence is not None else owed.get(place)
    if becomes.owed and by is not None:
        owed[place] = by
        found.hushed[rule.rule_id] = (event.alert_id, by)
    else:
        owed.pop(place, None)
        found.hushed.pop(rule.rule_id, None)
        found.free.add(rule.rule_id)
    return event if becomes.told else replace(event, notifications=(), silenced_by=by)
