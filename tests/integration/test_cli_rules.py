"""`ecpmon rules`: what is committed is what it writes, and what it writes promtool accepts."""

from __future__ import annotations

from pathlib import Path

from ecpmon.alerts.promrules import FILE_NAME
from ecpmon.local.packages import Binaries
from ecpmon.resources import data_dir
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


def test_without_promtool_the_message_says_what_to_do(tmp_path: Path) -> None:
    done = run("rules", "check", "--promtool", str(tmp_path / "none"))
    assert done.returncode == 1
    assert b"--promtool" in done.stderr
    assert b"Traceback" not in done.stderr
