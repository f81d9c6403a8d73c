"""Terms of leadership as the database saw them begin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from ecpmon.storage.database import Database
from ecpmon.tasks import end
from tests.waiting import PAUSE

MOST_SECONDS = 10.0
_NOTE = """
CREATE TABLE taken (term bigint, began timestamptz);
CREATE FUNCTION note_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO taken VALUES (NEW.term, NEW.renewed_at);
  RETURN NULL;
END $$;
CREATE TRIGGER taken AFTER UPDATE ON leadership FOR EACH ROW WHEN (NEW.term > OLD.term) EXECUTE FUNCTION note_taken();
"""


async def note_terms(database: Database) -> None:
    """From now on `took_over_in_time` can be asked."""
    async with database.transaction() as connection:
        await connection.execute(_NOTE)


async def database_now(database: Database) -> datetime:
    now: datetime = await database.fetchval("SELECT clock_timestamp()")
    return now


async def took_over_in_time(database: Database, since: datetime, lag: float) -> None:
    """The first term after `since` began soon enough, by the database's clock.

    `lag`: seconds for which the machine kept processes from running; those do not count.
    """
    seconds = await database.fetchval(
        "SELECT extract(epoch FROM min(began) - $1)::float FROM taken WHERE began > $1", since
    )
    assert seconds is not None, "nobody has taken over"
    assert seconds <= MOST_SECONDS + lag, f"nobody led for {seconds:.1f} s; the machine was {lag:.1f} s late"


@asynccontextmanager
async def own_lag() -> AsyncIterator[Callable[[], float]]:
    """Inside, gives how much too late this process was woken at most: so busy is the machine."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        now = asyncio.get_running_loop().time
        while True:
            due = now() + PAUSE
            await asyncio.sleep(PAUSE)
            worst = max(worst, now() - due)

    watching = asyncio.create_task(watch())
    try:
        yield lambda: worst
    finally:
        await end(watching)
