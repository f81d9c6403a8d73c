"""The private cluster, for real."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.packages import Binaries
from ecpmon.local.paths import service_user
from ecpmon.local.postgres import PostgresCluster

if TYPE_CHECKING:
    from tests.conftest import PostgresServer


def _name(dsn: str) -> str:
    return dsn.rsplit("/", 1)[1]


def test_a_new_database_has_the_extensions_and_a_working_hypertable(
    postgres_server: PostgresServer, make_database: Callable[[], str]
) -> None:
    database = _name(make_database())
    sql = (
        "CREATE TABLE t (at timestamptz NOT NULL, v float8, EXCLUDE USING gist (v WITH =, at WITH =))",
        "ALTER TABLE t DROP CONSTRAINT t_v_at_excl",
        "SELECT create_hypertable('t', by_range('at'))",
        "INSERT INTO t VALUES ('2026-01-01T00:00Z', 1), ('2026-03-01T00:00Z', 2)",
    )
    postgres_server.cluster.psql(database, *sql)
    assert postgres_server.cluster.psql(database, "SELECT count(*) FROM show_chunks('t')").strip() == "2"


def test_creating_a_database_twice_keeps_it(
    postgres_server: PostgresServer, make_database: Callable[[], str]
) -> None:
    database = _name(make_database())
    postgres_server.cluster.psql(database, "CREATE TABLE kept (x int)")
    postgres_server.cluster.ensure_database(database)
    assert postgres_server.cluster.psql(database, "SELECT count(*) FROM kept").strip() == "0"


def test_settings_are_the_promised_ones(postgres_server: PostgresServer) -> None:
    names = (
        "listen_addresses",
        "synchronous_commit",
        "jit",
        "password_encryption",
        "timezone",
        "server_encoding",
    )
    shown = [postgres_server.cluster.psql("postgres", f"SHOW {name}").strip() for name in names]
    assert shown == ["127.0.0.1", "on", "off", "scram-sha-256", "UTC", "UTF8"]


def test_text_beyond_ascii_has_case_without_any_system_locale(postgres_server: PostgresServer) -> None:
    if postgres_server.cluster.psql("postgres", "SHOW server_version_num").strip() < "170000":
        pytest.skip("the builtin locale provider came with PostgreSQL 17")
    assert postgres_server.cluster.psql("postgres", "SELECT upper('é상담')").strip() == "É상담"


def test_a_wrong_password_is_refused(postgres_server: PostgresServer, shared_tmp: Path) -> None:
    real = postgres_server.cluster
    (shared_tmp / "password").write_text("guess")
    stranger = PostgresCluster(real.bin_dir, shared_tmp, real.port, real.user)
    with pytest.raises(LocalStackError, match="password authentication failed"):
        stranger.psql("postgres", "SELECT 1")


def test_password_and_data_are_private(postgres_server: PostgresServer) -> None:
    cluster = postgres_server.cluster
    assert stat.S_IMODE((cluster.folder / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.data.stat().st_mode) == 0o700
    assert not (cluster.folder / "password.initdb").exists()


def test_a_name_that_is_not_one_never_reaches_the_server(postgres_server: PostgresServer) -> None:
    with pytest.raises(ValueError, match="not a database name"):
        postgres_server.cluster.ensure_database("x; DROP DATABASE postgres")


def test_it_comes_back_after_kill_9_with_what_was_committed(
    postgres_server: PostgresServer, make_database: Callable[[], str]
) -> None:
    database = _name(make_database())
    postgres_server.cluster.psql(database, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (42)")
    before = postgres_server.pid
    postgres_server.kill()
    assert not postgres_server.cluster.is_ready()
    postgres_server.start()
    assert postgres_server.pid != before
    assert postgres_server.cluster.psql(database, "SELECT x FROM kept").strip() == "42"


def test_a_lock_file_whose_number_another_process_has_now_is_removed(
    stack_binaries: Binaries, shared_tmp: Path
) -> None:
    cluster = PostgresCluster(stack_binaries.postgres_bin, shared_tmp, 1, service_user())
    cluster.data.mkdir()
    lock = cluster.data / "postmaster.pid"
    lock.write_text("1\n/somewhere\n")
    cluster.clear_stale_lock()
    assert not lock.exists()


def test_data_of_another_major_version_is_refused_with_a_hint(
    stack_binaries: Binaries, shared_tmp: Path
) -> None:
    cluster = PostgresCluster(stack_binaries.postgres_bin, shared_tmp, 1, service_user())
    cluster.data.mkdir()
    (cluster.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(LocalStackError, match="written by PostgreSQL 12") as caught:
        cluster.initialise()
    assert "pg_upgrade" in caught.value.hint
