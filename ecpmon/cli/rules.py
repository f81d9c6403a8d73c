"""`ecpmon rules`: the generated Prometheus rules, written and checked."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import click

from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import FILE_NAME, default_sli, voiceless
from ecpmon.alerts.promrules import render as rule_file
from ecpmon.resources import data_dir

_from_database = click.option(
    "--from-database",
    is_flag=True,
    help="With the SLA targets of the tenants in ECPMON_DATABASE_URL (default: 99.5 % for everybody).",
)


def _targets(from_database: bool) -> Targets:
    if not from_database:
        return Targets()
    from ecpmon.app.rules import stored_targets
    from ecpmon.cli import database_url, load_settings

    return asyncio.run(stored_targets(database_url(load_settings())))


@click.group()
def rules() -> None:
    """The burn-rate policy as Prometheus rules."""


@rules.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write slo_burn_rate.yml into (default: standard output).",
)
@_from_database
def render(out: Path | None, from_database: bool) -> None:
    """Write the rule file for the shipped policies; write it again when a tenant or its target changes."""
    targets = _targets(from_database)
    for policy, tenants in sorted(voiceless(default_policies(), targets).items()):
        click.echo(f"no outage burns fast enough for {policy}: {', '.join(tenants)}", err=True)
    text = rule_file(default_policies(), targets, default_sli())
    if out is None:
        click.echo(text, nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE_NAME).write_text(text, encoding="utf-8")
    click.echo(out / FILE_NAME)


@rules.command()
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the rule files (default: those of this installation).",
)
@click.option("--promtool", default="promtool", show_default=True, help="The promtool to ask.")
@_from_database
def check(folder: Path | None, promtool: str, from_database: bool) -> None:
    """Check rule files: slo_burn_rate.yml is what `render` writes, and promtool has nothing against any."""
    folder = folder or data_dir("rules") / "prometheus"
    generated = folder / FILE_NAME
    command = f"ecpmon rules render{' --from-database' if from_database else ''}"
    if not generated.is_file():
        raise click.ClickException(f"{generated} is not there; run `{command} --out {folder}`")
    expected = rule_file(default_policies(), _targets(from_database), default_sli())
    if generated.read_text(encoding="utf-8") != expected:
        raise click.ClickException(f"{generated} is not what `{command}` writes")
    argv = [promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(map(str, folder.glob("*.yml")))]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except OSError as error:
        raise click.ClickException(f"{promtool} cannot be run ({error}); name one with --promtool") from error
    except subprocess.TimeoutExpired as error:
        raise click.ClickException(f"{promtool} did not finish within 60 s") from error
    if done.returncode != 0:
        raise click.ClickException(f"promtool refuses the rules:\n{done.stdout}{done.stderr}")
    click.echo(done.stdout, nl=False)
