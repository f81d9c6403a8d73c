"""The command line as people use it: help, tokens, statements, errors that say what to do."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecpmon.cli import cli
from ecpmon.errors import EcpError
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.tokens import PgTokenStore
from tests.integration.conftest import MakeTenant
from tests.waiting import PATIENCE


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    return subprocess.run(
        [sys.executable, "-m", "ecpmon", *arguments],
        env={**keep, **environment}, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("up",),
        ("serve",),
        ("migrate",),
        ("simulator",),
        ("mail",),
        ("token",),
        ("token", "create"),
        ("token", "rotate"),
        ("sla",),
        ("sla", "report"),
    ],
)
def test_help_is_there_for_every_command(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert b"Usage:" in done.stdout


def test_without_a_database_the_message_says_what_to_do() -> None:
    done = run("serve")
    assert done.returncode == 1
    assert b"ECPMON_DATABASE_URL is not set" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_bad_setting_is_named() -> None:
    done = run("serve", ECPMON_DATABASE_URL="postgresql://x", ECPMON_PORT="many")
    assert b"ECPMON_PORT" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_database_that_is_away_is_no_traceback(free_port: Callable[[], int]) -> None:
    done = run("migrate", ECPMON_DATABASE_URL=f"postgresql://x@127.0.0.1:{free_port()}/x")
    assert done.returncode == 1
    assert b"does not answer" in done.stderr
    assert b"Traceback" not in done.stderr


async def token(dsn: str, *arguments: str) -> Result:
    """`ecpmon token …` without the cost of a process of its own; errors of ours are the result's exception."""
    runner = CliRunner(env={"ECPMON_DATABASE_URL": dsn, "ECPMON_DEMO_DATABASE_URL": None})
    return await asyncio.to_thread(runner.invoke, cli, ["token", *arguments])


def secret_of(done: Result) -> str:
    assert done.exit_code == 0, (done.stderr, done.exception)
    [line] = done.stdout.splitlines()
    return line


async def listed(dsn: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads((await token(dsn, "list", "--all", "--json")).stdout)}


async def test_a_token_opens_what_it_says_until_it_is_revoked(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant
) -> None:
    one, two = await make_tenant(), await make_tenant()
    arguments = ("--role", "viewer", "--tenant", one.tenant_id, "--tenant", two.tenant_id, "--valid", "90d")
    secret = secret_of(await token(migrated_dsn, "create", "grafana", *arguments))
    caller = await PgTokenStore(database).find(secret, datetime.now(UTC))
    assert caller is not None
    assert (caller.name, caller.roles, caller.tenants) == ("grafana", {"viewer"}, {one.key, two.key})
    assert not [
        r for r in await database.fetch("SELECT hash::text FROM token_secrets") if secret in r["hash"]
    ]
    row = (await listed(migrated_dsn))["grafana"]
    assert (row["status"], row["tenants"]) == ("active", [one.tenant_id, two.tenant_id])
    assert "grafana" in (await token(migrated_dsn, "list")).stdout
    assert (await token(migrated_dsn, "revoke", str(row["token_id"]))).exit_code == 0
    assert await PgTokenStore(database).find(secret, datetime.now(UTC)) is None
    assert (await listed(migrated_dsn))["grafana"]["status"] == "revoked"
    assert "grafana" not in (await token(migrated_dsn, "list")).stdout


async def test_a_rotated_token_has_two_secrets_for_a_while_and_one_at_once(
    database: Database, migrated_dsn: str
) -> None:
    store = PgTokenStore(database)
    first = secret_of(await token(migrated_dsn, "create", "ci", "--role", "admin", "--tenant", "*"))
    number = str((await listed(migrated_dsn))["ci"]["token_id"])
    second = secret_of(await token(migrated_dsn, "rotate", number, "--overlap", "1h"))
    now = datetime.now(UTC)
    assert all([await store.find(s, now) for s in (first, second)])
    later = now + timedelta(hours=1)
    assert [bool(await store.find(s, later)) for s in (first, second)] == [False, True]
    third = secret_of(await token(migrated_dsn, "rotate", number, "--at-once"))
    now = datetime.now(UTC)
    assert [bool(await store.find(s, now)) for s in (first, second, third)] == [False, False, True]


async def test_the_commands_of_the_tokens_page_do_what_they_say(
    make_database: Callable[[], str],
) -> None:
    dsn = make_database()
    own = Database(dsn)
    await migrate(own)
    await own.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('acme', 'micro', '{}', '{}', '{}')"
    )
    page = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in page.split("```")[1].splitlines() if line]
    assert [c[:2] for c in commands] == [["ecpmon", "token"]] * 5
    for _, _, *arguments in commands:
        number = str(await own.fetchval("SELECT min(id) FROM api_tokens") or 0)
        done = await token(dsn, *(number if a == "7" else a for a in arguments))
        assert done.exit_code == 0, (arguments, done.stderr, done.exception)
    ended = {name: row["status"] for name, row in (await listed(dsn)).items()}
    assert ended == {"grafana": "revoked", "root": "active"}
    await own.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "x", "--role", "viewer", "--tenant", "none-such"), "there is no tenant 'none-such'"),
        (("create", "x", "--role", "viewer"), "say for which tenants it is"),
        (("create", "x", "--role", "viewer", "--tenant", "*", "--tenant", "one"), "is every tenant"),
        (("revoke", "4711"), "there is no token 4711"),
        (("rotate", "4711"), "there is no token 4711"),
        (("list", "--demo"), "ECPMON_DEMO_DATABASE_URL is not set"),
    ],
)
async def test_what_cannot_be_done_to_a_token_is_said(
    migrated_dsn: str, arguments: tuple[str, ...], said: str
) -> None:
    done = await token(migrated_dsn, *arguments)
    assert done.exit_code != 0
    assert said in (done.exception.message if isinstance(done.exception, EcpError) else done.stderr)


async def test_a_statement_from_the_command_line(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    assert (await PgTenantStore(database).get(tenant.tenant_id)).tenant_id == tenant.tenant_id
    arguments = ("sla", "report", tenant.tenant_id, "--month", "2026-03")
    done = run(*arguments, ECPMON_DATABASE_URL=migrated_dsn)
    assert json.loads(done.stdout)["verdict"] == "undetermined"
    pdf = run(*arguments, "--format", "pdf", ECPMON_DATABASE_URL=migrated_dsn)
    assert pdf.stdout.startswith(b"%PDF-")
    quarter = run("sla", "report", tenant.tenant_id, "--period", "2026-Q1", ECPMON_DATABASE_URL=migrated_dsn)
    assert json.loads(quarter.stdout)["of"] == "2026-Q1"
    both = run(*arguments, "--period", "2026-Q1", ECPMON_DATABASE_URL=migrated_dsn)
    assert b"give either --month or --period" in both.stderr
    unknown = run("sla", "report", "none-such", "--month", "2026-03", ECPMON_DATABASE_URL=migrated_dsn)
    assert unknown.returncode == 1
    assert b"there is no tenant" in unknown.stderr


def test_the_command_line_alone_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, ecpmon.cli; print(*sys.modules)"],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert "ecpmon.cli" in loaded
    assert not loaded & {"aiohttp", "asyncpg", "kubernetes_validate", "reportlab", "ecpmon.orchestrator"}
