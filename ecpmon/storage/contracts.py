"""`ports.Contracts` on PostgreSQL.

Invariants: what is held was committed in `seen`, and whether anything of it was committed later is told by the same
statement that reads the facts, so nobody is answered by what was changed before he asked. Only live tenants are held:
of deleted ones there may be several of a name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.model.maintenance import Interval
from ecpmon.model.sums import Mark
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.contracts import Contract, Facts
from ecpmon.sla.cuts import edges_within
from ecpmon.sla.minutes import day_of
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import MANY, further, marks_of, packed_marks
from ecpmon.storage.maintenance import maintenance_of
from ecpmon.storage.queries import load
from ecpmon.storage.tenants import one

# Tenants that are held, and windows that one of them may have planned.
MOST: Final = 5_000
_PLANNED: Final = 100
_STATUSES: Final = {status.value: status for status in SlaStatus}


class PgContracts:
    """One per process and database."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._sql = load("contracts")
        self._held: OrderedDict[str, Contract] = OrderedDict()

    def held(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        found = self._held.get(tenant_id)
        return found if found is not None and (among is None or found.tenant.key in among) else None

    async def read(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        self._held.pop(tenant_id, None)
        numbers = None if among is None else list(among)
        row = await self._database.fetchrow(self._sql["tenant"], tenant_id, numbers)
        if row is None:
            return None
        tenant = one(row)
        rows = await self._database.fetch(self._sql["maintenance"], tenant.key) if row["plans"] else ()
        planned = [maintenance_of(r) for r in rows]
        found = Contract(tenant, planned, row["seen"])
        if len(planned) <= _PLANNED:
            self._held[tenant_id] = found
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        return found

    async def facts(
        self,
        contract: Contract,
        instants: Sequence[datetime],
        since: datetime,
        now: datetime,
        earlier: Sequence[Interval] = (),
    ) -> Facts:
        """Raises ValueError without an instant."""
        if not instants:
            raise ValueError("facts are asked of at least one instant")
        key, days = contract.tenant.key, (day_of(since), day_of(now))
        if len(instants) > MANY:
            # All of one instant, here as well.
            async with self._database.snapshot() as connection:
                asked = (key, [instants[0]], now, contract.seen, *days)
                first: Any = await connection.fetchrow(self._sql["facts"], *asked)
                among = edges_within(instants, first["days"])
                instants = [*further([first], now, earlier), *sorted({*instants, *among})]
                return _facts(first, await packed_marks(connection, key, instants, now, now))
        rows = await self._database.fetch(self._sql["facts"], key, list(instants), now, contract.seen, *days)
        # An outage goes on since before all of it, and something was planned then; or a minute is asked about in part
        # that is kept as a whole. All once more, of one instant.
        more = further(rows, now, earlier)
        if more or not edges_within(instants, rows[0]["days"]) <= {*instants}:
            among = edges_within(instants, rows[0]["days"])
            return await self.facts(contract, [*more, *sorted({*instants, *among})], since, now)
        return _facts(rows[0], marks_of(rows, instants, now))


def _facts(first: Any, marks: Mapping[datetime, Mark]) -> Facts:
    statuses = {
        name: _STATUSES[status] for name, status in zip(first["names"], first["statuses"], strict=True)
    }
    return Facts(marks, statuses, first["days"], first["changed"])
