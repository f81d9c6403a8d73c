"""The database: whether it answers, what it is, and whether it is the one that this release wants."""

from __future__ import annotations

from typing import Any, Final

from pydantic import SecretStr

from ecpmon.app.doctor.findings import ERROR, OK, SKIPPED, WARNING, Clock, Finding, Level, clocks, unset
from ecpmon.errors import EcpError
from ecpmon.settings import Settings
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import is_current
from ecpmon.storage.queries import load
from ecpmon.storage.room import Room, room_of

# Versions that the tests run on, or that differ from those in nothing that we use.
POSTGRES: Final = range(15, 19)
TIMESCALE: Final = ((2, 19), (2, 31))
# Connections of one process: its pool, the writer's three, the bus, a probe, the lease.
_OF_ONE_PROCESS: Final = 22
_WHY_NONE: Final = {
    "database": "no production database: `ecpmon serve` cannot start",
    "database_direct": "none: listening uses the same way as everything else, which a pooler would break",
    "demo_database": "no demo mode",
}
_SETTINGS: Final = {
    "database": "database_url",
    "database_direct": "database_direct_url",
    "demo_database": "demo_database_url",
}


async def database(subject: str, url: SecretStr | None, settings: Settings, now: Clock) -> list[Finding]:
    """Asks one database as the service would."""
    if url is None:
        found = unset(subject, _SETTINGS[subject], _WHY_NONE[subject])
        return found if subject != "database" else [Finding(ERROR, subject, found[0].what, found[0].todo)]
    store = Database(url.get_secret_value(), max_connections=2, name="ecpmon doctor")
    try:
        before = now()
        async with store.connection() as connection:
            row = await connection.fetchrow(load("doctor")["about"])
        after = now()
        current = await is_current(store)
        room = await room_of(store)
    except EcpError as error:
        return [
            Finding(
                ERROR, subject, error.message, "see that PostgreSQL runs there, and try the URL with psql"
            )
        ]
    finally:
        await store.close()
    return [
        *_about(subject, row, settings),
        _migrations(subject, current),
        _room(subject, room),
        clocks(subject, row["now"], before, after),
    ]


def _about(subject: str, row: Any, settings: Settings) -> list[Finding]:
    found = [_postgres(subject, row), _timescale(subject, row)]
    wanted = _OF_ONE_PROCESS * ((settings.fronts or 1) + 1)
    if row["max_connections"] < wanted:
        found.append(
            Finding(
                WARNING,
                subject,
                f"takes {row['max_connections']} connections, and fronts with a worker want {wanted}",
                "raise max_connections, or put a transaction pooler before it (ECPMON_DATABASE_DIRECT_URL)",
            )
        )
    if row["recovering"]:
        found.append(
            Finding(ERROR, subject, "is a replica and takes no writes", "name the primary in the URL")
        )
    return found


def _room(subject: str, room: Room | None) -> Finding:
    where = f"{subject} disk"
    if room is None:
        return Finding(
            SKIPPED, where, "is not to be seen from here", "watch it where it is: a full disk stores nothing"
        )
    if room.is_scarce:
        todo = "make room there, or keep samples for a shorter time (ECPMON_RAW_RETENTION_DAYS and others)"
        return Finding(WARNING, where, str(room), todo)
    return Finding(OK, where, str(room))


def _postgres(subject: str, row: Any) -> Finding:
    major = row["version_num"] // 10_000
    if major in POSTGRES:
        return Finding(OK, subject, f"PostgreSQL {row['version']}")
    todo = f"use one of {POSTGRES.start} to {POSTGRES.stop - 1}"
    level: Level = ERROR if major < POSTGRES.start else WARNING
    return Finding(level, subject, f"PostgreSQL {row['version']}, which is not tried", todo)


def _timescale(subject: str, row: Any) -> Finding:
    installed, offered = row["timescale"], row["timescale_offered"]
    if installed is None and offered is None:
        todo = "install TimescaleDB and add it to shared_preload_libraries"
        return Finding(ERROR, subject, "has no TimescaleDB", todo)
    version = installed or offered
    major, minor = (int(part) for part in version.split(".")[:2])
    if TIMESCALE[0] <= (major, minor) <= TIMESCALE[1]:
        return Finding(OK, subject, f"TimescaleDB {version}")
    lowest, highest = (".".join(map(str, each)) for each in TIMESCALE)
    level: Level = ERROR if (major, minor) < TIMESCALE[0] else WARNING
    return Finding(
        level, subject, f"TimescaleDB {version}, which is not tried", f"use one of {lowest} to {highest}"
    )


def _migrations(subject: str, current: bool) -> Finding:
    if current:
        return Finding(OK, subject, "every migration of this release is applied")
    return Finding(ERROR, subject, "has not every migration of this release", "run `ecpmon migrate`")
