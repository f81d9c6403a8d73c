"""Silences of tenants."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.errors import LimitReached, NotFound
from ecpmon.model.alerts import Severity
from ecpmon.model.silences import Matcher, Silence
from ecpmon.ports.silences import Silenced
from ecpmon.storage.audit import record_of_each
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

# Of a tenant that have not ended: each is looked at whenever one of its alerts is told.
MOST: Final = 100


def silence_of(row: Any) -> Silence:
    return Silence(
        silence_id=str(row["silence_id"]),
        matcher=Matcher(
            None if row["rule_id"] is None else str(row["rule_id"]),
            tuple(row["alert_names"]),
            tuple(Severity(s) for s in row["severities"]),
        ),
        start=row["starts_at"],
        duration=row["duration"],
        reason=row["reason"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        time_zone=row["time_zone"],
        rrule=row["rrule"],
        ends_at=row["ends_at"],
        ended_by=row["ended_by"],
    )


def by_tenant(rows: Iterable[Any]) -> dict[str, list[Silence]]:
    found: dict[str, list[Silence]] = defaultdict(list)
    for row in rows:
        found[row["tenant_id"]].append(silence_of(row))
    return dict(found)


def _told(silence: Silence) -> dict[str, Any]:
    """What the audit log says of it."""
    return {
        "rule_id": silence.matcher.rule_id,
        "alerts": list(silence.matcher.alerts),
        "severities": [s.value for s in silence.matcher.severities],
        "start": silence.start,
        "duration": silence.duration.total_seconds(),
        "rrule": silence.rrule,
        "time_zone": silence.time_zone,
        "reason": silence.reason,
        "ends_at": silence.ends_at,
    }


class PgSilenceStore:
    """`ports.SilenceStore` on PostgreSQL."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._sql = load("silences")

    async def add(self, tenants: Sequence[int], silence: Silence) -> list[str]:
        matcher, now = silence.matcher, silence.created_at
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(
                    self._sql["insert"], list(tenants), silence.silence_id, matcher.rule_id, list(matcher.alerts),
                    [s.value for s in matcher.severities], silence.start, silence.duration, silence.rrule,
                    silence.time_zone, silence.reason, silence.created_by, now, silence.ends_at,
                )  # fmt: skip
                await self._check_room(connection, tenants, now)
                subjects = {r["id"]: silence.silence_id for r in rows}
                await record_of_each(connection, now, "silence.created", subjects, after=_told(silence))
        return [r["tenant_id"] for r in rows]

    async def _check_room(self, connection: Any, tenants: Sequence[int], now: datetime) -> None:
        """With the new one. Raises LimitReached, and nothing is stored."""
        full = await connection.fetch(self._sql["held"], list(tenants), now, self._most + 1)
        if full:
            raise LimitReached(
                f"a tenant has at most {self._most} silences that have not ended, as {full[0]['tenant_id']} does; end "
                "one first, or let one be for several alerts",
                limit="silences",
                most=self._most,
            )

    async def page(
        self, tenants: Collection[int], now: datetime, skip: int, limit: int, *, over: bool
    ) -> list[Silenced]:
        rows = await self._database.fetch(self._sql["page"], list(tenants), now, over, skip, limit)
        return [Silenced(silence_of(r), r["tenant_ids"]) for r in rows]

    async def get(self, tenants: Collection[int], silence_id: str) -> list[Silenced]:
        rows = await self._database.fetch(self._sql["one"], list(tenants), uuid.UUID(silence_id))
        if not rows:
            raise NotFound("there is no such silence", details={"silence_id": silence_id})
        return [Silenced(silence_of(r), r["tenant_ids"]) for r in rows]

    async def end(self, tenants: Collection[int], silence_id: str, by: str, now: datetime) -> list[str]:
        [first, *_] = await self.get(tenants, silence_id)
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["end"], list(tenants), uuid.UUID(silence_id), now, by)
                subjects = {r["id"]: silence_id for r in rows}
                before = _told(first.silence)
                await record_of_each(
                    connection, now, "silence.ended", subjects, before=before, after={"ends_at": now}
                )
        return [r["tenant_id"] for r in rows]

    async def live(self, tenants: Collection[int], now: datetime) -> Mapping[str, Sequence[Silence]]:
        return by_tenant(await self._database.fetch(self._sql["live"], list(tenants), now))

    async def forget(self, before: datetime) -> None:
        await self._database.execute(self._sql["forget"], before)
        await self._database.execute(self._sql["forget_hushed"], before)
