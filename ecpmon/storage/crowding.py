"""Days with so many changes that the timeline is kept by the minute: which they are, and what is stored of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import structlog

from ecpmon.model.availability import Span, SpanState
from ecpmon.sla.coarse import by_minute
from ecpmon.sla.minutes import day_of, minute_after, minute_before
from ecpmon.sla.spans import clip, coalesce
from ecpmon.storage.queries import load

_log = structlog.get_logger(__name__)
MOST_CHANGES: Final = 1_000
_DAY: Final = timedelta(days=1)

# Closed spans of a tenant that overlap or touch two instants, taken out of the database.
Take = Callable[[Any, int, datetime, datetime], Awaitable[list[Span]]]


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class Crowding:
    """Keeps to the bound of outages and gaps per tenant and UTC day. Call with the heads locked."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sql = load("crowding")

    async def days(self, connection: Any, tenant: int, days: set[date]) -> set[date]:
        """Which of `days` are kept by the minute."""
        rows = await connection.fetch(self._sql["coarse"], tenant, sorted(days))
        return {r["day"] for r in rows}

    async def fit(
        self, connection: Any, spans: Sequence[tuple[int, Span]], take: Take
    ) -> list[tuple[int, Span]]:
        """What to store instead of `spans` (tenant, closed span): the minutes of crowded days made one.

        What is stored of such minutes already is taken, and comes back with the rest.
        """
        fresh: dict[int, list[Span]] = defaultdict(list)
        for tenant, span in spans:
            fresh[tenant].append(span)
        crowded, coarse = await self._crowded(connection, fresh)
        fitted = [(t, s) for t, s in spans if not coarse[t]]
        for tenant, days in coarse.items():
            if days:
                whole = await self._with_stored(
                    connection, tenant, fresh[tenant], crowded[tenant], days, take
                )
                fitted.extend((tenant, span) for span in by_minute(whole, days.__contains__))
        return fitted

    async def _crowded(
        self, connection: Any, fresh: Mapping[int, Sequence[Span]]
    ) -> tuple[dict[int, set[date]], dict[int, set[date]]]:
        """By tenant: the days that become too crowded now, and all that are."""
        new: dict[tuple[int, date], int] = defaultdict(int)
        for tenant, spans in fresh.items():
            for span in spans:
                new[tenant, day_of(span.start)] += span.state is not SpanState.UP
                new[tenant, day_of(span.end)] += 0
        keys = sorted(new)
        rows = await connection.fetch(self._sql["changes"], [t for t, _ in keys], [d for _, d in keys])
        crowded: dict[int, set[date]] = defaultdict(set)
        coarse: dict[int, set[date]] = {tenant: set() for tenant in fresh}
        for r in rows:
            tenant, day = r["tenant"], r["day"]
            if r["coarse"]:
                coarse[tenant].add(day)
            elif r["changes"] + new[tenant, day] > self._most:
                crowded[tenant].add(day)
                coarse[tenant].add(day)
        for tenant, days in crowded.items():
            await connection.executemany(self._sql["crowd"], [(tenant, day) for day in sorted(days)])
            _log.warning("timeline_by_the_minute", tenant=tenant, days=[str(d) for d in sorted(days)])
        return crowded, coarse

    async def _with_stored(
        self,
        connection: Any,
        tenant: int,
        spans: Sequence[Span],
        crowded: set[date],
        coarse: set[date],
        take: Take,
    ) -> list[Span]:
        """`spans` (without holes) together with what is stored of their first minute, and of days newly crowded."""
        ranges = [(midnight(day), midnight(day) + _DAY) for day in crowded]
        first = spans[0].start
        if day_of(first) in coarse and first > minute_before(first):
            ranges.append((minute_before(first), first))
        stored = [s for start, stop in sorted(ranges) for s in await take(connection, tenant, start, stop)]
        return sorted([*stored, *spans], key=lambda s: s.start)


def widened(start: datetime, stop: datetime, coarse: set[date]) -> tuple[datetime, datetime]:
    """`[start, stop]` with the whole minutes at its ends that are kept by the minute."""
    return (
        minute_before(start) if day_of(start) in coarse else start,
        minute_after(stop) if day_of(stop) in coarse else stop,
    )


def exact_ends(
    stored: Sequence[Span], start: datetime, stop: datetime, before: Sequence[Span], after: Sequence[Span]
) -> list[Span]:
    """`stored` with what lies next to `[start, stop]` said by `before` and `after`, as far as they say anything."""
    low = before[0].start if before else start
    high = after[-1].end if after else stop
    first, last = stored[0].start, stored[-1].end
    return coalesce(
        [*clip(stored, first, low), *before, *clip(stored, start, stop), *after, *clip(stored, high, last)]
    )
