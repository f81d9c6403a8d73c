"""`ecpmon doctor`: what is missing, and what to do."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import click

from ecpmon.cli import load_settings
from ecpmon.cli.remote import DEFAULT_URL
from ecpmon.cli.shown import SHAPES, Column, show

_ROW: Final = (
    Column("level", "level"),
    Column("subject", "subject"),
    Column("how it is", "what"),
    Column("what to do", "todo"),
)


@click.command()
@click.option(
    "--url", envvar="ECPMON_URL", default=DEFAULT_URL, show_default=True, show_envvar=True,
    help="Where the service should answer.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Choice(SHAPES), default="table", show_default=True, help="How it is shown."
)
@click.option("--quiet", "-q", is_flag=True, help="Only what should be looked at.")
def doctor(url: str, output: str, quiet: bool) -> None:
    """Look at settings, database, clocks, Prometheus, Alertmanager, cluster and mail, and say what to do.

    Asks as the service would, with the same ECPMON_* variables, and changes nothing. Exit code 1: something stands in
    the way.
    """
    from ecpmon.app.doctor import ERROR, OK, SKIPPED, examine

    found = asyncio.run(examine(load_settings(), url, lambda: datetime.now(UTC)))
    rows = [asdict(each) for each in found if not (quiet and each.level in (OK, SKIPPED))]
    show({"findings": rows}, rows, _ROW, output)
    if any(each.level == ERROR for each in found):
        raise click.exceptions.Exit(1)
