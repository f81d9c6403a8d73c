"""`ecpmon backup`, and what `ecpmon restore` has in common with it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from ecpmon.cli import database_url, load_settings
from ecpmon.settings import Settings

# Exit codes beside 0 (good), 1 (failed) and 2 (the command is not right).
EXIT_DIFFERS: Final = 3
_FOLDER = click.Path(file_okay=False, path_type=Path)
programs_option = click.option(
    "--programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="ECPMON_POSTGRES_PROGRAMS",
    show_envvar=True,
    help="Folder of pg_dump and pg_restore of the server's major version (default: the PATH's).",
)
superuser_option = click.option(
    "--superuser-url",
    envvar="ECPMON_BACKUP_SUPERUSER_URL",
    show_envvar=True,
    help="URL of a superuser of the server, where the database's own role is none: who restores.",
)
demo_option = click.option("--demo", is_flag=True, help="Of the demo database, not of production's.")


@click.command()
@click.option(
    "--folder",
    type=_FOLDER,
    required=True,
    envvar="ECPMON_BACKUP_DIR",
    show_envvar=True,
    help="Where it is kept.",
)
@click.option(
    "--keep", type=click.IntRange(min=1), default=14, show_default=True, help="How many stay in the folder."
)
@click.option("--encrypt-to", "recipient", help="Seal it by gpg for the holder of this key.")
@click.option(
    "--no-verify", is_flag=True, help="Do not restore it to see that it can be. It counts as no good one."
)
@superuser_option
@demo_option
@programs_option
def backup(
    folder: Path,
    keep: int,
    recipient: str | None,
    no_verify: bool,
    superuser_url: str | None,
    demo: bool,
    programs: Path | None,
) -> None:
    """Write the database into a file, restore that into a scratch database, and compare every table.

    Beside the file a manifest says what it holds, and how ecpmon was configured, without secrets. Exit code 3: it was
    made, and restored it is not the same.
    """
    from ecpmon.app.backup import NotTheSame, Wanted, back_up
    from ecpmon.local.dumping import Programs

    settings = load_settings()
    wanted = Wanted(folder, keep, not no_verify, recipient, superuser_url)
    work = back_up(
        url_of(settings, demo), settings, wanted, Programs(programs, tell), tell, lambda: datetime.now(UTC)
    )
    try:
        made = asyncio.run(work)
    except NotTheSame as error:
        click.echo(f"error: {error.message}", err=True)
        sys.exit(EXIT_DIFFERS)
    for file in made.removed:
        tell(f"{file.name} was the oldest, and is gone")
    said = "restored, every table is the same" if made.verified else "not tried"
    click.echo(f"{made.file}: {made.contents.rows} rows, {made.size / 2**20:.1f} MiB; {said}")


def url_of(settings: Settings, demo: bool) -> str:
    if not demo:
        return database_url(settings)
    if settings.demo_database_url is None:
        raise click.ClickException("ECPMON_DEMO_DATABASE_URL is not set")
    return settings.demo_database_url.get_secret_value()


def tell(line: str) -> None:
    click.echo(line, err=True)
