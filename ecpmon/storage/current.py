"""`ports.CurrentFigures` on PostgreSQL: what is stored of each tenant, read again when something new was found.

Invariants: what is told of a tenant was found less than `HOLDS` ago (`HOLDS_DOWN` while it is down), in its present
month, and after the last change of its state, its row and its maintenance that is known here. Corrections of its past
are found when the job has its next turn with it (`app.rolling`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.current import WINDOWS, Figures, Shown
from ecpmon.ports.roster import Standing
from ecpmon.sla.contracts import month_start
from ecpmon.sla.maintenance import zone
from ecpmon.sla.periods import period
from ecpmon.slices import in_slices
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Two turns of the job with a tenant at rest, and with one that is down, each late by one more.
HOLDS: Final = timedelta(seconds=60)
HOLDS_DOWN: Final = timedelta(seconds=15)
# Since the question was asked, and of a clock.
_AHEAD: Final = timedelta(seconds=5)
MOST: Final = 10_000
_STATUSES: Final = {status.value: status for status in SlaStatus}
_STATES: Final = {state.value: state for state in SpanState}
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Held:
    """What is held of a tenant. `since`: when its row or its maintenance was last found to be another."""

    tenant: Tenant
    planned: Sequence[Maintenance] | None
    since: datetime = _LONG_AGO
    figures: Figures | None = None


class PgCurrentFigures:
    """One per process and database."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._sql = load("current")
        # By the number of the tenant.
        self._held: OrderedDict[int, _Held] = OrderedDict()

    async def of(
        self, standings: Mapping[str, Standing], now: datetime
    ) -> Mapping[str, tuple[Figures, SpanState | None]]:
        names = {t.key: name for name, s in standings.items() if (t := s.tenant) is not None}
        held = {key: self._of_standing(key, standings[name], now) for key, name in names.items()}
        known = [None if h.figures is None else h.figures.as_of for h in held.values()]
        rows = await self._database.fetch(self._sql["figures"], list(held), known, list(WINDOWS), now)
        months: dict[str, datetime] = {}
        found: dict[str, tuple[Figures, SpanState | None]] = {}
        async for key, state, since, expires, as_of, *columns in in_slices(rows):
            own = held[key]
            if columns[0] is not None:
                own.figures = _figures(as_of, *columns)
            if own.figures is not None and as_of is not None:
                month = _month(months, own.tenant, now)
                if _holds(own.figures.as_of, own.since, state == "down", since, month, now):
                    found[names[key]] = own.figures, _state(state, expires, now)
        return found

    def _of_standing(self, key: int, standing: Standing, now: datetime) -> _Held:
        tenant = standing.tenant
        assert tenant is not None  # noqa: S101 - who has none was left out
        own = self._held.get(key)
        if own is None:
            own = self._held[key] = _Held(tenant, standing.planned)
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        elif (own.tenant, own.planned) != (tenant, standing.planned):
            own.tenant, own.planned, own.since = tenant, standing.planned, now
        return own


def _holds(
    as_of: datetime, changed: datetime, down: bool, state_since: float | None, month: datetime, now: datetime
) -> bool:
    """`state_since`: seconds since 1970; None before any observation."""
    if not max(changed, month) <= as_of <= now + _AHEAD or now - as_of > (HOLDS_DOWN if down else HOLDS):
        return False
    return state_since is None or state_since <= as_of.timestamp()


def _month(known: dict[str, datetime], tenant: Tenant, now: datetime) -> datetime:
    """When the tenant's month began."""
    if len(tenant.versions) > 1:
        return month_start(tenant.versions, now)
    found = known.get(tenant.time_zone)
    if found is None:
        found = known[tenant.time_zone] = period("month", now, zone(tenant.time_zone)).start
    return found


def _state(state: str | None, expires: float | None, now: datetime) -> SpanState | None:
    if state is None or expires is None:
        return None
    return _STATES[state] if expires > now.timestamp() else SpanState.GAP


def _figures(as_of: datetime, *columns: Sequence[Any]) -> Figures | None:
    """From the columns that the statement tells, each in the order of WINDOWS; None unless all are there."""
    *shown, remaining = columns
    if len(remaining) != len(WINDOWS):
        return None
    windows = {
        name: Shown(_STATUSES[status], *values) for name, status, *values in zip(WINDOWS, *shown, strict=True)
    }
    return Figures(as_of, windows, remaining[WINDOWS.index("30d")])
