"""`ports.Quarantine` on PostgreSQL; storage's own jobs write it inside their transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ecpmon.errors import EcpError
from ecpmon.model.tenants import Tenant
from ecpmon.ports.quarantine import Culprit, Trouble
from ecpmon.ports.service import steady
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# (number of the tenant, subject)
Numbered = tuple[int, str]


class PgQuarantine:
    def __init__(
        self,
        database: Database,
        *,
        kept: Mapping[str, float] | None = None,
        clock: Callable[[], float] = steady,
    ) -> None:
        """`kept`: seconds for which it is remembered who is held, by job: of those that ask many times a second. What
        `note` and `heal` write is known at once, what another process that led wrote just before is so much later."""
        self._database = database
        self._kept = kept or {}
        self._clock = clock
        self._sql = load("quarantine")
        # By job, with the instant until when it is taken for true. `_written` counts what would make it untrue.
        self._held: dict[str, tuple[float, dict[Culprit, datetime]]] = {}
        self._written = 0

    async def held(self, job: str) -> dict[Culprit, datetime]:
        until, known = self._held.get(job, (0.0, {}))
        if self._clock() < until:
            return known
        asked_at, written = self._clock(), self._written
        rows = await self._database.fetch(self._sql["held"], job)
        found = {(r["tenant_id"], r["subject"]): r["next_at"] for r in rows}
        if job in self._kept and written == self._written:
            self._held[job] = asked_at + self._kept[job], found
        return found

    async def note(self, job: str, troubles: Mapping[Culprit, str], now: datetime) -> None:
        with self._writing(job):
            await self._database.execute(self._sql["note"], job, *_columns(troubles), now)

    async def heal(self, job: str, culprits: Sequence[Culprit]) -> None:
        names, subjects = [name for name, _ in culprits], [subject for _, subject in culprits]
        with self._writing(job):
            await self._database.execute(self._sql["heal"], job, names, subjects)

    @contextmanager
    def _writing(self, job: str) -> Iterator[None]:
        """What was read before it, or meanwhile, is not remembered after it."""
        try:
            yield
        finally:
            self._written += 1
            self._held.pop(job, None)

    async def of_tenant(self, tenant: Tenant) -> list[Trouble]:
        return [Trouble(**dict(r)) for r in await self._database.fetch(self._sql["of_tenant"], tenant.key)]

    async def counts(self) -> dict[str, int]:
        return {r["job"]: r["tenants"] for r in await self._database.fetch(self._sql["counts"])}

    async def reachable(self) -> bool:
        try:
            await self._database.ping()
        except EcpError:
            return False
        return True

    async def forget(self, before: datetime) -> None:
        """Drop what nobody has tried since `before`."""
        await self._database.execute(self._sql["forget"], before)


async def note_within(connection: Any, job: str, troubles: Mapping[Numbered, str], now: datetime) -> None:
    """`note` by the numbers of the tenants, in the caller's transaction."""
    if troubles:
        await connection.execute(load("quarantine")["note_numbers"], job, *_columns(troubles), now)


async def any_held(database: Database, job: str) -> bool:
    """Whether anybody is in quarantine: mostly nobody is, and to ask costs less than to heal nobody."""
    return bool(await database.fetchval(load("quarantine")["any"], job))


def _columns(troubles: Mapping[Any, str]) -> tuple[list[Any], list[str], list[str]]:
    return [t for t, _ in troubles], [subject for _, subject in troubles], list(troubles.values())
