"""`ecpmon import`: history of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecpmon.cli import Duration, database_url, load_settings
from ecpmon.errors import EcpError

if TYPE_CHECKING:
    from ecpmon.app.importing import Wanted


def _taken(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--tenant", "tenant_id", help="Everything is of this tenant."),
        click.option("--tenant-label", help="Or: the label that names the tenant of a series."),
        click.option("--drop", multiple=True, default=("job", "instance"), show_default=True,
                     help="A label that is left out; may be given several times."),
        click.option("--name", "names", multiple=True, metavar="OLD=NEW",
                     help="What a metric is called here, such as probe_success=up."),
        click.option("--source", type=click.Choice(["push", "prometheus", "simulator"]), default="push",
                     show_default=True, help="As whose data it is stored."),
        click.option("--interval", type=Duration(),
                     help="How far observations are apart (default: as they mostly are)."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def imports() -> None:
    """History from Prometheus, VictoriaMetrics or CSV.

    It is stored in ECPMON_DATABASE_URL. An import that was ended goes on where it was when it is given again; what is
    there already stays as it is.
    """


@imports.command("file")
@click.argument("kind", type=click.Choice(["victoria", "promtool", "csv"]))
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_taken
def of_file(kind: str, path: Path, **taken: Any) -> None:
    """What /api/v1/export of VictoriaMetrics gives, `promtool tsdb dump` prints, or CSV."""
    from ecpmon.app.importing import import_file

    _run(lambda url: import_file(url, path, kind, _wanted(**taken), _tell))


@imports.command("prometheus")
@click.argument("url")
@click.argument("selector")
@click.option("--since", type=Duration(), required=True, help="So far back, such as 15d.")
@click.option("--until", help="Up to this instant, such as 2026-11-01T00:00:00Z (default: now).")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="An extra header.")
@_taken
def of_prometheus(
    url: str, selector: str, since: timedelta, until: str | None, headers: tuple[str, ...], **taken: Any
) -> None:
    """Samples of SELECTOR, such as '{job="acme"}', from a Prometheus at URL or what answers like one."""
    from ecpmon.app.importing import import_prometheus

    try:
        end = datetime.fromisoformat(until) if until else datetime.now(UTC).replace(second=0, microsecond=0)
    except ValueError:
        raise click.BadParameter(f"{until!r} is no instant", param_hint="--until") from None
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    extra = dict(_pair(each, "--header") for each in headers)
    _run(lambda at: import_prometheus(at, url, selector, end - since, end, _wanted(**taken), _tell, extra))


def _wanted(
    tenant_id: str | None,
    tenant_label: str | None,
    drop: tuple[str, ...],
    names: tuple[str, ...],
    source: str,
    interval: timedelta | None,
) -> Wanted:
    from ecpmon.app.importing import Wanted
    from ecpmon.collectors.history.runs import Naming
    from ecpmon.model.samples import Source

    if (tenant_id is None) is (tenant_label is None):
        raise click.UsageError("say whose it is: --tenant or --tenant-label")
    renamed = dict(_pair(each, "--name") for each in names)
    return Wanted(Naming(tenant_id, tenant_label, frozenset(drop), renamed), Source(source), interval)


def _pair(text: str, hint: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found and value):
        raise click.BadParameter(f"{text!r}: give OLD=NEW", param_hint=hint)
    return name, value


def _tell(stored: int, share: float, left: Any) -> None:
    more = f", {left.total} left out" if left.total else ""
    click.echo(f"{100 * share:3.0f} %  {stored} samples{more}", err=True)


def _run(work: Callable[[str], Any]) -> None:
    url = database_url(load_settings())
    try:
        stored = asyncio.run(work(url))
    except EcpError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{stored} samples are stored")
