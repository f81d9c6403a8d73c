"""`ecpmon tenants`: the tenants of a running service."""

from __future__ import annotations

import json
from typing import Any, Final, TextIO

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant
from ecpmon.figures import DASH

_PAGE: Final = 1_000
_ROW: Final = (
    Column("tenant", "tenant_id"),
    Column("name", "name"),
    Column("status", "status"),
    Column("preset", "preset"),
    Column("sla", "sla_status"),
    Column("availability", "sla_availability"),
    Column("services", "services_count"),
    Column("cpu", "cpu_limit"),
    Column("memory", "memory_limit"),
    Column("gpu", "gpu_limit"),
    Column("created", "created_at", instant),
)


@click.group()
def tenants() -> None:
    """The tenants of a running service: list, show, create, change, delete."""


@tenants.command("list")
@click.option("--status", help="Only those of this status, such as running.")
@click.option("--preset", help="Only those of this preset, such as micro.")
@remote
def list_tenants(to: Remote, status: Any, preset: Any) -> None:
    """All tenants that the token may see."""
    found: list[Any] = []
    with to.client() as client:
        while True:
            page = client.get_tenants(skip=len(found), limit=_PAGE, status=status, preset=preset)
            found += page["tenants"]
            if not page["pagination"]["has_more"] or not page["tenants"]:
                break
    to.show(found, found, _ROW)


@tenants.command()
@click.argument("tenant_id")
@remote
def show(to: Remote, tenant_id: str) -> None:
    """One tenant with all that is known of it."""
    with to.client() as client:
        found = client.get_tenant(tenant_id)
    rows = [{"field": name, "value": value} for name, value in found.items()]
    to.show(found, rows, (Column("field", "field"), Column("value", "value", _short)))


def _short(value: Any) -> str:
    if value is None:
        return DASH
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


@tenants.command()
@click.argument("document", type=click.File("r", encoding="utf-8"))
@remote
def create(to: Remote, document: TextIO) -> None:
    """Create the tenant that DOCUMENT describes (YAML or JSON; - is standard input). Nothing is deployed by it."""
    with to.client() as client:
        made = client.create_tenant(_fields(document))
    to.done(
        made, f"created {made['tenant_id']}: {made['estimated_cost']}; `ecpmon deploy {made['tenant_id']}`"
    )


@tenants.command()
@click.argument("tenant_id")
@click.argument("document", type=click.File("r", encoding="utf-8"))
@remote
def change(to: Remote, tenant_id: str, document: TextIO) -> None:
    """Change what DOCUMENT names (YAML or JSON; - is standard input); the rest stays."""
    with to.client() as client:
        made = client.update_tenant(tenant_id, _fields(document))
    to.done(made, f"changed {tenant_id}")


@tenants.command()
@click.argument("tenant_id")
@click.option("--force", is_flag=True, help="Also while it runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote
def delete(to: Remote, tenant_id: str, force: bool, yes: bool) -> None:
    """Remove the deployment, then the tenant. Its SLA history stays."""
    if not yes:
        click.confirm(f"delete {tenant_id}?", abort=True, err=True)
    with to.client() as client:
        gone = client.delete_tenant(tenant_id, force=force)
    to.done(gone, f"{tenant_id} is being deleted; its statements stay")


def _fields(document: TextIO) -> Any:
    from ecpmon.cli.documents import fields_of

    return fields_of(document)
