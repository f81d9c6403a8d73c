"""`ecpmon push`: measurements from a shell."""

from __future__ import annotations

import click

from ecpmon.cli.remote import Remote, remote


class Measurement(click.ParamType[tuple[str, float]]):
    """`name=value`."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        name, found, number = str(value).partition("=")
        try:
            return name, float(number)
        except ValueError:
            self.fail(f"{value!r}: give a metric and its value, such as {name or 'up'}=1", param, ctx)
        finally:
            if not name or not found:
                self.fail(f"{value!r}: give a metric and its value, such as up=1", param, ctx)


@click.command()
@click.argument("tenant_id")
@click.argument("metrics", nargs=-1, required=True, type=Measurement())
@click.option("--at", help="The instant they are of, such as 2026-11-01T00:00:00Z (default: now).")
@remote
def push(to: Remote, tenant_id: str, metrics: tuple[tuple[str, float], ...], at: str | None) -> None:
    """Push measurements of a tenant, such as `ecpmon push acme up=1 response_time=120`.

    They are stored when it returns; exit code 1 when some were rejected.
    """
    names = [name for name, _ in metrics]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"{twice} is given twice; an instant has one value of it")
    with to.client() as client:
        answer = client.send_metrics(tenant_id, dict(metrics), timestamp=at)
    to.done(answer, f"{answer['accepted']} stored, {answer['rejected_count']} rejected")
    if answer["rejected_count"]:
        for each in answer["rejected"]:
            click.echo(f"  {each['metric']}: {each['reason']}", err=True)
        raise click.exceptions.Exit(1)
