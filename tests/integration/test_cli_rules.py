"""`ecpmon rules`: what is committed is what it writes, and what it writes promtool accepts."""

from __future__ import annotations

from pathlib import Path

from ecpmon.alerts.promrules import FILE_NAME
from ecpmon.local.packages import Binaries
from ecpmon.resources import data_dir
from ecpmon.storage.database import Database
from tests.integration.conftest import MakeTenant
from tests.integration.test_cli import run


def test_the_committed_file_is_what_the_command_writes(tmp_path: Path) -> None:
    done = run("rules", "render", "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "new" / FILE_NAME).read_bytes()
    assert written == (data_dir("rules") / "prometheus" / FILE_NAME).read_bytes()
    assert run("rules", "render").stdout == written


def test_the_shipped_rules_pass_the_check(stack_binaries: Binaries) -> None:
    done = run("rules", "check", "--promtool", str(stack_binaries.promtool))
    assert done.returncode == 0, done.stderr
    assert b"SUCCESS" in done.stdout


def test_an_edited_file_a_missing_one_and_bad_promql_are_refused(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    argv = ("rules", "check", "--folder", str(tmp_path), "--promtool", str(stack_binaries.promtool))
    assert b"is not there" in run(*argv).stderr
    run("rules", "render", "--out", str(tmp_path))
    (tmp_path / "other.yml").write_text("groups: [{name: g, rules: [{record: a:b, expr: 'sum('}]}]")
    refused = run(*argv)
    assert refused.returncode == 1
    assert b"promtool refuses" in refused.stderr
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write("# by hand\n")
    assert b"is not what" in run(*argv).stderr


async def test_targets_come_from_the_databases_tenants(
    stack_binaries: Binaries, migrated_dsn: str, database: Database, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    bank, club, gone = [await make_tenant() for _ in range(3)]
    for tenant, target in ((bank, "99.95%"), (club, "50%"), (gone, "99.9%")):
        change = {"availability": target}
        await database.execute("UPDATE tenants SET sla_target = $2 WHERE id = $1", tenant.key, change)
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE id = $1", gone.key)
    argv = ("--from-database",)
    written = run("rules", "render", *argv, "--out", str(tmp_path), ECPMON_DATABASE_URL=migrated_dsn)
    assert written.returncode == 0, written.stderr
    assert f"fast enough for page: {club.tenant_id}" in written.stderr.decode()
    text = (tmp_path / FILE_NAME).read_text()
    assert f'"{bank.tenant_id}"}} + 0.9995' in text
    assert gone.tenant_id not in text
    argv = (*argv, "--folder", str(tmp_path), "--promtool", str(stack_binaries.promtool))
    assert run("rules", "check", *argv, ECPMON_DATABASE_URL=migrated_dsn).returncode == 0
    # A target has changed since: the check says so.
    await database.execute(
        "UPDATE tenants SET sla_target = $2 WHERE id = $1", bank.key, {"availability": "99.9%"}
    )
    stale = run("rules", "check", *argv, ECPMON_DATABASE_URL=migrated_dsn)
    assert b"is not what `ecpmon rules render --from-database` writes" in stale.stderr


def test_without_a_database_the_message_says_what_to_set() -> None:
    done = run("rules", "render", "--from-database")
    assert done.returncode == 1
    assert b"ECPMON_DATABASE_URL is not set" in done.stderr


def test_without_promtool_the_message_says_what_to_do(tmp_path: Path) -> None:
    done = run("rules", "check", "--promtool", str(tmp_path / "none"))
    assert done.returncode == 1
    assert b"--promtool" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_evidence_profiles_are_listed_and_shown() -> None:
    listed = run("rules", "profiles").stdout.decode()
    assert "vLLM" in listed
    shown = run("rules", "profiles", "mosec")
    assert shown.returncode == 0
    assert b"0.128, 0.256" in shown.stdout
    assert b"! Its own time-outs are 408" in shown.stdout
    unknown = run("rules", "profiles", "nobody")
    assert unknown.returncode == 1
    assert b"known are bentoml" in unknown.stderr
