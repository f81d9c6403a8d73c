"""What fires when its silence is over is told: of it nobody was (`sla.silences`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from ecpmon.alerts.message import new_event
from ecpmon.isolation import Isolation
from ecpmon.model.alerts import Transition, TransitionReason
from ecpmon.ports.alerts import AlertEvent, NewEvent, RuleWithState
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.silences import Hushed
from ecpmon.sla.silences import silencing
from ecpmon.slices import in_slices

JOB: Final = "silences"
_log = structlog.get_logger(__name__)


class AfterSilence:
    """The job runs on the leader only. `on_event` is called after the commit, once per stored event."""

    def __init__(
        self,
        hushed: Hushed,
        external_url: str,
        on_event: Callable[[AlertEvent], None],
        quarantine: Quarantine,
    ) -> None:
        self._hushed = hushed
        self._external_url = external_url
        self._on_event = on_event
        self._isolation = Isolation(quarantine, JOB)

    async def run_once(self, now: datetime) -> int:
        """The number of alerts that were told. One tenant's trouble stops no other."""
        rules, silences = await self._hushed.owed(now)
        due: dict[str, list[RuleWithState]] = defaultdict(list)
        async for entry in in_slices(rules):
            if silencing(silences.get(entry.rule.tenant_id, ()), entry.rule) is None:
                due[entry.rule.tenant_id].append(entry)

        async def work(names: list[str]) -> dict[str, int]:
            return {name: await self._tell(due[name], now) for name in names}

        return sum((await self._isolation.one_by_one(due, work, now)).values())

    async def _tell(self, rules: Sequence[RuleWithState], now: datetime) -> int:
        told = 0
        for entry in rules:
            event = await self._hushed.tell(entry, self._event(entry, now), now)
            if event is not None:
                _log.info("alert_told_after_silence", tenant=event.tenant_id, rule=event.alert_name)
                self._on_event(event)
                told += 1
        return told

    def _event(self, entry: RuleWithState, now: datetime) -> NewEvent:
        state = entry.state
        change = Transition(
            state.status, state.status, now, state.value, TransitionReason.SILENCE_OVER, state.since,
            flapping=state.flapping, told=True,
        )  # fmt: skip
        return new_event(entry.rule, change, None, entry.alert_id or "", self._external_url)
