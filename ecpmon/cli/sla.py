"""`ecpmon sla`: figures of a running service, and statements from the database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import BinaryIO, Final

import click

from ecpmon.cli import database_url, load_settings
from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, between, instant, rounded
from ecpmon.figures import percent

_SUMMARY: Final = (
    Column("tenant", "tenant_id"),
    Column("state", "state"),
    Column("sla", "status"),
    Column("target", "target", percent),
    Column("30d", "windows.30d.availability", percent),
    Column("budget left", "error_budget.remaining_percent", percent),
    Column("burn 1h", "burn_rate.1h", rounded),
    Column("last alert", "last_alert.at", instant),
)
_WINDOW: Final = (
    Column("window", "window"),
    Column("availability", "availability", percent),
    Column("bounds", "bounds", between),
    Column("verdict", "verdict"),
    Column("down min", "down_minutes", rounded),
    Column("unseen min", "gap_minutes", rounded),
    Column("budget left", "error_budget.remaining_percent", percent),
    Column("burn rate", "burn_rate", rounded),
    Column("exhausted", "projected_exhaustion", instant),
)


@click.group()
def sla() -> None:
    """SLA figures of a running service, and statements."""


@sla.command()
@remote
def summary(to: Remote) -> None:
    """All tenants that the token may see, the worst first."""
    with to.client() as client:
        found = client.get_sla_summary()
    to.show(found, found["tenants"], _SUMMARY)


@sla.command()
@click.argument("tenant_id")
@click.option("--windows", help="Such as 1h,24h,30d (default: those of the service).")
@click.option("--at", help="As it was then, such as 2026-10-31T12:00:00Z.")
@remote
def show(to: Remote, tenant_id: str, windows: str | None, at: str | None) -> None:
    """Availability with bounds, the error budget and the burn rate of TENANT_ID, by window."""
    with to.client() as client:
        found = client.get_sla(tenant_id, windows=windows.split(",") if windows else None, at=at)
    to.show(found, found["windows"], _WINDOW)


@sla.command()
@click.argument("tenant_id")
@click.option("--month", help="The month, such as 2026-10.")
@click.option("--period", help="A quarter or a year instead, such as 2026-Q3 or 2026.")
@click.option(
    "--format", "shape", type=click.Choice(["json", "csv", "html", "pdf"]), default="json", show_default=True,
    help="What the statement is written as.",
)  # fmt: skip
@click.option("--revision", type=click.IntRange(min=1), help="An older revision (default: the newest).")
@click.option("--language", type=click.Choice(["en", "ko"]), help="Of html and pdf (default: the tenant's).")
@click.option(
    "--output", type=click.File("wb"), default="-", help="Where to write it (default: standard output)."
)
def report(
    tenant_id: str,
    month: str | None,
    period: str | None,
    shape: str,
    revision: int | None,
    language: str | None,
    output: BinaryIO,
) -> None:
    """Write the statement of TENANT_ID. The first call after a month, a quarter or a year is over closes it.

    Asks the database (ECPMON_DATABASE_URL), so it works while no service runs.
    """
    from ecpmon.app.report import report as make
    from ecpmon.model.tenants import Language

    of = month or period
    if of is None or (month and period):
        raise click.UsageError("give either --month or --period")
    settings = load_settings()
    url, chosen = database_url(settings), Language(language) if language else None
    output.write(asyncio.run(make(url, settings, tenant_id, of, shape, datetime.now(UTC), revision, chosen)))
