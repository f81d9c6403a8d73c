"""How much room the disk of the database has is looked at where it can be, and believed of no other server's folder."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from ecpmon.app.readiness import Readiness
from ecpmon.storage import room
from ecpmon.storage.database import Database
from ecpmon.storage.lease import Lease
from ecpmon.storage.queries import load
from ecpmon.storage.room import Room, room_of

Usage = namedtuple("Usage", "total used free")


async def test_it_is_that_of_the_disk_with_the_server_s_folder(database: Database) -> None:
    where = await database.fetchrow(load("doctor")["where"])
    found = await room_of(database)
    assert found is not None
    assert found.size == shutil.disk_usage(where["folder"]).total
    assert 0 < found.free < found.size


@pytest.mark.parametrize("slip", ["another port", "another start", "a short file", "no file"])
async def test_a_folder_that_is_not_this_server_s_tells_nothing(
    database: Database, tmp_path: Path, slip: str
) -> None:
    where = await database.fetchrow(load("doctor")["where"])
    said = (Path(where["folder"]) / "postmaster.pid").read_text()
    for part in ("base", "pg_wal"):
        (tmp_path / part).mkdir()
    if slip != "no file":
        (tmp_path / "postmaster.pid").write_text(said if slip != "a short file" else said[:10])
    port = where["port"] + (slip == "another port")
    began = where["began"] + 3600 * (slip == "another start")
    assert room._room_in(tmp_path, port, began) is None
    (tmp_path / "postmaster.pid").write_text(said)
    assert room._room_in(tmp_path, where["port"], where["began"]) is not None


async def test_a_role_that_may_not_read_all_settings_learns_of_no_folder(database: Database) -> None:
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("CREATE ROLE reads_little; SET LOCAL ROLE reads_little")
        row = await connection.fetchrow(load("doctor")["where"])
        await transaction.rollback()
    assert row["folder"] is None


async def test_scarce_room_is_told_and_makes_nobody_less_ready(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the disks of tables and of the WAL that counts which has less."""
    free = {"base": 50, "pg_wal": 4}
    monkeypatch.setattr(
        room.shutil, "disk_usage", lambda path: Usage(100 * 2**30, 0, free[path.name] * 2**30)
    )
    readiness = Readiness(database, Lease(database))
    assert (await readiness.ready())["disk"] == "scarce: 4.0 of 100.0 GiB are free"
    free["pg_wal"] = 40
    told = await readiness.ready()
    assert (told["disk"], told["writes"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("size", "free", "scarce"), [(100, 10, False), (100, 9, True), (1000, 99, True), (10, 9, False)]
)
def test_less_than_a_tenth_is_scarce(size: int, free: int, scarce: bool) -> None:
    assert Room(size, free).is_scarce is scarce
