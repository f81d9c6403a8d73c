"""How much room there is on the disk of a database, as far as this machine can see it: no SQL tells that.

The folders of the server are looked at where they are this machine's. That a folder of that name is really this
server's says its `postmaster.pid`: the port that it listens to and the second in which it began.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Of a disk of which less is free people are warned.
SCARCE: Final = 0.1
# Between when the server began and when it says so.
_STARTING: Final = 300
# Lines of `postmaster.pid`.
_BEGAN, _PORT = 2, 3


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes: of the disk, and of these what the server may still use."""

    size: int
    free: int

    @property
    def is_scarce(self) -> bool:
        return self.free < self.size * SCARCE

    def __str__(self) -> str:
        return f"{self.free / 2**30:.1f} of {self.size / 2**30:.1f} GiB are free"


async def room_of(database: Database) -> Room | None:
    """Of the disk with the tables or that with the WAL, whichever has less; None: it is not to be seen from here.

    Raises EcpError when the database does not answer.
    """
    row = await database.fetchrow(load("doctor")["where"])
    if row["folder"] is None:
        return None
    return await asyncio.to_thread(_room_in, Path(row["folder"]), row["port"], row["began"])


def _room_in(folder: Path, port: int, began: int) -> Room | None:
    try:
        lines = (folder / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        if not _is_of(lines, port, began):
            return None
        disks = [shutil.disk_usage(folder / part) for part in ("base", "pg_wal")]
    except OSError:  # another machine's, or another user's
        return None
    least = min(disks, key=lambda disk: disk.free / disk.total)
    return Room(least.total, least.free)


def _is_of(lines: list[str], port: int, began: int) -> bool:
    said = [line.strip() for line in lines[: _PORT + 1]]
    if len(said) <= _PORT or not said[_BEGAN].isdecimal():
        return False
    return said[_PORT] == str(port) and abs(int(said[_BEGAN]) - began) <= _STARTING
