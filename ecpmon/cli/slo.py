"""`ecpmon slo`: objectives as OpenSLO v1 files."""

from __future__ import annotations

import asyncio
from typing import BinaryIO, TextIO

import click


@click.group()
def slo() -> None:
    """Objectives as OpenSLO v1 YAML."""


@slo.command()
@click.argument("tenant_id")
@click.option(
    "--output", type=click.File("w", encoding="utf-8"), default="-", help="Where to write (standard output)."
)
def export(tenant_id: str, output: TextIO) -> None:
    """Write the objectives of TENANT_ID, its availability target included, as OpenSLO v1."""
    from ecpmon.app.objectives import export as make
    from ecpmon.cli import database_url, load_settings

    output.write(asyncio.run(make(database_url(load_settings()), tenant_id)))


@slo.command()
@click.argument("file", type=click.File("rb"))
def check(file: BinaryIO) -> None:
    """Say what the OpenSLO v1 documents in FILE (- for standard input) define, or what is wrong with them.

    Needs no database. Ends with 1 when anything is unsupported, naming its path.
    """
    from ecpmon.sla import openslo_reader, yamlstream

    try:
        text = file.read(yamlstream.MAX_CHARACTERS * 4 + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException("the file is not UTF-8") from error
    found = openslo_reader.parse(yamlstream.load(text))
    if found.availability is not None:
        click.echo(f"availability: {found.availability:.10g} of the time")
    for o in found.objectives:
        what = f"within {o.threshold_ms:g} ms" if o.threshold_ms else "of the requests"
        click.echo(f"{o.name}: {o.target:.10g} {what}, over {', '.join(o.windows)}")
    if found.availability is None and not found.objectives:
        raise click.ClickException("the file holds no SLO")
