"""`ecpmon restore`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from ecpmon.cli import load_settings
from ecpmon.cli.backup import EXIT_DIFFERS, demo_option, programs_option, superuser_option, tell, url_of


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--replace",
    metavar="DATABASE",
    help="The name of the database, where it holds something: it stays, under another name.",
)
@superuser_option
@demo_option
@programs_option
def restore(
    file: Path, replace: str | None, superuser_url: str | None, demo: bool, programs: Path | None
) -> None:
    """Bring a backup back as the database that ECPMON_DATABASE_URL names.

    It is restored beside it, compared with its manifest, and takes its name at the end. Then run `ecpmon migrate`.
    """
    from ecpmon.app.backup import NotTheSame
    from ecpmon.app.backup import restore as run
    from ecpmon.local.dumping import Programs

    work = run(
        url_of(load_settings(), demo),
        file,
        Programs(programs, tell),
        tell,
        datetime.now(UTC),
        replace=replace,
        superuser=superuser_url,
    )
    try:
        done = asyncio.run(work)
    except NotTheSame as error:
        click.echo(f"error: {error.message}", err=True)
        sys.exit(EXIT_DIFFERS)
    if done.former:
        tell(f"what was there is called {done.former} now; drop it when you do not need it any more")
    if done.roles:
        tell(f"made without a login: {', '.join(done.roles)}; `ecpmon migrate` gives them their passwords")
    click.echo(
        f"{done.contents.rows} rows as of {done.contents.taken_at.isoformat()}; run `ecpmon migrate` now"
    )
