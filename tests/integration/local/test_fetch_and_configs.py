"""What was fetched does what it is for; the rendered configurations pass the tools that ship with the parts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.alertmanager import render_alertmanager_config
from ecpmon.local.apt import AptWorkspace, detect_platform
from ecpmon.local.packages import Binaries, Bundle, fetch_bundles
from ecpmon.local.ports import plan_ports
from ecpmon.local.prometheus import render_prometheus_config


def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_accepts_the_prometheus_configuration(stack_binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yml").write_text(
        "groups: [{name: g, rules: [{alert: ECPTenantDown, expr: up == 0, for: 1m}]}]\n"
    )
    config = tmp_path / "prometheus.yml"
    config.write_text(render_prometheus_config(plan_ports(), rules_glob=str(tmp_path / "rules/*.yml")))
    assert "1 rules found" in run(stack_binaries.promtool, "check", "config", config)


@pytest.mark.parametrize("token", [None, "a 'quoted' token"])
def test_amtool_accepts_the_alertmanager_configuration(
    stack_binaries: Binaries, tmp_path: Path, token: str | None
) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(render_alertmanager_config(plan_ports(), bearer_token=token))
    assert "SUCCESS" in run(stack_binaries.amtool, "check-config", config)


@pytest.mark.parametrize("program", ["initdb", "pg_ctl", "psql", "pg_dump", "pg_restore", "pg_isready"])
def test_the_database_programs_run(stack_binaries: Binaries, program: str) -> None:
    assert "PostgreSQL" in run(stack_binaries.postgres_bin / program, "--version")


def test_a_bundle_is_fetched_from_the_mirror_and_nothing_of_apt_is_left(tmp_path: Path) -> None:
    bundle = Bundle("small", ("libmd0",))
    seen: list[str] = []
    platform = detect_platform()
    fetch_bundles(tmp_path, [bundle], platform.architecture, lambda what, _done, _total: seen.append(what))
    folder = bundle.folder(tmp_path, platform.architecture)
    assert list(folder.glob("usr/lib/*/libmd.so.0"))
    assert "libmd0_" in (folder / ".complete").read_text()
    assert list(dict.fromkeys(seen)) == ["package lists", "downloading", "unpacking"]
    assert not (tmp_path / "apt").exists()


def test_a_mirror_that_refuses_is_explained(tmp_path: Path) -> None:
    real = detect_platform()
    nowhere = type(real)(real.architecture, "http://127.0.0.1:9/debian/", real.keyring)
    workspace = AptWorkspace(tmp_path, nowhere, retries=0)
    with pytest.raises(LocalStackError, match="fetching packages failed") as caught:
        workspace.prepare()
    assert "network" in caught.value.hint
