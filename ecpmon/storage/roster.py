"""`ports.Roster` on PostgreSQL.

Invariants: what is held is as of a transaction horizon or later; whatever may have been committed after it is read
again at the next question, because its mark in `tenant_changes` carries a transaction number from the horizon on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from ecpmon.errors import EcpError
from ecpmon.isolation import reason_of
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Standing
from ecpmon.slices import in_slices
from ecpmon.storage.alerts import rule_of
from ecpmon.storage.database import Database
from ecpmon.storage.maintenance import maintenance_of
from ecpmon.storage.queries import load
from ecpmon.storage.reading import UNREADABLE, readable
from ecpmon.storage.tenants import checked

_log = structlog.get_logger(__name__)


class PgRoster:
    """One per process and database; questions are answered one after the other."""

    def __init__(self, database: Database, *, rules: bool = True) -> None:
        """`rules` False: for who needs none of them; then nobody has any."""
        self._database = database
        self._with_rules = rules
        self._sql = load("roster")
        self._turn = asyncio.Lock()
        self._horizon: str | None = None
        # By the number of the tenant: a name may be another's tomorrow.
        self._held: dict[int, Standing] = {}
        self._named: dict[str, Standing] = {}
        self._again: set[int] = set()
        self.read_at: datetime | None = None

    async def standings(self) -> Mapping[str, Standing]:
        async with self._turn:
            row = await self._database.fetchrow(self._sql["changed"], self._horizon)
            # A database that was set back to an earlier day tells nothing about what we hold.
            known = self._horizon is not None and int(row["horizon"]) >= int(self._horizon)
            changed = {*row["tenants"], *self._again} if known else None
            if changed is None or changed:
                await self._read(changed)
            self._horizon, self.read_at = row["horizon"], row["now"]
            return self._named

    async def live(self) -> list[Tenant]:
        return [s.tenant for s in (await self.standings()).values() if s.tenant is not None]

    def advanced(self, entries: Collection[RuleWithState]) -> None:
        by_tenant: dict[str, dict[str, RuleWithState]] = defaultdict(dict)
        for entry in entries:
            by_tenant[entry.rule.tenant_id][entry.rule.rule_id] = entry
        for name, own in by_tenant.items():
            standing = self._named.get(name)
            if standing is not None and standing.rules is not None:
                held = (standing.rules, standing.counted)
                rules, counted = (tuple(own.get(r.rule.rule_id, r) for r in part) for part in held)
                self._put(self._number_of(standing), replace(standing, rules=rules, counted=counted))

    def forget(self, tenant_ids: Collection[str]) -> None:
        self._again |= {self._number_of(self._named[n]) for n in tenant_ids if n in self._named}

    def _number_of(self, standing: Standing) -> int:
        if standing.tenant is not None:
            return standing.tenant.key
        return next(number for number, held in self._held.items() if held is standing)

    def _put(self, number: int, standing: Standing) -> None:
        self._held[number] = standing
        self._named[standing.tenant_id] = standing

    async def _read(self, numbers: Collection[int] | None) -> None:
        """All when `numbers` is None. Nothing that is held changes before all of it is read."""
        wanted = None if numbers is None else list(numbers)
        live = {number: name for number, name in await self._database.fetch(self._sql["live"], wanted)}  # noqa: C416
        tenants = await self._rows("tenants", list(live))
        rules = await self._rows("rules", list(live) if self._with_rules else [])
        planned = await self._rows("maintenance", list(live))
        fresh = {}
        for number, name in live.items():
            own = await _rules(rules.get(number, []))
            fresh[number] = Standing(
                name,
                _tenant(tenants.get(number)),
                None if own is None else tuple(r for r in own if r.rule.objective is None),
                _planned(planned.get(number, [])),
                tuple(r for r in own or () if r.rule.objective is not None),
            )
        self._replace(numbers, fresh)

    async def _rows(self, query: str, numbers: Sequence[int]) -> dict[int, list[Any] | None]:
        """By tenant; None for one whose rows no type of ours holds: they must not hide the others."""
        try:
            rows = await self._database.fetch(self._sql[query], numbers) if numbers else []
        except EcpError as error:
            if error.retryable:
                raise
            if len(numbers) == 1:
                _log.error("rows_unreadable", what=query, tenant=numbers[0], error=reason_of(error))
                return {numbers[0]: None}
            apart = [await self._rows(query, [number]) for number in numbers]
            return {number: own for found in apart for number, own in found.items()}
        found: dict[int, list[Any] | None] = {}
        async for row in in_slices(rows):
            own = found.setdefault(row["id" if query == "tenants" else "tenant"], [])
            if own is not None:
                own.append(row)
        return found

    def _replace(self, numbers: Collection[int] | None, fresh: Mapping[int, Standing]) -> None:
        if numbers is None:
            self._held = {}
        kept = {n: held for n, held in self._held.items() if numbers is None or n not in numbers}
        self._held = dict(sorted({**kept, **fresh}.items()))
        self._named = {standing.tenant_id: standing for standing in self._held.values()}
        self._again -= set(self._again if numbers is None else numbers)


def _tenant(rows: Sequence[Any] | None) -> Tenant | None:
    if not rows:
        return None  # or it was deleted just now, and is read again
    try:
        return checked(rows[0])
    except UNREADABLE as error:
        _log.error("row_unreadable", what="tenant", tenant=rows[0]["tenant_id"], error=reason_of(error))
        return None


async def _rules(rows: Sequence[Any] | None) -> tuple[RuleWithState, ...] | None:
    return None if rows is None else tuple(await readable(rows, rule_of, "alert rule"))


def _planned(rows: Sequence[Any] | None) -> tuple[Maintenance, ...] | None:
    try:
        return None if rows is None else tuple(maintenance_of(r) for r in rows)
    except UNREADABLE:
        return None  # who needs it reads it again, and tells
