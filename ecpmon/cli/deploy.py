"""`ecpmon deploy`: deploy a tenant, and wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ecpmon.cli.remote import Remote, remote, said

if TYPE_CHECKING:
    from ecpmon.client import ECPClient


@click.command()
@click.argument("tenant_id")
@click.option(
    "--method",
    type=click.Choice(["kubernetes", "gitops", "simulator"]),
    default="kubernetes",
    show_default=True,
    help="How it is deployed; one that the service is not set up for is refused.",
)
@click.option(
    "--wait", is_flag=True, help="Come back when it is over; exit code 1 when it failed or was rolled back."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=900,
    show_default=True,
    help="Seconds to wait at most; the deployment goes on.",
)
@click.option("--force", is_flag=True, help="Although the error budget is spent; needs --reason.")
@click.option("--reason", help="Why it is forced; it stands in the audit log and the statement.")
@click.option("--dry-run", is_flag=True, help="Only say what validation finds.")
@remote
def deploy(
    to: Remote,
    tenant_id: str,
    method: Any,
    wait: bool,
    timeout: float,
    force: bool,
    reason: str | None,
    dry_run: bool,
) -> None:
    """Deploy a tenant of a running service."""
    options: dict[str, Any] = {"force": force, "dry_run": dry_run} | ({"reason": reason} if reason else {})
    with to.client() as client:
        if wait and not dry_run:
            _waited(to, client, tenant_id, method, timeout, options)
            return
        begun = client.deploy(tenant_id, method, **options)
    if dry_run:
        for line in (*begun.get("errors", ()), *begun.get("warnings", ())):
            click.echo(line, err=True)
        to.done(begun, "valid" if begun.get("valid") else "not valid: nothing would be deployed")
        if not begun.get("valid"):
            raise click.exceptions.Exit(1)
        return
    to.done(begun, f"deployment {begun['deployment_id']} has begun; `ecpmon logs {tenant_id} --follow`")


def _waited(
    to: Remote, client: ECPClient, tenant_id: str, method: Any, timeout: float, options: dict[str, Any]
) -> None:
    """With a bar on a terminal, a line for each step elsewhere; on standard error, as the answer is the output."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ecpmon.client import DeploymentFailed

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{tenant_id}: waiting", total=100)

        def step(told: Any) -> None:
            text = f"{tenant_id}: {told['phase']}: {told['message']}"
            if console.is_terminal:
                bar.update(task, completed=told["progress"], description=text)
            else:
                click.echo(f"{told['progress']:3} %  {text}", err=True)

        try:
            done = client.deploy(tenant_id, method, wait=True, progress=step, timeout=timeout, **options)
        except DeploymentFailed as error:
            raise click.ClickException(f"{said(error)}\n  `ecpmon logs {tenant_id}` says more") from error
        except TimeoutError as error:
            raise click.ClickException(
                f"not over after {timeout:g} s; it goes on: `ecpmon logs {tenant_id} --follow`"
            ) from error
    to.done(done, f"{done['status']}: {done['message']}")
