"""`ecpmon logs`: what a deployment of a tenant said."""

from __future__ import annotations

from typing import Final

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant

_ROW: Final = (Column("time", "timestamp", instant), Column("level", "level"), Column("message", "message"))
_RECENT: Final = 100


@click.command()
@click.argument("tenant_id")
@click.option("--deployment", help="Of this one (default: the newest).")
@click.option("--follow", "-f", is_flag=True, help="Tell its steps as they come, until it is over.")
@remote
def logs(to: Remote, tenant_id: str, deployment: str | None, follow: bool) -> None:
    """The log of a tenant's newest deployment, or of another one."""
    with to.client() as client:
        listed = client.get_deployments(tenant_id, limit=_RECENT)["deployments"]
        found = next((d for d in listed if deployment in (None, d["deployment_id"])), None)
        if found is None:
            which = f"no deployment {deployment}" if deployment else "no deployment"
            raise click.ClickException(f"{tenant_id} has had {which}; `ecpmon deploy {tenant_id}` begins one")
        to.show(found, found["logs"], _ROW)
        if follow and found["finished_at"] is None:
            with client.follow_deployment(found["deployment_id"]) as steps:
                for step in steps:
                    click.echo(f"{step['progress']:3} %  {step['phase']}: {step['message']}")
