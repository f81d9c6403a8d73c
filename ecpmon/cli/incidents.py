"""`ecpmon incidents`: a tenant's outages."""

from __future__ import annotations

from typing import Any, Final

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant, rounded


def _end(row: Any) -> str:
    return "ongoing" if row["ongoing"] else instant(row["end"])


_ROW: Final = (
    Column("start", "start", instant),
    Column("end", _end),
    Column("seconds", "duration_seconds", rounded),
    Column("down", "down_seconds", rounded),
    Column("budget min", "budget_minutes", rounded),
    Column("cause", "cause"),
    Column("recoveries", lambda row: len(row["recoveries"])),
)


@click.command()
@click.argument("tenant_id")
@click.option(
    "--from", "since", help="Begin of the time asked for, such as 2026-11-01 (default: 30 days ago)."
)
@click.option("--to", "until", help="Its end (default: now).")
@remote
def incidents(to: Remote, tenant_id: str, since: str | None, until: str | None) -> None:
    """Outages of a tenant, with what each took from its error budget."""
    with to.client() as client:
        found = client.get_incidents(tenant_id, since=since, until=until)
    to.show(found, found["incidents"], _ROW)
