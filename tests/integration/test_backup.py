"""`ecpmon backup` and `ecpmon restore` with PostgreSQL's own programs and a database that holds something."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ecpmon.app.backup import NotTheSame, Wanted, back_up, restore, told
from ecpmon.errors import EcpError, LocalStackError
from ecpmon.local.dumping import Programs, database_of, named, without_password
from ecpmon.local.packages import Binaries
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.settings import Settings
from ecpmon.storage import backups
from ecpmon.storage.backups import Backups, differences
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import migrate
from ecpmon.storage.roles import Login, ensure_roles
from tests.conftest import PostgresServer
from tests.integration.conftest import T0, MakeTenant
from tests.processes import bound

UP, CPU = SeriesKey("sla", "up"), SeriesKey("system", "cpu_usage")
NOW = T0 + timedelta(minutes=10)
PASSWORD = "of-a-reader"
STATEMENT = """
INSERT INTO statements (tenant, month, revision, closed_at, digest, document)
SELECT id, '2026-02', 1, $2, repeat('a', 64), '{"availability": "99.5"}' FROM tenants WHERE tenant_id = $1"""


@dataclass(frozen=True)
class Held:
    """A database with a tenant of two outages, samples of three days, and a statement."""

    dsn: str
    tenant: Tenant

    async def figures(self, dsn: str) -> Any:
        """The SLA of the tenant, to the microsecond, as the engine has it."""
        database = Database(dsn)
        try:
            window = Interval(T0, NOW)
            found = await PgFastWindows(database).tallies({self.tenant.tenant_id: [window]}, NOW)
            return found[self.tenant.tenant_id][window]
        finally:
            await database.close()


@pytest.fixture
async def held(migrated_dsn: str, database: Database, ingest: IngestStore, make_tenant: MakeTenant) -> Held:
    tenant = await make_tenant()
    await ensure_roles(database, [Login("ecp_reader", PASSWORD, False)])
    for days in (2, 1, 0):
        await store_outages(ingest, tenant, T0 - timedelta(days=days))
    await database.execute(STATEMENT, tenant.tenant_id, NOW)
    return Held(migrated_dsn, tenant)


async def store_outages(ingest: IngestStore, tenant: Tenant, begin: datetime) -> None:
    """Fifteen samples of two metrics, three of them down."""
    frames = [
        Frame(tenant.tenant_id, Source.SIMULATOR, moment, (Sample(UP, up), Sample(CPU, 12.5)))
        for moment, up in outages(begin)
    ]
    await ingest.commit([Batch(tuple(frames))])


def outages(begin: datetime) -> list[tuple[datetime, float]]:
    seconds = [(5 * n + 0.123457, 0.0 if n in (3, 4, 9) else 1.0) for n in range(15)]
    return [(begin + timedelta(seconds=after), up) for after, up in seconds]


@pytest.fixture
def programs(stack_binaries: Binaries) -> Programs:
    return Programs(stack_binaries.postgres_bin)


def clock() -> Callable[[], datetime]:
    """An hour later each time that it is looked at."""
    hours = iter(range(1000))
    return lambda: NOW + timedelta(hours=next(hours))


def quiet(_: str) -> None:
    """What is told meanwhile is looked at where the command is run."""


async def run(arguments: list[str], dsn: str, binaries: Binaries) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECPMON_")}
    environment |= {
        "ECPMON_DATABASE_URL": dsn,
        "ECPMON_POSTGRES_PROGRAMS": str(binaries.postgres_bin),
        "ECPMON_WEBHOOK_SECRET": "never to be told to anybody",
        "ECPMON_PROMETHEUS_URL": "http://scraper:hidden@127.0.0.1:9090",
    }
    process = await asyncio.create_subprocess_exec(
        *bound([sys.executable, "-m", "ecpmon", *arguments]),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def databases(database: Database) -> set[str]:
    return {row["datname"] for row in await database.fetch("SELECT datname FROM pg_database")}


async def test_a_backup_is_tried_kept_and_brought_back_without_touching_what_is_there(
    held: Held, database: Database, stack_binaries: Binaries, tmp_path: Path
) -> None:
    before = await backups.contents(held.dsn)
    figures = await held.figures(held.dsn)
    assert figures.down > 0
    there = await databases(database)
    code, out, err = await run(["backup", "--folder", str(tmp_path)], held.dsn, stack_binaries)
    assert code == 0, err
    assert "restored, every table is the same" in out
    assert "restoring them to see that they can be" in err
    [file] = tmp_path.glob("*.dump")
    [manifest] = tmp_path.glob("*.json")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, manifest)} == {0o600}
    assert await databases(database) == there, "the scratch database is gone"
    check_manifest(manifest, before)
    assert await Backups(database).last_good() is not None

    # Afterwards something is lost: the backup comes back under the name, and what was there stays.
    await database.execute("DELETE FROM frames")
    code, _, err = await run(["restore", str(file)], held.dsn, stack_binaries)
    name = database_of(held.dsn)
    assert code == 1
    assert f"{name} holds something" in err
    assert await database.fetchval("SELECT count(*) FROM frames") == 0
    await database.close()
    code, out, err = await run(["restore", str(file), "--replace", name], held.dsn, stack_binaries)
    assert code == 0, err
    assert "run `ecpmon migrate` now" in out
    after = await backups.contents(held.dsn)
    assert differences(before, after) == []
    assert await held.figures(held.dsn) == figures
    [former] = await databases(database) - there
    assert former.startswith(f"{name}_before_")
    kept = Database(named(held.dsn, former))
    assert await kept.fetchval("SELECT count(*) FROM frames") == 0
    await kept.close()
    # What the database refuses, and who may do what, came along.
    assert await database.fetchval("SELECT has_table_privilege('ecp_reader', 'public.tenants', 'SELECT')")
    assert not await database.fetchval(
        "SELECT has_function_privilege('public', 'compat.note_tenant(compat.tenants)', 'EXECUTE')"
    )


def check_manifest(manifest: Path, before: backups.Contents) -> None:
    text = manifest.read_text()
    for secret in ("never to be told", "hidden", PASSWORD):
        assert secret not in text
    document = json.loads(text)
    assert document["verified"] is True
    assert document["settings"]["webhook_secret"] == "(set, not told)"
    assert document["settings"]["prometheus_url"] == "http://…@127.0.0.1:9090"
    assert document["contents"]["tables"]["public.frames"]["rows"] == before.tables["public.frames"].rows > 0
    assert document["contents"]["tables"]["public.statements"]["rows"] >= 1
    assert "ecp_reader" in document["contents"]["roles"]


# A pg_restore that loses something.
LOSSY = """#!/bin/sh
{folder}/pg_restore "$@" || exit
for last; do case $last in --dbname=*) url=${{last#--dbname=}};; esac; done
exec {folder}/psql -X -q -d "$url" -c "{loss}"
"""
LOSS = "DELETE FROM statements; UPDATE tenants SET name = 'Another'"
DIFFERENT = r"public\.statements has \d+ rows in one and 0 in the other.*public\.tenants has other rows"


async def test_a_backup_that_is_not_the_same_when_restored_is_no_backup(
    held: Held, stack_binaries: Binaries, tmp_path: Path
) -> None:
    lossy = tmp_path / "programs"
    lossy.mkdir()
    (lossy / "pg_dump").symlink_to(stack_binaries.postgres_bin / "pg_dump")
    (lossy / "pg_restore").write_text(LOSSY.format(folder=stack_binaries.postgres_bin, loss=LOSS))
    (lossy / "pg_restore").chmod(0o755)
    folder = tmp_path / "backups"
    with pytest.raises(NotTheSame, match=DIFFERENT):
        await back_up(held.dsn, Settings(), Wanted(folder), Programs(lossy), quiet, clock())
    assert [path.suffix for path in folder.iterdir() if path.name != ".lock"] == [".bad"]


async def test_only_as_many_stay_as_are_to_be_kept_and_what_was_broken_off_goes(
    held: Held, programs: Programs, tmp_path: Path
) -> None:
    left = tmp_path / f"{database_of(held.dsn)}-19990101T000000Z.dump.part"
    left.touch()
    wanted, now = Wanted(tmp_path, keep=2, verify=False), clock()
    made = [await back_up(held.dsn, Settings(), wanted, programs, quiet, now) for _ in range(3)]
    assert made[0].verified is False
    assert made[2].removed == [made[0].file]
    assert sorted(tmp_path.glob("*.dump")) == [made[1].file, made[2].file]
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert not left.exists()


async def test_what_cannot_be_made_leaves_nothing_behind_and_older_ones_as_they_were(
    held: Held, stack_binaries: Binaries, tmp_path: Path
) -> None:
    older = tmp_path / f"{database_of(held.dsn)}-19990101T000000Z.json"
    older.touch()
    for programs in (Programs(tmp_path), Programs(broken(tmp_path / "broken"))):
        with pytest.raises(LocalStackError, match="pg_dump") as failed:
            await back_up(held.dsn, Settings(), Wanted(tmp_path, keep=1), programs, quiet, clock())
        assert failed.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", "broken", older.name])


def broken(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pg_dump").write_text("#!/bin/sh\necho 'the disk is gone' >&2\nexit 1\n")
    (folder / "pg_dump").chmod(0o755)
    return folder


async def test_a_file_that_was_changed_is_not_restored(
    held: Held, database: Database, programs: Programs, tmp_path: Path
) -> None:
    wanted = Wanted(tmp_path, verify=False)
    made = await back_up(held.dsn, Settings(), wanted, programs, quiet, clock())
    there = await databases(database)
    whole = bytearray(made.file.read_bytes())
    whole[len(whole) // 2] ^= 1
    made.file.write_bytes(whole)
    elsewhere = named(held.dsn, "brought_back")
    with pytest.raises(LocalStackError, match="SHA-256"):
        await restore(elsewhere, made.file, programs, quiet, NOW)
    made.file.with_suffix(".json").unlink()
    with pytest.raises(LocalStackError, match="does not say what"):
        await restore(elsewhere, made.file, programs, quiet, NOW)
    assert await databases(database) == there


async def test_two_at_once_are_not_made_in_one_folder(held: Held, programs: Programs, tmp_path: Path) -> None:
    wanted = Wanted(tmp_path, verify=False)
    results = await asyncio.gather(
        *(back_up(held.dsn, Settings(), wanted, programs, quiet, clock()) for _ in range(2)),
        return_exceptions=True,
    )
    [refused] = [each for each in results if isinstance(each, LocalStackError)]
    assert "another backup is being made" in refused.message
    assert len(list(tmp_path.glob("*.dump"))) == 1


async def test_a_role_that_is_no_superuser_has_one_try_its_backup_and_bring_it_back(
    postgres_server: PostgresServer, programs: Programs, tmp_path: Path
) -> None:
    cluster = postgres_server.cluster
    cluster.psql(
        "postgres",
        "CREATE ROLE owner_of_one LOGIN PASSWORD 'x'",
        "CREATE DATABASE owned OWNER owner_of_one TEMPLATE template0",
    )
    url, superuser = f"postgresql://owner_of_one:x@127.0.0.1:{cluster.port}/owned", cluster.dsn("postgres")
    database = Database(url)
    await migrate(database)
    wanted = Wanted(tmp_path, superuser=superuser)
    made = await back_up(url, Settings(), wanted, programs, quiet, clock())
    assert made.verified
    await database.execute("DELETE FROM input_bounds")
    await database.close()
    with pytest.raises(EcpError):
        await restore(url, made.file, programs, quiet, NOW, replace="owned")
    done = await restore(url, made.file, programs, quiet, NOW, replace="owned", superuser=superuser)
    assert done.former is not None
    assert differences(made.contents, await backups.contents(url)) == []
    # What is restored is its own: it stores, and goes on with migrations.
    await Backups(database).note("x.dump", NOW, NOW, 1, "0" * 64, verified=True)
    assert await migrate(database) == 0
    await database.close()


@pytest.fixture
def gpg_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a key that is made for this test."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg here")
    home = Path(tempfile.mkdtemp())  # not pytest's: the path of its agent's socket has to fit into 108 bytes
    monkeypatch.setenv("GNUPGHOME", str(home))
    argv = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "ops@example.com"]
    subprocess.run([*argv, "future-default", "default", "never"], check=True, capture_output=True)
    yield "ops@example.com"
    subprocess.run(["gpgconf", "--kill", "all"], check=True)
    shutil.rmtree(home, ignore_errors=True)


async def test_a_sealed_backup_is_read_by_the_holder_of_the_key_only_and_brought_back_on_a_new_server(
    held: Held, database: Database, programs: Programs, tmp_path: Path, gpg_key: str
) -> None:
    wanted = Wanted(tmp_path, recipient=gpg_key)
    made = await back_up(held.dsn, Settings(), wanted, programs, quiet, clock())
    assert made.file.name.endswith(".dump.gpg")
    assert not made.file.read_bytes().startswith(b"PGDMP")
    assert b"PGDMP" not in made.file.read_bytes()
    elsewhere = named(held.dsn, "of_a_sealed_one")
    done = await restore(elsewhere, made.file, programs, quiet, NOW)
    assert done.former is None
    assert differences(made.contents, await backups.contents(elsewhere)) == []
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} <= {".gpg", ".json", ""}


def test_no_secret_is_told_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "correct horse battery staple"
    settings = Settings(
        database_url=SecretStr(f"postgresql://a:{secret}@h/d"),
        smtp_password=SecretStr(secret),
        prometheus_headers={"Authorization": secret},
        deadman_url=f"https://ping.example.com/{secret.replace(' ', '-')}",
        port=8002,
    )
    found = told(settings)
    assert secret not in json.dumps(found)
    assert "correct-horse" not in json.dumps(found)
    assert found["deadman_url"] == "https://ping.example.com/…"
    assert found["port"] == "8002"
    assert found["prometheus_headers"] == {"Authorization": "(set, not told)"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://a:b%40c@h:1/d?x=1", "postgresql://a@h:1/d?x=1"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql://a@h/d", "postgresql://a@h/d"),
    ],
)
def test_a_password_is_no_argument_of_a_program(url: str, shown: str) -> None:
    assert without_password(url) == shown
