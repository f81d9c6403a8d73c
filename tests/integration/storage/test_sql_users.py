"""SQL as the source documents use it: their users, their statements, and rights for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from click.testing import CliRunner

from ecpmon.cli import cli
from ecpmon.errors import EcpError
from ecpmon.storage.database import Database
from ecpmon.storage.roles import Login, RoleRefused, ensure_roles

WRITER = Login("ecp_user", "it's a \\ password", writes=True)
READER = Login("ecp_reader", "another", writes=False)
INSERT_TENANT = """
INSERT INTO tenants (tenant_id, name, preset, is_demo, service_requirements, resources, sla_target, cpu_limit,
                     memory_limit, gpu_limit)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id"""
INSERT_DATA = (
    "INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value) VALUES ($1, $2, $3, $4)"
)


async def connected(dsn: str, login: Login) -> Any:
    parts = urlsplit(dsn)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return await asyncpg.connect(bare, user=login.name, password=login.password)


@pytest.fixture
async def writer(database: Database, migrated_dsn: str) -> AsyncIterator[Any]:
    await ensure_roles(database, [WRITER, READER])
    connection = await connected(migrated_dsn, WRITER)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(writer: Any, migrated_dsn: str) -> AsyncIterator[Any]:
    connection = await connected(migrated_dsn, READER)
    yield connection
    await connection.close()


async def a_tenant(writer: Any, name: str) -> int:
    wanted = (
        name, "내 새로운 서비스", "medium", False, json.dumps({"chatbot": 50}),
        json.dumps({"cpu": "8000m", "memory": "16Gi"}), json.dumps({"availability": "99.9%"}), "8000m", "16Gi", 2,
    )  # fmt: skip
    found = await writer.fetchval(INSERT_TENANT, *wanted)
    assert isinstance(found, int)
    return found


async def test_the_statements_of_the_source_documents_work_and_read_back_as_written(writer: Any) -> None:
    number = await a_tenant(writer, "my-new-service")
    for name, value in {"cpu": 65.5, "memory": 78.2, "gpu": 85.0}.items():
        await writer.execute(INSERT_DATA, number, name, name, value)
    rows = await writer.fetch(
        "SELECT m.id, t.tenant_id, m.metric_type, m.metric_name, m.metric_value FROM monitoring_data m"
        " JOIN tenants t ON t.id = m.tenant_id WHERE m.timestamp > NOW() - INTERVAL '1 hour' AND t.id = $1",
        number,
    )
    assert sorted((r["tenant_id"], r["metric_type"], r["metric_name"], r["metric_value"]) for r in rows) == [
        ("my-new-service", "cpu", "cpu", 65.5), ("my-new-service", "gpu", "gpu", 85.0),
        ("my-new-service", "memory", "memory", 78.2),
    ]  # fmt: skip
    assert len({r["id"] for r in rows}) == 3
    types = await writer.fetch(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'compat' AND column_name IN ('id', 'tenant_id') AND table_name = 'monitoring_data'"
    )
    assert dict(map(tuple, types)) == {"id": "bigint", "tenant_id": "integer"}
    counted = await writer.fetch(
        "SELECT tenant_id, metric_type, COUNT(*) FROM monitoring_data WHERE timestamp > NOW() - INTERVAL '1 hour'"
        " AND tenant_id = $1 GROUP BY tenant_id, metric_type",
        number,
    )
    assert {tuple(r) for r in counted} == {(number, kind, 1) for kind in ("cpu", "memory", "gpu")}


async def test_what_they_write_is_what_the_api_shows(writer: Any, database: Database) -> None:
    number = await a_tenant(writer, "seen-by-all")
    await writer.execute(INSERT_DATA, number, "cpu", "cpu", 65.5)
    rows = await database.fetch(
        "SELECT metric_name, metric_value, data_source FROM public.monitoring_data WHERE tenant_id = 'seen-by-all'"
    )
    assert [tuple(r) for r in rows] == [("cpu_usage", 65.5, "push")]
    assert await database.fetchval("SELECT count(*) FROM evidence_regimes WHERE tenant = $1", number) == 1


async def test_who_makes_a_tenant_by_sql_is_in_the_audit_log_and_cannot_write_there_himself(
    writer: Any, database: Database
) -> None:
    number = await a_tenant(writer, "made-by-sql")
    (row,) = await database.fetch("SELECT * FROM audit_log WHERE tenant = $1", number)
    assert (row["actor"], row["action"], row["subject"]) == (
        await writer.fetchval("SELECT session_user"), "tenant.created", "made-by-sql",
    )  # fmt: skip
    assert (row["before"], row["after"]["preset"]) == (None, "medium")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer.execute("SELECT compat.note_tenant(t) FROM compat.tenants t")


async def test_of_a_tenant_that_is_not_there_and_of_values_that_cannot_be_nothing_is_stored(
    writer: Any,
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="no tenant with the id"):
        await writer.execute(INSERT_DATA, 999_999, "cpu", "cpu", 1.0)
    number = await a_tenant(writer, "strict")
    with pytest.raises(asyncpg.CheckViolationError):
        await writer.execute(INSERT_DATA, number, "cpu", "cpu", float("nan"))
    assert await writer.fetchval("SELECT count(*) FROM monitoring_data WHERE tenant_id = $1", number) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM public.api_tokens", "SELECT * FROM public.token_secrets", "SELECT * FROM public.secrets",
        "SELECT * FROM public.alert_rules", "SELECT * FROM public.audit_log", "DELETE FROM tenants",
        "UPDATE tenants SET status = 'running'", "DELETE FROM public.frames",
        "INSERT INTO public.tenants DEFAULT VALUES",
        "CREATE TABLE public.mine (a int)", "CREATE TABLE compat.mine (a int)", "DROP VIEW compat.tenants",
        "SELECT * FROM public.operating_settings", "CREATE TEMPORARY TABLE mine (a int)",
    ],
)  # fmt: skip
async def test_neither_role_may_do_more(writer: Any, reader: Any, statement: str) -> None:
    for connection in (writer, reader):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute(statement)
        assert isinstance(
            refused.value,
            asyncpg.InsufficientPrivilegeError
            | asyncpg.ReadOnlySQLTransactionError
            | asyncpg.ObjectNotInPrerequisiteStateError  # a view that takes no such change
            | asyncpg.FeatureNotSupportedError,
        )


async def test_the_reader_reads_every_view_and_writes_nothing(writer: Any, reader: Any) -> None:
    await a_tenant(writer, "to-be-read")
    views = await reader.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
    names = {v["viewname"] for v in views} & {
        "monitoring_data", "metrics_5m", "metrics_1h", "sla_status", "availability_timeline", "objective_minutes",
    }  # fmt: skip
    assert len(names) == 6
    for name in sorted(names):
        await reader.fetch(f"SELECT * FROM {name} LIMIT 1")
    assert await reader.fetchval("SELECT count(*) FROM tenants WHERE tenant_id = 'to-be-read'") == 1
    await reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute("INSERT INTO compat.tenants (tenant_id) VALUES ('x')")


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        (
            "CREATE INDEX CONCURRENTLY idx ON monitoring_data (tenant_id, timestamp DESC)",
            "must be owner of view",
        ),
        (
            "CREATE TABLE m_2024_01 PARTITION OF monitoring_data FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
            "permission denied for schema compat|is not partitioned",
        ),
    ],
)
async def test_what_needs_no_index_of_theirs_says_so(writer: Any, statement: str, answer: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match=answer):
        await writer.execute(statement)


async def test_roles_are_made_once_and_given_the_password_that_is_set(
    writer: Any, database: Database, migrated_dsn: str
) -> None:
    other = Login(WRITER.name, "new", writes=True)
    await ensure_roles(database, [other])
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(migrated_dsn, WRITER)
    await (await connected(migrated_dsn, other)).close()


async def test_those_of_one_database_do_not_connect_to_another(
    writer: Any, database: Database, make_migrated: Callable[[], str]
) -> None:
    other_dsn = make_migrated()
    other = Database(other_dsn)
    try:
        await ensure_roles(other, [Login("ecp_demo_user", "x", writes=True), READER])
    finally:
        await other.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await connected(other_dsn, WRITER)
    await (await connected(other_dsn, READER)).close()


NOW_AND_HERE = {"name": "cpu", "value": 1.0, "at": None}


@pytest.mark.parametrize(
    ("changes", "error", "says", "hint"),
    [
        ({"tenant": 999_999}, asyncpg.ForeignKeyViolationError, "with the id 999999", "SELECT id FROM tenants"),
        ({"tenant": None}, asyncpg.ForeignKeyViolationError, "with the id NULL", "SELECT id FROM tenants"),
        ({"name": ""}, asyncpg.CheckViolationError, "metric_name must be", "Known names are cpu"),
        ({"name": None}, asyncpg.CheckViolationError, "metric_name must be", "Known names are cpu"),
        ({"value": 1e101}, asyncpg.CheckViolationError, r"must be a number from .* and is 1e\+101", "no measurements"),
        ({"value": None}, asyncpg.CheckViolationError, "and is NULL", "leave out the row"),
        ({"at": "2400-01-01"}, asyncpg.CheckViolationError, "in the future", "Now it is .*time zone"),
        ({"at": "2001-01-01"}, asyncpg.CheckViolationError, "is older than", "The earliest is .*RETENTION_DAYS"),
    ],
)  # fmt: skip
async def test_whoever_writes_what_cannot_be_is_told_what_to_do(
    writer: Any, changes: dict[str, Any], error: type[asyncpg.PostgresError], says: str, hint: str
) -> None:
    number = await writer.fetchval("SELECT id FROM tenants WHERE tenant_id = 'told'")
    row = {"tenant": number or await a_tenant(writer, "told"), **NOW_AND_HERE, **changes}
    with pytest.raises(error, match=says) as refused:
        await writer.execute(
            "INSERT INTO monitoring_data (tenant_id, metric_name, metric_value, timestamp)"
            " VALUES ($1, $2, $3, $4::text::timestamptz)",
            row["tenant"], row["name"], row["value"], row["at"],
        )  # fmt: skip
    assert re.search(hint, str(refused.value.hint))


@pytest.mark.parametrize(
    ("changes", "error", "says", "hint"),
    [
        ({"tenant_id": "My Service"}, asyncpg.CheckViolationError, "My Service", "my-ai-service"),
        ({"preset": "huge"}, asyncpg.CheckViolationError, "no preset huge", "micro, small"),
        ({"resources": None}, asyncpg.NotNullViolationError, "needs resources", "works out"),
        ({"sla_target": '{"availability": "100%"}'}, asyncpg.CheckViolationError, "can be 100%", "both excluded"),
        ({"tenant_id": "there-twice"}, asyncpg.UniqueViolationError, "exists already", "= 'there-twice'"),
    ],
)  # fmt: skip
async def test_a_tenant_that_cannot_be_made_is_refused_with_what_can(
    writer: Any, changes: dict[str, Any], error: type[asyncpg.PostgresError], says: str, hint: str
) -> None:
    if changes.get("tenant_id") == "there-twice":
        await a_tenant(writer, "there-twice")
    row = {"tenant_id": "refused", "preset": "small", "service_requirements": "{}", "resources": "{}",
           "sla_target": "{}", **changes}  # fmt: skip
    with pytest.raises(error, match=says) as refused:
        await writer.execute(
            "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
            " VALUES ($1, $2, $3, $4, $5)",
            *row.values(),
        )
    assert hint in str(refused.value.hint)


async def test_by_name_the_tenant_that_was_meant_is_named(writer: Any, database: Database) -> None:
    await a_tenant(writer, "meant-one")
    for given, hint in (("Meant-One ", "Did you mean meant-one?"), ("nobody", "shows all there are")):
        with pytest.raises(EcpError) as refused:
            await database.execute(
                "INSERT INTO public.monitoring_data (tenant_id, metric_name, metric_value) VALUES ($1, 'cpu', 1)",
                given,
            )
        assert hint in str(getattr(refused.value.__cause__, "hint", ""))


def test_migrate_makes_those_whose_password_is_set(migrated_dsn: str) -> None:
    env = {
        "ECPMON_DATABASE_URL": migrated_dsn,
        "ECPMON_SQL_USER": "somebody",
        "ECPMON_SQL_PASSWORD": "s3cret",
        "ECPMON_DEMO_DATABASE_URL": None,
        "ECPMON_SQL_READER_PASSWORD": None,
    }
    result = CliRunner(env=env).invoke(cli, ["migrate"])
    assert (result.exit_code, result.output) == (0, "production: up to date\nproduction: roles somebody\n")


@pytest.mark.parametrize("name", ["ecpmon", "Robert'); --", "pg_monitor", ""])
async def test_a_name_that_cannot_be_is_refused(database: Database, name: str) -> None:
    with pytest.raises(RoleRefused):
        await ensure_roles(database, [Login(name, "x", writes=True)])
