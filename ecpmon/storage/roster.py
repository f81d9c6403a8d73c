"""`ports.Roster` on PostgreSQL.

Invariants: what is held is as of a transaction horizon or later; whatever may have been committed after it is read
again at the next question, because its mark in `tenant_changes` carries a transaction number from the horizon on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

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

    async def standings(self) -> Mapping[str, Standing]:
        async with self._turn:
            row = await self._database.fetchrow(self._sql["changed"], self._horizon)
            # A database that was set back to an earlier day tells nothing about what we hold.
            known = self._horizon is not None and int(row["horizon"]) >= int(self._horizon)
            changed = {*row["tenants"], *self._again} if known else None
            if changed is None or changed:
                await self._read(changed)
            self._horizon = row["horizon"]
            return self._named

    def advanced(self, entries: Collection[RuleWithState]) -> None:
        by_tenant: dict[str, dict[str, RuleWithState]] = defaultdict(dict)
        for entry in entries:
            by_tenant[entry.rule.tenant_id][entry.rule.rule_id] = entry
        for name, own in by_tenant.items():
            standing = self._named.get(name)
            if standing is not None:
                rules = tuple(own.get(r.rule.rule_id, r) for r in standing.rules)
                self._put(self._number_of(standing), replace(standing, rules=rules))

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
        rows = await self._database.fetch(self._sql["tenants"], None if numbers is None else list(numbers))
        live = [r["id"] for r in rows]
        rules: dict[int, list[RuleWithState]] = defaultdict(list)
        found = await self._database.fetch(self._sql["rules"], live) if self._with_rules else []
        owners = {str(r["rule_id"]): r["tenant"] for r in found}
        for entry in await readable(found, rule_of, "alert rule"):
            rules[owners[entry.rule.rule_id]].append(entry)
        planned = _by_tenant(await self._database.fetch(self._sql["maintenance"], live))
        fresh = {}
        async for row in in_slices(rows):
            number = row["id"]
            fresh[number] = Standing(
                row["tenant_id"], _tenant(row), tuple(rules[number]), _planned(planned.get(number, ()))
            )
        self._replace(numbers, fresh)

    def _replace(self, numbers: Collection[int] | None, fresh: Mapping[int, Standing]) -> None:
        if numbers is None:
            self._held = {}
        kept = {n: held for n, held in self._held.items() if numbers is None or n not in numbers}
        self._held = dict(sorted({**kept, **fresh}.items()))
        self._named = {standing.tenant_id: standing for standing in self._held.values()}
        self._again -= set(self._again if numbers is None else numbers)


def _by_tenant(rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["tenant"]].append(row)
    return found


def _tenant(row: Any) -> Tenant | None:
    try:
        return checked(row)
    except UNREADABLE as error:
        _log.error("row_unreadable", what="tenant", tenant=row["tenant_id"], error=reason_of(error))
        return None


def _planned(rows: Sequence[Any]) -> tuple[Maintenance, ...] | None:
    try:
        return tuple(maintenance_of(r) for r in rows)
    except UNREADABLE:
        return None  # who needs it reads it again, and tells
