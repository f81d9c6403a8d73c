"""`ecpmon alerts`: a tenant's rules, and what fires."""

from __future__ import annotations

from typing import Any, Final

import click

from ecpmon.cli.remote import Remote, remote
from ecpmon.cli.shown import Column, instant, rounded

_ROW: Final = (
    Column("alert", "alert_name"),
    Column("state", "state"),
    Column("since", "since", instant),
    Column("severity", "severity"),
    Column("value", "value", rounded),
    Column("condition", "condition"),
    Column("for", "duration"),
    Column("rule", "rule_id"),
)
# Of a change that is told.
_TOLD: Final = tuple(
    Column(name, name)
    for name in ("timestamp", "alert_name", "status", "severity", "current_value", "threshold", "message")
)


@click.command()
@click.argument("tenant_id")
@click.option("--active", is_flag=True, help="Only rules that are pending or firing.")
@click.option("--follow", "-f", is_flag=True, help="Then go on with every change, until Ctrl-C.")
@remote
def alerts(to: Remote, tenant_id: str, active: bool, follow: bool) -> None:
    """Alert rules of a tenant with their states."""
    with to.client() as client:
        if not follow:
            found = client.get_active_alerts(tenant_id) if active else client.get_alerts(tenant_id)
            to.show(found, found["alerts"], _ROW)
            return
        followed = to.following(_TOLD, _line)
        with client.alerts(tenant_id) as messages:
            for message in messages:
                followed.show(message)


def _line(message: Any) -> str:
    value = "" if message["current_value"] is None else f" ({message['current_value']:g})"
    told = f"{message['status']:8}  {message['severity']:8}  {message['message']}{value}"
    return f"{instant(message['timestamp'])}  {told}"
