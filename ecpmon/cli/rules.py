"""`ecpmon rules`: the generated Prometheus rules, written and checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from ecpmon.alerts.promrules import FILE_NAME, shipped
from ecpmon.resources import data_dir


@click.group()
def rules() -> None:
    """The burn-rate policy as Prometheus rules."""


@rules.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write slo_burn_rate.yml into (default: standard output).",
)
def render(out: Path | None) -> None:
    """Write the rule file for the shipped policies and the default target."""
    if out is None:
        click.echo(shipped(), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE_NAME).write_text(shipped(), encoding="utf-8")
    click.echo(out / FILE_NAME)


@rules.command()
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the rule files (default: those of this installation).",
)
@click.option("--promtool", default="promtool", show_default=True, help="The promtool to ask.")
def check(folder: Path | None, promtool: str) -> None:
    """Check rule files: slo_burn_rate.yml is what `render` writes, and promtool has nothing against any."""
    folder = folder or data_dir("rules") / "prometheus"
    generated = folder / FILE_NAME
    if not generated.is_file():
        raise click.ClickException(f"{generated} is not there; run `ecpmon rules render --out {folder}`")
    if generated.read_text(encoding="utf-8") != shipped():
        raise click.ClickException(f"{generated} is not what `ecpmon rules render` writes")
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
