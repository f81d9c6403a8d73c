"""Objectives of tenants: definitions, sums over any stretch, the latest evaluation."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.errors import Conflict, NotFound
from ecpmon.model.objectives import (
    Counts,
    Hole,
    HoursOfCounts,
    Objective,
    Promised,
    RatioResult,
    StoredObjective,
)
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus
from ecpmon.sla.counters import COUNTING
from ecpmon.slices import in_slices
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.lines import sums_of
from ecpmon.storage.queries import load

MAX_OBJECTIVES = 50


def _stored(row: Any) -> StoredObjective:
    return StoredObjective(
        row["id"],
        row["tenant_id"],
        Objective.model_validate(row["definition"]),
        row["inherited"],
        row["first_at"],
        row["holes_until"],
        row["part_known"] is not False,
    )


def _document(objective: Objective) -> dict[str, Any]:
    return objective.model_dump(mode="json", exclude_none=True)


class PgObjectiveStore:
    """`ports.ObjectiveStore` on PostgreSQL. `defaults`: what every tenant has unless it says otherwise."""

    def __init__(self, database: Database, defaults: Sequence[Objective]) -> None:
        self._database = database
        self._defaults = {o.name: o for o in defaults}
        self._sql = load("objectives")

    async def install_defaults(self, now: datetime, tenants: Sequence[Tenant] | None = None) -> None:
        """Give every live tenant (or these) the defaults it lacks, and bring inherited ones up to date."""
        async with self._database.transaction() as connection:
            with wrap_errors():
                await self._install(
                    connection, now, [t.key for t in tenants] if tenants is not None else None
                )

    async def _install(self, connection: Any, now: datetime, tenants: list[int] | None) -> None:
        names = list(self._defaults)
        indicators = [o.indicator for o in self._defaults.values()]
        definitions = [_document(o) for o in self._defaults.values()]
        await connection.execute(self._sql["retire_defaults"], names, indicators, now, tenants)
        await connection.execute(self._sql["redefine_defaults"], names, definitions, tenants)
        await connection.execute(
            self._sql["insert_defaults"], names, indicators, definitions, now, tenants, COUNTING
        )

    async def of_tenant(self, tenant: Tenant) -> list[StoredObjective]:
        return [_stored(r) for r in await self._database.fetch(self._sql["of_tenant"], tenant.key)]

    async def of_all(self, tenant_ids: Collection[str] | None = None) -> dict[str, list[StoredObjective]]:
        names = None if tenant_ids is None else list(tenant_ids)
        found: dict[str, list[StoredObjective]] = {}
        async for row in in_slices(await self._database.fetch(self._sql["of_all"], names)):
            found.setdefault(row["tenant_id"], []).append(_stored(row))
        return found

    async def put(
        self, tenant: Tenant, objectives: Sequence[Objective], now: datetime, *, others: bool = True
    ) -> list[bool]:
        async with self._database.transaction() as connection:
            with wrap_errors():
                known = await self._locked(connection, tenant, now)
                named = {o.name for o in objectives}
                own = {n for n, r in known.items() if not r["inherited"]}
                if len((known.keys() if others else self._defaults.keys()) | named) > MAX_OBJECTIVES:
                    raise Conflict(f"a tenant has at most {MAX_OBJECTIVES} objectives; delete one first")
                for objective in objectives:
                    same = objective == self._defaults.get(objective.name)
                    await self._put(connection, tenant.key, known.get(objective.name), objective, now, same)
                taken_back = [] if others else sorted(own - named)
                for name in taken_back:
                    await self._take_back(connection, tenant.key, known[name], now)
                concerned = [*(o.name for o in objectives), *taken_back]
                await record(
                    connection,
                    now,
                    "objectives.put",
                    tenant.tenant_id,
                    tenant=tenant.key,
                    before={name: known[name]["definition"] for name in concerned if name in known},
                    after={o.name: _document(o) for o in objectives},
                )
                return [o.name not in known for o in objectives]

    async def _locked(self, connection: Any, tenant: Tenant, now: datetime) -> dict[str, Any]:
        """The rows in force by name, while nobody else changes them."""
        await connection.execute(self._sql["lock_tenant"], tenant.key)
        await self._install(connection, now, [tenant.key])
        return {r["name"]: r for r in await connection.fetch(self._sql["of_tenant"], tenant.key)}

    async def _take_back(self, connection: Any, tenant: int, known: Any, now: datetime) -> None:
        default = self._defaults.get(known["name"])
        if default is not None:
            await self._put(connection, tenant, known, default, now, True)
        else:
            await connection.execute(self._sql["retire"], tenant, known["id"], now)

    async def _put(
        self, connection: Any, tenant: int, known: Any, objective: Objective, now: datetime, inherited: bool
    ) -> None:
        document = _document(objective)
        if known is not None and known["indicator"] == objective.indicator:
            await connection.execute(self._sql["redefine"], tenant, known["id"], inherited, document)
            return
        if known is not None:
            await connection.execute(self._sql["retire"], tenant, known["id"], now)
        await connection.execute(
            self._sql["insert"],
            tenant,
            objective.name,
            inherited,
            objective.indicator,
            document,
            now,
            COUNTING,
        )

    async def delete(self, tenant: Tenant, name: str, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                known = (await self._locked(connection, tenant, now)).get(name)
                if known is None:
                    raise NotFound("there is no such objective", details={"objective": name[:63]})
                if known["inherited"]:
                    raise Conflict("every tenant has this objective; define your own of that name instead")
                await self._take_back(connection, tenant.key, known, now)
                before = {name: known["definition"]}
                await record(
                    connection, now, "objective.deleted", tenant.tenant_id, tenant=tenant.key, before=before
                )

    async def sums(self, edges: Collection[tuple[int, datetime]]) -> dict[tuple[int, datetime], Counts]:
        """(objective's key, instant at a whole minute) -> everything counted before it, from some origin."""
        ordered = sorted(edges)
        rows = await self._database.fetch(
            self._sql["sums"], [key for key, _ in ordered], [at for _, at in ordered]
        )
        return {
            (r["objective"], r["at"]): Counts(r["good"], r["total"], r["observed"], r["bridged"], r["resets"])
            for r in rows
        }

    async def holes(self, cuts: Collection[tuple[int, datetime]]) -> dict[int, list[Hole]]:
        """By objective's key: the holes that one of the instants (objective's key, instant) cuts, and of those that
        were not counted all that end at the first of the instants or later."""
        found: dict[int, list[Hole]] = {}
        if not cuts:
            return found
        ordered = sorted(cuts)
        rows = await self._database.fetch(
            self._sql["holes"], [key for key, _ in ordered], [at for _, at in ordered]
        )
        for r in rows:
            hole = Hole(r["starts"], r["ends"], r["good"], r["total"], r["bridged"], r["told"])
            found.setdefault(r["objective"], []).append(hole)
        return found

    async def promised(
        self, keys: Collection[int], instants: Sequence[datetime]
    ) -> dict[int, tuple[Promised, dict[datetime, Counts]]]:
        rows = await self._database.fetch(self._sql["promised"], list(keys), list(instants))
        found: dict[int, tuple[Promised, dict[datetime, Counts]]] = {}
        async for r in in_slices(rows):
            counted = map(Counts, r["good"], r["total"], r["observed"])
            promised = Promised(
                r["id"], r["tenant"], r["target"], r["window_name"], r["events"], r["first_at"]
            )
            found[r["id"]] = promised, dict(zip(instants, counted, strict=True))
        return found

    async def hours(self, tenant: Tenant, key: int, since: datetime, until: datetime) -> HoursOfCounts:
        rows = await self._database.fetch(self._sql["hours"], tenant.key, key, since, until)
        found = HoursOfCounts(array("q"), array("q"), array("q"), array("q"))
        async for r in in_slices(rows):
            found.begins.append(int(r["hour"].timestamp()))
            for name, sums in zip(("good", "total", "observed"), sums_of(r), strict=True):
                origin = r[f"{name}_before"]
                getattr(found, name).extend((origin, *(origin + count for count in sums)))
        return found

    async def series(
        self, tenant: Tenant, metrics: Collection[str]
    ) -> list[tuple[Source, str, dict[str, str]]]:
        """(source, metric, labels) of every series of these metrics that the tenant has."""
        rows = await self._database.fetch(self._sql["series"], tenant.key, sorted(metrics))
        known = Source.__members__.values()
        return [
            (Source(r["data_source"]), r["metric_name"], {k: str(v) for k, v in r["labels"].items()})
            for r in rows
            if r["data_source"] in known
        ]

    async def statuses(self, *tenants: Tenant) -> dict[tuple[int, str], SlaStatus]:
        """(objective's key, window) -> live status as last stored, of these tenants."""
        rows = await self._database.fetch(self._sql["statuses"], [t.key for t in tenants])
        return {(r["objective"], r["window_name"]): SlaStatus(r["status"]) async for r in in_slices(rows)}

    async def store_current(self, results: Mapping[int, Sequence[RatioResult]], now: datetime) -> None:
        """Store the evaluation: objective's key -> windows."""
        flat = [(key, r) for key, windows in results.items() for r in windows]
        await self._database.execute(
            self._sql["store_current"],
            [key for key, _ in flat],
            now,
            [r.window for _, r in flat],
            [r.status.value for _, r in flat],
        )

    async def retain(self, older_than: datetime) -> None:
        """Drop the counts of before, and retired objectives that have none left."""
        await self._database.execute(self._sql["drop_hours"], older_than)
        await self._database.execute(self._sql["drop_holes"], older_than)
        await self._database.execute(self._sql["drop_objectives"], older_than)
