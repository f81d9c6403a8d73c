"""`ecpmon rules`: the generated Prometheus rules, written and checked."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click

from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promindicators import Counted
from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import (
    FILE_NAME,
    OBJECTIVES_FILE,
    default_sli,
    render_objectives,
    voiceless,
)
from ecpmon.alerts.promrules import render as rule_file
from ecpmon.resources import data_dir

_from_database = click.option(
    "--from-database",
    is_flag=True,
    help="With the SLA targets of the tenants in ECPMON_DATABASE_URL (default: 99.5 % for everybody).",
)


def _promises(from_database: bool) -> tuple[Targets, Sequence[Counted]]:
    from ecpmon.app.rules import default_objectives, stored_targets

    if not from_database:
        return Targets(), default_objectives()
    from ecpmon.cli import database_url, load_settings

    return asyncio.run(stored_targets(database_url(load_settings())))


def _files(targets: Targets, objectives: Sequence[Counted]) -> tuple[dict[str, str], dict[str, str]]:
    """File -> text, and objective -> why it cannot be a rule."""
    from ecpmon.app.rules import default_known

    policies, sli = default_policies(), default_sli()
    about, why = render_objectives(policies, objectives, default_known(), sli)
    return {FILE_NAME: rule_file(policies, targets, sli), OBJECTIVES_FILE: about}, why


@click.group()
def rules() -> None:
    """The burn-rate policy as Prometheus rules."""


@rules.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write slo_burn_rate.yml and slo_objectives.yml into (default: standard output).",
)
@click.option(
    "--objectives", "about_objectives", is_flag=True, help="To standard output those about objectives."
)
@_from_database
def render(out: Path | None, about_objectives: bool, from_database: bool) -> None:
    """Write the rule files for the shipped policies; write them again when a tenant or a promise changes."""
    targets, objectives = _promises(from_database)
    for policy, tenants in sorted(voiceless(default_policies(), targets).items()):
        click.echo(f"no outage burns fast enough for {policy}: {', '.join(tenants)}", err=True)
    files, why = _files(targets, objectives)
    if out is None:
        click.echo(files[OBJECTIVES_FILE if about_objectives else FILE_NAME], nl=False)
    if out is not None or about_objectives:
        for objective, reason in sorted(why.items()):
            click.echo(f"no rule about {objective}: {reason}", err=True)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
        click.echo(out / name)


@rules.command()
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the rule files (default: those of this installation).",
)
@click.option("--promtool", default="promtool", show_default=True, help="The promtool to ask.")
@_from_database
def check(folder: Path | None, promtool: str, from_database: bool) -> None:
    """Check rule files: the generated ones are what `render` writes, and promtool has nothing against any."""
    folder = folder or data_dir("rules") / "prometheus"
    command = f"ecpmon rules render{' --from-database' if from_database else ''}"
    files, _ = _files(*_promises(from_database))
    for name, expected in files.items():
        generated = folder / name
        if not generated.is_file():
            raise click.ClickException(f"{generated} is not there; run `{command} --out {folder}`")
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


@rules.command()
@click.argument("name", required=False)
def profiles(name: str | None) -> None:
    """List the evidence profiles, or show what the profile NAME asks Prometheus and what to beware of."""
    from ecpmon.collectors.profiles import GPU
    from ecpmon.collectors.profiles import profiles as shipped

    if name is None:
        for each, profile in shipped().items():
            if each != GPU:
                click.echo(f"{each:15} {profile.title}")
        return
    found = shipped().get(name)
    if found is None:
        raise click.ClickException(f"there is no evidence profile {name!r}; known are {', '.join(shipped())}")
    click.echo(found.title)
    for what, text in {**found.availability, **found.counters}.items():
        click.echo(f"{what}: {text}")
    for what, gauge in found.metrics.items():
        click.echo(f"{what}: {gauge.expression} ({gauge.unit}{', a sample' if gauge.sample else ''})")
    if found.latency:
        bounds = ", ".join(f"{bound:g}" for bound in found.latency.bounds) or "not known"
        click.echo(f"latency of {found.latency.of} in {found.latency.unit}: {bounds}")
    for warning in found.warnings:
        click.echo(f"! {warning}")
