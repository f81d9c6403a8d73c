"""The audit log: who changed what, when and from where.

Invariants: a row is written in the transaction of the change it tells of, so there is one without the other never,
but for what is changed in the simulator, after which it is written (`note`);
what it holds is bounded, whatever was sent; rows are never changed (the database refuses it), and only `forget` takes
old ones away.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from ecpmon.ports.audit import AuditPage, AuditRow, Sought, acting
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load
from ecpmon.wire import dumps, storable

# Of what was before, and as much of what is after. Bytes.
MOST: Final = 16_384
_MOST_SUBJECT: Final = 200
# Rows that are looked at for a page, and bytes that it tells of what was before and after: of a log of years, and of
# rows that are large, a page is a few milliseconds' work.
LOOKS: Final = 5_000
MOST_TOLD: Final = 256 * 1024


async def record(
    connection: Any,
    at: datetime,
    action: str,
    subject: str,
    *,
    tenant: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write who is acting (`ports.audit`) into the log, in the transaction of `connection`.

    `action` is such as `tenant.changed`, `subject` what was changed; `tenant` None: of no single tenant. `before` and
    `after`: JSON-able fields, or None where there was nothing or is nothing. No secrets: people read it.
    """
    actor = acting.get()
    await connection.execute(
        load("audit")["insert"],
        at,
        storable(actor.name)[:_MOST_SUBJECT] or "unnamed",
        actor.token,
        actor.address,
        actor.request_id,
        actor.issuer,
        tenant,
        action,
        storable(subject)[:_MOST_SUBJECT],
        bounded(before),
        bounded(after),
    )


async def record_of_each(
    connection: Any,
    at: datetime,
    action: str,
    subjects: Mapping[int, str],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The same about several tenants: `subjects` by their number."""
    actor = acting.get()
    await connection.execute(
        load("audit")["insert_many"],
        at,
        storable(actor.name)[:_MOST_SUBJECT] or "unnamed",
        actor.token,
        actor.address,
        actor.request_id,
        actor.issuer,
        list(subjects),
        action,
        [storable(subject)[:_MOST_SUBJECT] for subject in subjects.values()],
        bounded(before),
        bounded(after),
    )


def bounded(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`document` as JSON holds it, in at most `MOST` bytes: of the largest fields only the size is kept then."""
    if document is None:
        return None
    sizes = {name: len(dumps(value)) for name, value in document.items()}
    kept: dict[str, Any] = orjson.loads(dumps(document))
    for name in sorted(sizes, key=lambda n: -sizes[n]):
        if len(dumps(kept)) <= MOST:
            return kept
        kept[name] = {"omitted_bytes": sizes[name]}
    return kept if len(dumps(kept)) <= MOST else {"omitted_fields": len(sizes)}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of both what is not the same in the other."""
    other = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return {k: v for k, v in before.items() if k in other}, {k: v for k, v in after.items() if k in other}


class AuditLog:
    """What is done with the log as a whole, for all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("audit")

    async def forget(self, before: datetime) -> None:
        """Drop the rows from before."""
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["allow"], before)
                await connection.execute(self._sql["forget"], before)


class PgAuditTrail:
    """`ports.AuditTrail` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("audit")

    async def page(self, sought: Sought, limit: int) -> AuditPage:
        own = () if sought.tenants is None else (list(sought.tenants),)
        # Whoever seeks nobody and nothing finds what he looks at.
        looks = LOOKS if sought.actor or sought.action else limit + 1
        looked = await self._database.fetchrow(
            self._sql["look_among" if own else "look"],
            *sought.before, sought.since, sought.actor, sought.action, limit + 1, looks, *own,
        )  # fmt: skip
        fit = looked["fit"]
        rows = await self._database.fetch(self._sql["told"], fit[:limit], MOST_TOLD) if fit else []
        if rows and len(rows) < len(fit):
            return AuditPage([_row(r) for r in rows], (rows[-1]["at"], rows[-1]["id"]))
        rest = None if looked["last_at"] is None else (looked["last_at"], looked["last_id"])
        return AuditPage([_row(r) for r in rows], rest)

    async def note(
        self, at: datetime, action: str, subject: str, tenant: int, after: Mapping[str, Any] | None
    ) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await record(connection, at, action, subject, tenant=tenant, after=after)


def _row(row: Any) -> AuditRow:
    return AuditRow(
        row["id"], row["at"], row["actor"], row["issuer"], row["token"], row["address"], row["request_id"], row["name"],
        row["action"], row["subject"], row["before"], row["after"],
    )  # fmt: skip
