"""What keeps the database in shape: hand-made rows taken in, rollups, and an end to what is old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from ecpmon.isolation import is_passing
from ecpmon.jobs import Job
from ecpmon.model.samples import Source
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.voices import FORGOTTEN
from ecpmon.storage.acknowledgements import PgAcknowledgements
from ecpmon.storage.alert_keeping import AlertKeeping
from ecpmon.storage.audit import AuditLog
from ecpmon.storage.database import Database
from ecpmon.storage.exclusions import PgExclusionStore
from ecpmon.storage.faults_log import PgFaultLog
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.packing import Packing
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.silences import PgSilenceStore
from ecpmon.storage.upkeep import Upkeep

_log = structlog.get_logger(__name__)
_DAY_SECONDS: Final = 86_400
# Frames go by whole days.
_FRAMES_CHUNK: Final = timedelta(days=1)
_HAND_MADE_ROUNDS: Final = 20
# Longer than anything is retried.
_QUEUES_KEPT_DAYS: Final = 3


class SampleKeeping:
    """Of samples and spans. `awake`: each source, and how long one sign of life says that we were awake for it."""

    def __init__(
        self,
        database: Database,
        rules: EvidenceRules,
        settings: Settings,
        clock: Clock,
        awake: Callable[[], Sequence[tuple[Source, timedelta]]],
    ) -> None:
        self._upkeep = Upkeep(database)
        self._packing = Packing(database)
        self._quarantine = PgQuarantine(database)
        self._faults = PgFaultLog(database)
        self._audit = AuditLog(database)
        self._exclusions = PgExclusionStore(database)
        self._hand_made = HandMade(database, rules, settings.max_changes_per_day)
        self._settings = settings
        self._clock = clock
        self._awake = awake

    def jobs(self) -> list[Job]:
        return [
            Job("hand_made", 5, self.take_in_hand_made),
            Job("rollups", 20, self.roll_up),
            Job("packing", 60, self.pack),
            Job("retention", 3600, self.retain),
        ]

    async def crowded(self) -> int:
        """Tenants whose timeline of today is kept by the minute."""
        return await self._upkeep.crowded(self._clock.now().date())

    async def backlog(self) -> int:
        """Rollups still to be made."""
        return await self._upkeep.backlog()

    async def take_in_hand_made(self) -> None:
        """So much of each tenant's at most; the rest has its turn when the others' have had theirs."""
        now = self._clock.now()
        for _ in range(_HAND_MADE_ROUNDS):
            if not await self._hand_made.take_in(
                now - timedelta(days=self._settings.raw_retention_days), now
            ):
                break

    async def roll_up(self) -> None:
        """One batch after the other; pulls and pushes get in between."""
        done = 1
        while done:
            done = await self._upkeep.roll_up(self._clock.now())

    async def pack(self) -> None:
        """Hours that are over, so many at most; the rest has the next turn."""
        now = self._clock.now()
        await self._packing.pack(now - timedelta(hours=self._settings.pack_after_hours), now)

    async def retain(self) -> None:
        """Every step, also when one before it failed; then its error is raised."""
        now, s = self._clock.now(), self._settings
        days = {
            "pull_attempts": s.sla_retention_days,
            "rollup_5m": s.rollup_5m_retention_days,
            "rollup_1h": s.rollup_1h_retention_days,
            "availability_spans": s.sla_retention_days,
        }
        awake = {source.value: lasting for source, lasting in self._awake()}
        raw = timedelta(days=s.raw_retention_days)
        steps: list[Callable[[], Awaitable[object]]] = [
            partial(self._upkeep.keep_bounds, raw),
            partial(self._forget_impossible, now),
            partial(self._quarantine.forget, now - timedelta(days=1)),
            partial(self._faults.forget, now - timedelta(days=s.sla_retention_days)),
            partial(self._audit.forget, now - timedelta(days=s.audit_retention_days)),
            partial(self._exclusions.forget, now - timedelta(days=s.audit_retention_days)),
            partial(self._drop_raw, now - raw),
            partial(self._upkeep.give_back, now - _FRAMES_CHUNK),
            partial(self._upkeep.make_ahead, now),
            partial(self._upkeep.condense, now - raw, awake),
            *(partial(self._upkeep.retain, {name: now - timedelta(days=d)}) for name, d in days.items()),
        ]
        failed: list[Exception] = []
        for step in steps:
            try:
                await step()
            except Exception as error:
                if is_passing(error):
                    raise
                failed.append(error)
        if failed:
            raise failed[0]

    async def _drop_raw(self, before: datetime) -> None:
        """Not what is not rolled up yet; what cannot be rolled up is given up with its frames."""
        await self.roll_up()
        await self._upkeep.retain({"frames": before, "packed_hours": before})
        await self._upkeep.drop_marks(before - _FRAMES_CHUNK)
        # Who speaks at the first instant that may still be laid again was expected a day before.
        await self._upkeep.forget_heard(before - _FRAMES_CHUNK - FORGOTTEN)

    async def _forget_impossible(self, now: datetime) -> None:
        if gone := await self._upkeep.forget_impossible(now):
            _log.warning("impossible_rows_forgotten", tenants=gone)


class AlertRetention:
    """Limits by the settings."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._keeping = AlertKeeping(database)
        self._silences = PgSilenceStore(database)
        self._acknowledgements = PgAcknowledgements(database, Notifying())
        self._settings = settings
        self._clock = clock

    def job(self) -> Job:
        return Job("alert_retention", _DAY_SECONDS, self.retain)

    async def retain(self) -> None:
        """Forget what is old; what was delivered goes first, and more cheaply than with its event."""
        now, s = self._clock.now(), self._settings
        delivered = now - timedelta(days=s.notification_retention_days)
        over = now - timedelta(days=s.alert_retention_days)
        # As long as recoveries are kept, which know what they have acted on.
        unresolved = min(over, now - timedelta(days=s.sla_retention_days))
        forgotten = {
            "notifications": await self._keeping.forget_notifications(delivered),
            "events": await self._keeping.forget_events(over),
            "external": await self._keeping.forget_external(over, unresolved),
        }
        await self._silences.forget(over)
        await self._acknowledgements.forget(over)
        await self._keeping.forget_queues(now - timedelta(days=_QUEUES_KEPT_DAYS))
        if any(forgotten.values()):
            _log.info("alerts_forgotten", **forgotten)
