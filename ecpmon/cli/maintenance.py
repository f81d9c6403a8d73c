"""`ecpmon maintenance`: planned windows of a tenant."""

from __future__ import annotations

from typing import Any, Final

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant

_ROW: Final = (
    Column("id", "id"),
    Column("start", "start", instant),
    Column("end", "end", instant),
    Column("seconds", "duration_seconds"),
    Column("repeats", "rrule"),
    Column("zone", "time_zone"),
    Column("reason", "reason"),
)


@click.group()
def maintenance() -> None:
    """Planned windows of a tenant: list, add, remove."""


@maintenance.command("list")
@click.argument("tenant_id")
@remote
def list_windows(to: Remote, tenant_id: str) -> None:
    """The windows there are, and what lies ahead of each."""
    with to.client() as client:
        found = client.get_maintenance(tenant_id)
    to.show(found, found["maintenance"], _ROW)


@maintenance.command()
@click.argument("tenant_id")
@click.option("--start", required=True, help="Such as 2026-12-01T02:00:00+09:00.")
@click.option("--end", help="When it ends, or --duration.")
@click.option("--duration", help="How long it lasts, such as 2h.")
@click.option("--reason", required=True, help="Why; it stands in the statement.")
@click.option("--rrule", help="When it comes again (RFC 5545), such as FREQ=WEEKLY;BYDAY=SU.")
@click.option("--time-zone", help="By which clock it comes again, such as Asia/Seoul.")
@click.option("--title", help="What it is called.")
@remote
def add(to: Remote, tenant_id: str, **window: Any) -> None:
    """Plan a window; one that lies in the past needs the right to enter it."""
    body: Any = {name: value for name, value in window.items() if value is not None}
    with to.client() as client:
        made = client.add_maintenance(tenant_id, body)
    to.done(made, f"planned as {made['id']}")


@maintenance.command()
@click.argument("tenant_id")
@click.argument("maintenance_id")
@click.option(
    "--keep-past", is_flag=True, help="One that comes again just ends; what it covered stays covered."
)
@remote
def remove(to: Remote, tenant_id: str, maintenance_id: str, keep_past: bool) -> None:
    """Take a window back."""
    with to.client() as client:
        client.remove_maintenance(tenant_id, maintenance_id, keep_past=keep_past)
    to.done({"maintenance_id": maintenance_id}, f"{maintenance_id} is taken back")
