"""`ecpmon logs`: what a deployment of a tenant said."""

from __future__ import annotations

from typing import Any, Final

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant

_ROW: Final = (Column("time", "timestamp", instant), Column("level", "level"), Column("message", "message"))
# What was logged has a time and a level, a step has a phase and how far it is.
_STEP: Final = tuple(
    Column(name, name) for name in ("timestamp", "level", "phase", "progress", "status", "message")
)
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
        if not follow:
            to.show(found, found["logs"], _ROW)
            return
        followed = to.following(_STEP, _line)
        for said in found["logs"]:
            followed.show(said)
        if found["finished_at"] is None:
            with client.follow_deployment(found["deployment_id"]) as steps:
                for step in steps:
                    followed.show(step)


def _line(told: Any) -> str:
    """What was logged, or a step."""
    if "progress" in told:
        return f"{told['progress']:3} %  {told['phase']}: {told['message']}"
    return f"{instant(told['timestamp'])}  {told['level']:8}  {told['message']}"
