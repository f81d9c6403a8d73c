"""`ecpmon slo` as people use it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from ecpmon.app.objective_defaults import load_objectives
from ecpmon.storage.database import Database
from ecpmon.storage.objectives import PgObjectiveStore
from tests.integration.conftest import MakeTenant
from tests.waiting import PATIENCE


def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    return subprocess.run(
        [sys.executable, "-m", "ecpmon", *arguments],
        env={**keep, **environment}, input=stdin, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", [("slo",), ("slo", "export"), ("slo", "check")])
def test_help_is_there(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert b"Usage:" in done.stdout


async def test_what_is_exported_checks_out(
    migrated_dsn: str, database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await PgObjectiveStore(database, load_objectives()).install_defaults(datetime.now(UTC), [tenant])
    exported = run("slo", "export", tenant.tenant_id, ECPMON_DATABASE_URL=migrated_dsn)
    assert exported.returncode == 0, exported.stderr
    checked = run("slo", "check", "-", stdin=exported.stdout)
    assert checked.stdout.decode().splitlines() == [
        "availability: 0.995 of the time",
        "latency: 0.99 within 500 ms, over 30d, 7d, 24h, 1h",
        "requests: 0.995 of the requests, over 30d, 7d, 24h, 1h",
    ]
    wrong = exported.stdout.replace(b"Occurrences", b"Timeslices")
    refused = run("slo", "check", "-", stdin=wrong)
    assert refused.returncode == 1
    assert b"[2].spec.budgetingMethod" in refused.stderr


def test_an_unknown_tenant_and_a_file_without_slos_are_said_plainly(migrated_dsn: str) -> None:
    unknown = run("slo", "export", "no-such-tenant", ECPMON_DATABASE_URL=migrated_dsn)
    assert unknown.returncode == 1
    assert b"there is no tenant" in unknown.stderr
    for stdin in (b"", b"\xff", b"a: ["):
        done = run("slo", "check", "-", stdin=stdin)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
