"""What it costs that a leader's writes are checked by its term: processor time, beside the same without.

    .venv/bin/python -m bench.fence

Kinds take turns in blocks, so that all share what else the machine does; times are of the processor, of our process
and of the database's backend.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time

from bench.servers import fetch, postgres, scratch
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import as_leader
from ecpmon.storage.database import Database
from ecpmon.storage.lease import Lease
from ecpmon.storage.migrations import migrate

BLOCK, ROUNDS = 300, 12
WRITE = "UPDATE measured SET n = n + 1"


def backend_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def block(
    database: Database, act: Callable[[], Awaitable[object]], claim: Claim | None
) -> tuple[float, float]:
    """Processor seconds of one block, ours and the backend's."""
    with as_leader(claim):
        for _ in range(10):
            await act()
        pid = await database.fetchval("SELECT pg_backend_pid()")
        ours, theirs = process_time(), backend_seconds(pid)
        for _ in range(BLOCK):
            await act()
        return process_time() - ours, backend_seconds(pid) - theirs


async def measure(dsn: str) -> None:
    database = Database(dsn, max_connections=1)
    await migrate(database)
    await database.execute("CREATE TABLE measured AS SELECT 1 AS n")
    # The disk is not what is measured.
    await database.execute("ALTER DATABASE bench SET synchronous_commit = off")
    lease = Lease(database)

    async def transaction() -> None:
        async with database.transaction() as connection:
            await connection.execute(WRITE)

    acts = {
        "read": lambda: database.fetchval("SELECT n FROM measured"),
        "one write": lambda: database.execute(WRITE),
        "a transaction of one write": transaction,
    }
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        await database.close()  # the pool would replace its session after 50,000 statements
        for name, act in acts.items():
            for whose in ("anybody's", "a leader's"):
                assert await lease.keep()
                found = await block(database, act, lease.claim if whose == "a leader's" else None)
                total = spent.setdefault((name, whose), [0.0, 0.0])
                total[:] = [a + b for a, b in zip(total, found, strict=True)]
    for (name, whose), (ours, theirs) in spent.items():
        per = 1e6 / BLOCK / ROUNDS
        print(f"{name:28} {whose:10} process {ours * per:6.0f} us, database {theirs * per:6.0f} us")
    await lease.release()
    await database.close()


def main() -> None:
    binaries, _ = fetch()
    with scratch() as folder, postgres(binaries, folder) as cluster:
        asyncio.run(measure(cluster.ensure_database("bench")))


if __name__ == "__main__":
    main()
