"""The command line as people use it: help, tokens, statements, errors that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ecpmon.storage.access import PgTokenStore
from ecpmon.storage.database import Database
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import MakeTenant


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    return subprocess.run(
        [sys.executable, "-m", "ecpmon", *arguments],
        env={**keep, **environment}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [(), ("up",), ("serve",), ("migrate",), ("simulator",), ("token",), ("sla",), ("sla", "report")],
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


async def test_a_token_opens_what_it_says(database: Database, migrated_dsn: str) -> None:
    done = run(
        "token", "grafana", "--role", "viewer", "--tenant", "one", "--tenant", "two", "--valid", "90d",
        ECPMON_DATABASE_URL=migrated_dsn,
    )  # fmt: skip
    caller = await PgTokenStore(database).find(done.stdout.decode().strip(), datetime.now(UTC))
    assert caller is not None
    assert (caller.name, caller.roles, caller.tenants) == ("grafana", {"viewer"}, {"one", "two"})
    stored = await database.fetch("SELECT token_hash::text FROM api_tokens")
    assert not [r for r in stored if done.stdout.decode().strip() in r["token_hash"]]


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
    unknown = run("sla", "report", "none-such", "--month", "2026-03", ECPMON_DATABASE_URL=migrated_dsn)
    assert unknown.returncode == 1
    assert b"there is no tenant" in unknown.stderr


def test_the_command_line_alone_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, ecpmon.cli; print(*sys.modules)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert "ecpmon.cli" in loaded
    assert not loaded & {"aiohttp", "asyncpg", "kubernetes_validate", "reportlab", "ecpmon.orchestrator"}
