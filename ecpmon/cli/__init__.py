"""The command line: parse arguments, call the application.

What a command needs it imports itself: so `--help` is there at once, and `serve` reads nothing that it does not use.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecpmon.errors import EcpError, LocalStackError

if TYPE_CHECKING:
    from ecpmon.settings import Settings
    from ecpmon.storage.roles import Login

# Each a module here with a command or group of its name, and what that says of itself.
GROUPS = {
    "alerts": "Alert rules of a tenant with their states.",
    "backup": "Write the database into a file, restore that into a scratch database, and compare every table.",
    "completion": "Print what makes SHELL complete commands, options and their values.",
    "deploy": "Deploy a tenant of a running service.",
    "doctor": "Look at settings, database, clocks, Prometheus, Alertmanager, cluster and mail, and say what to do.",
    "import": "History from Prometheus, VictoriaMetrics or CSV.",
    "incidents": "Outages of a tenant, with what each took from its error budget.",
    "logs": "The log of a tenant's newest deployment, or of another one.",
    "maintenance": "Planned windows of a tenant: list, add, remove.",
    "push": "Push measurements of a tenant, such as `ecpmon push acme up=1 response_time=120`.",
    "restore": "Bring a backup back as the database that ECPMON_DATABASE_URL names.",
    "rules": "The burn-rate policy as Prometheus rules.",
    "sla": "SLA figures of a running service, and statements.",
    "slo": "Objectives as OpenSLO v1 YAML.",
    "tenant": "Size a tenant, render its Kubernetes manifest, validate one. No database is needed.",
    "tenants": "The tenants of a running service: list, show, create, change, delete.",
    "token": "API tokens: make, list, replace and revoke them; see docs/tokens.md.",
}
# What is no name of a module.
MODULES = {"import": "imports"}
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[timedelta]):
    """`30d`, `12h`, `90m`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,4})([mhd])", str(value))
        if match is None or int(match[1]) == 0:
            self.fail("give a duration such as 30d, 12h or 90m", param, ctx)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def load_settings() -> Settings:
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from ecpmon.settings import Settings

    try:
        return Settings()
    except SettingsError as error:
        raise click.ClickException(f"the settings are not right:\n  {error}") from error
    except ValidationError as error:
        lines = [f"ECPMON_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise click.ClickException("the settings are not right:\n  " + "\n  ".join(lines)) from error


def database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise click.ClickException(
            "ECPMON_DATABASE_URL is not set; set it to a PostgreSQL with TimescaleDB, or use `ecpmon up`"
        )
    return settings.database_url.get_secret_value()


class _Commands(click.Group):
    """Imports a group's module when the group is asked for: `ecpmon simulator` needs no sizing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *GROUPS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        module = MODULES.get(cmd_name, cmd_name)
        found: click.Command = getattr(import_module(f"ecpmon.cli.{module}"), module)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: command.get_short_help_str(formatter.width) for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**own, **GROUPS}.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ecpmon")
def cli() -> None:
    """Multi-tenant SLA monitor for AI contact-centre services.

    `ecpmon up` runs everything on this machine; `ecpmon serve` runs the service alone; `ecpmon doctor` says what is
    missing. docs/command-line.md shows the rest.
    """


@cli.command()
@click.option("--history", type=Duration(), help="Give the demo tenants a past of this length, such as 30d.")
@click.option("--port-offset", type=int, default=0, show_default=True, help="Add this to every port.")
@click.option("--api-port", type=int, help="Port of the API (8001).")
@click.option("--simulator-port", type=int, help="Port of the simulator (6360).")
@click.option("--postgres-port", type=int, help="Port of PostgreSQL (5433).")
@click.option("--demo-port", type=int, help="Another port of it, for the demo database (5434).")
@click.option("--prometheus-port", type=int, help="Port of Prometheus (9090).")
@click.option("--alertmanager-port", type=int, help="Port of Alertmanager (9093).")
@click.option("--mail-port", type=int, help="Port of the page that shows the mail which was sent (8025).")
@click.option("--smtp-port", type=int, help="Port of the mail catcher (1025).")
@click.option(
    "--scrape-pods",
    is_flag=True,
    help="Have Prometheus also scrape the simulated cluster's pods, kubelets and kube-state-metrics.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path.cwd,
    help="Folder whose .ecpmon/ holds the data (default: the current one).",
)
def up(
    history: timedelta | None,
    port_offset: int,
    api_port: int | None,
    simulator_port: int | None,
    postgres_port: int | None,
    demo_port: int | None,
    prometheus_port: int | None,
    alertmanager_port: int | None,
    mail_port: int | None,
    smtp_port: int | None,
    scrape_pods: bool,
    directory: Path,
) -> None:
    """Run TimescaleDB, Prometheus, Alertmanager, the simulator, a mail catcher and ecpmon on this machine.

    Creates two tenants, deploys them into the simulator and shows a live table. Ctrl-C stops every process
    and leaves the data; the next start goes on with it.
    """
    from rich.console import Console

    from ecpmon.app.up import up as run
    from ecpmon.local.ports import plan_ports

    console = Console()
    ports = plan_ports(
        port_offset,
        api=api_port,
        simulator=simulator_port,
        postgres=postgres_port,
        demo=demo_port,
        prometheus=prometheus_port,
        alertmanager=alertmanager_port,
        mail=mail_port,
        smtp=smtp_port,
    )
    asyncio.run(run(directory, ports, history, console, scrape_pods=scrape_pods))


@cli.command()
@click.option(
    "--role",
    type=click.Choice(["all", "front", "worker", "supervised"]),
    help="What this process is for (default: ECPMON_ROLE).",
)
@click.option(
    "--fronts", type=click.IntRange(min=0), help="Fronts that `supervised` starts; 0: one per core."
)
def serve(role: str | None, fronts: int | None) -> None:
    """Run the ecpmon service. Everything is set by ECPMON_* variables; see docs/settings.md."""
    with importing():
        settings = load_settings()
        asked = {name: value for name, value in (("role", role), ("fronts", fronts)) if value is not None}
        settings = settings.model_copy(update=asked)
        database_url(settings)
        from ecpmon.app.process import read_ahead, run
        from ecpmon.local.machine import serve as supervise
        from ecpmon.local.service_manager import ServiceManager
        from ecpmon.logs import configure_direct_logging
    manager = ServiceManager.of(os.environ, os.getpid())
    if settings.role != "supervised":
        run(settings, manager)
        return
    configure_direct_logging(settings)
    read_ahead()
    supervise(settings, run, manager)


@contextmanager
def importing() -> Iterator[None]:
    """Meanwhile nothing is looked for that could be thrown away: what modules make stays, and is not looked at again.

    structlog would import rich, which we do not have it use.
    """
    gc.disable()
    held = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if held is None:
            del sys.modules["rich"]
        gc.freeze()
        gc.enable()


@cli.command()
def migrate() -> None:
    """Bring the production database, and the demo one if it is set, up to date, and the roles of those who use SQL."""
    from ecpmon.storage.database import Database
    from ecpmon.storage.migrations import migrate as apply
    from ecpmon.storage.roles import ensure_roles

    settings = load_settings()
    urls = {"production": database_url(settings)}
    if settings.demo_database_url:
        urls["demo"] = settings.demo_database_url.get_secret_value()

    async def run() -> None:
        for name, url in urls.items():
            count = await apply(Database(url), tell=lambda line, name=name: click.echo(f"{name}: {line}"))  # type: ignore[misc]
            click.echo(f"{name}: {count} migrations applied" if count else f"{name}: up to date")
            logins = sql_logins(settings, demo=name == "demo")
            database = Database(url)
            try:
                await ensure_roles(database, logins)
            finally:
                await database.close()
            if logins:
                click.echo(f"{name}: roles {', '.join(login.name for login in logins)}")

    asyncio.run(run())


def sql_logins(settings: Settings, *, demo: bool) -> list[Login]:
    """The roles for SQL that have a password."""
    from ecpmon.storage.roles import Login

    user = settings.sql_demo_user if demo else settings.sql_user
    password = settings.sql_demo_password if demo else settings.sql_password
    wanted = ((user, password, True), (settings.sql_reader, settings.sql_reader_password, False))
    return [Login(name, secret.get_secret_value(), writes) for name, secret, writes in wanted if secret]


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=6360, show_default=True, help="Port to listen on.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder that keeps the simulated cluster across restarts.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same cluster and noise.")
@click.option("--speed", default=1.0, show_default=True, help="Simulated seconds per second.")
@click.option("--manual-clock", is_flag=True, help="Time moves only by POST /api/v1/clock/advance.")
@click.option("--nodes", default=4, show_default=True, help="Nodes of the simulated cluster.")
@click.option("--tls-port", type=int, help="Port for TLS: kubectl sends tokens nowhere else.")
def simulator(
    host: str,
    port: int,
    state_dir: Path,
    seed: int,
    speed: float,
    manual_clock: bool,
    nodes: int,
    tls_port: int | None,
) -> None:
    """Run the deployment simulator."""
    from ecpmon.loglines import log_to_stderr
    from ecpmon.simulator.server import serve as run

    log_to_stderr(logging.INFO)
    asyncio.run(
        run(
            host,
            port,
            state_dir,
            seed=seed,
            speed=speed,
            manual_clock=manual_clock,
            nodes=nodes,
            tls_port=tls_port,
        )
    )


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--smtp-port", default=1025, show_default=True, help="Port that takes mail.")
@click.option("--port", default=8025, show_default=True, help="Port of the page that shows it.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder that keeps it."
)
def mail(host: str, smtp_port: int, port: int, folder: Path) -> None:
    """Catch mail: keep it in a folder and show it, deliver none. `ecpmon up` runs one."""
    from ecpmon.local.catcher import serve as run
    from ecpmon.loglines import log_to_stderr

    log_to_stderr(logging.INFO)
    asyncio.run(run(host, smtp_port, port, folder))


def main() -> None:
    """Entry point. Errors of ours are shown as a sentence with what to do next, never as a traceback."""
    try:
        cli()
    except LocalStackError as error:
        click.echo(f"error: {error.message}\n  what to do: {error.hint}", err=True)
        sys.exit(1)
    except EcpError as error:
        click.echo(f"error: {error.message}", err=True)
        sys.exit(1)
