"""A database that was broken is brought back as it was just before, from a base backup and archived WAL.

PostgreSQL's own means, as docs/howto/restore.md names them: what is tried is that our data comes back by them, every
sample and the SLA to the microsecond.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import Binaries
from ecpmon.local.paths import make_private_dir, service_user
from ecpmon.local.postgres import SUPERUSER, PostgresCluster
from ecpmon.storage import backups
from ecpmon.storage.backups import differences
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import migrate
from tests.conftest import PostgresServer
from tests.integration.conftest import T0, MakeTenant
from tests.integration.test_backup import Held, store_outages
from tests.ports import free_port
from tests.processes import bound
from tests.waiting import until, wait_until

pytestmark = pytest.mark.long
NAME = "ecp_orchestrator"
ARCHIVING = """
archive_mode = on
archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'
"""
RECOVERY = """
restore_command = 'cp {archive}/%f %p'
recovery_target_time = '{instant}'
recovery_target_inclusive = off
recovery_target_action = promote
"""


class Archived:
    """A server that archives its WAL into a folder, and its base backup in another one."""

    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.binaries = binaries
        self.archive, self.base = folder / "archive", folder / "base"
        user = service_user()
        for made in (self.archive, self.base):
            make_private_dir(made, user)
        self.cluster = PostgresCluster(
            binaries.postgres_bin, folder / "postgres", free_port(), user, durable=False
        )
        self.cluster.initialise()
        self.add(ARCHIVING.format(archive=self.archive))
        self.server = PostgresServer(self.cluster)
        self.server.start()

    def add(self, settings: str) -> None:
        with (self.cluster.data / "postgresql.conf").open("a") as file:
            file.write(settings)

    def back_up(self) -> None:
        """By pg_basebackup, of the server while it runs."""
        command = [
            *by_its_loader(self.binaries.postgres_bin / "pg_basebackup"),
            *("--pgdata", self.base, "--checkpoint", "fast", "--wal-method", "none", "--no-sync"),
            *("--host", "127.0.0.1", "--port", self.cluster.port, "--username", SUPERUSER, "--no-password"),
        ]
        environment = self.cluster.env | {"PGPASSWORD": self.cluster.password()}
        done = subprocess.run(
            bound([str(word) for word in command]), capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr

    def lose(self) -> None:
        """The server and its disk, after what it had written was archived."""
        last = self.cluster.psql("postgres", "SELECT pg_walfile_name(pg_switch_wal())").strip()
        wait_until(lambda: (self.archive / last).exists(), "the last WAL is archived")
        self.server.kill()
        shutil.rmtree(self.cluster.data)

    def restore(self, instant: datetime) -> None:
        """As it was just before the instant."""
        subprocess.run(["cp", "-a", self.base, self.cluster.data], check=True)
        self.own(self.cluster.data)
        self.add(RECOVERY.format(archive=self.archive, instant=instant.isoformat()))
        (self.cluster.data / "recovery.signal").touch()
        self.server.start()
        ended = "SELECT NOT pg_is_in_recovery()"
        wait_until(lambda: self.cluster.psql("postgres", ended).strip() == "t", "it is recovered")

    def own(self, folder: Path) -> None:
        user = self.cluster.user
        for path in [folder, *folder.rglob("*")] if user else []:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def by_its_loader(program: Path) -> list[Path | str]:
    """One of those in the package that the set-up has not prepared; the system's own runs as it is."""
    root = program.parents[5]
    triplet = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[detect_architecture()]
    libraries = root / "usr" / "lib" / triplet
    loaders = sorted(libraries.glob("ld-linux*"))
    return [loaders[0], "--library-path", libraries, program] if root != Path("/") and loaders else [program]


@pytest.fixture(scope="module")
def archived(stack_binaries: Binaries, _session_folder: Path) -> Iterator[Archived]:
    folder = _session_folder / "archived"
    make_private_dir(folder, service_user())
    made = Archived(stack_binaries, folder)
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def migrated_dsn(archived: Archived) -> str:
    """For the fixtures that make tenants and store samples."""
    dsn = archived.cluster.ensure_database(NAME)
    asyncio.run(migrate(Database(dsn)))
    return dsn


async def test_what_was_lost_at_an_instant_is_there_as_it_was_before_to_the_last_sample(
    archived: Archived, migrated_dsn: str, database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    held = Held(migrated_dsn, tenant)
    await store_outages(ingest, tenant, T0 - timedelta(days=1))
    await asyncio.to_thread(archived.back_up)
    # What the base backup does not have: it is in the WAL alone.
    await store_outages(ingest, tenant, T0)
    before, figures = await backups.contents(migrated_dsn), await held.figures(migrated_dsn)
    assert before.tables["public.frames"].rows > 0
    instant: datetime = await database.fetchval("SELECT clock_timestamp()")
    await until(lambda: is_later(database, instant), "the clock goes on")
    await database.execute("DELETE FROM tenants")
    assert await database.fetchval("SELECT count(*) FROM availability_spans") == 0
    await database.close()
    await asyncio.to_thread(archived.lose)
    await asyncio.to_thread(archived.restore, instant)
    after = await backups.contents(migrated_dsn)
    assert differences(before, after) == []
    assert await held.figures(migrated_dsn) == figures
    assert figures.down > 0
    # It takes what is new, as a primary does.
    await store_outages(ingest, tenant, T0 + timedelta(minutes=2))
    assert await database.fetchval("SELECT count(*) FROM frames") > before.tables["public.frames"].rows


async def is_later(database: Database, instant: datetime) -> bool:
    return bool(await database.fetchval("SELECT clock_timestamp() > $1::timestamptz", instant))
