"""`ecpmon token`: make, list, replace and revoke API tokens. Whoever reaches the database reaches them all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import click

from ecpmon.cli import Duration, database_url, load_settings
from ecpmon.ports.audit import COMMAND_LINE, as_actor
from ecpmon.ports.tokens import ROLES, Caller, Issued, NewToken, TokenInfo

if TYPE_CHECKING:
    from ecpmon.storage.tokens import PgTokenStore

T = TypeVar("T")
_OPERATOR: Final = Caller("command line", frozenset({"admin"}), None)
_PAGE: Final = 500
_COLUMNS: Final = ("ID", "NAME", "STATUS", "ROLES", "TENANTS", "EXPIRES", "LAST USED")


def _with_tokens(demo: bool, run: Callable[[PgTokenStore, datetime], Awaitable[T]]) -> T:
    """Run something on the tokens of the production or the demo database."""
    from ecpmon.storage.database import Database
    from ecpmon.storage.tokens import PgTokenStore

    settings = load_settings()
    if demo and settings.demo_database_url is None:
        raise click.ClickException("ECPMON_DEMO_DATABASE_URL is not set, so there are no demo tokens")
    url = settings.demo_database_url.get_secret_value() if demo and settings.demo_database_url else None

    async def opened() -> T:
        database = Database(url or database_url(settings))
        try:
            store = PgTokenStore(database, max_per_tenant=settings.max_tokens_per_tenant)
            with as_actor(COMMAND_LINE):
                return await run(store, datetime.now(UTC))
        finally:
            await database.close()

    return asyncio.run(opened())


_demo = click.option("--demo", is_flag=True, help="A token of the demo database (default: of production).")


@click.group()
def token() -> None:
    """API tokens: make, list, replace and revoke them; see docs/tokens.md."""


@token.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES), help="Repeatable.")
@click.option(
    "--tenant", "tenants", multiple=True, help="The id of a tenant there is, or * for all; repeatable."
)
@click.option(
    "--may-create", multiple=True, metavar="TENANT", help="An id under which it may create; repeatable."
)
@click.option("--valid", type=Duration(), help="How long it is valid, such as 90d (default: until revoked).")
@_demo
def create(
    name: str,
    roles: tuple[str, ...],
    tenants: tuple[str, ...],
    may_create: tuple[str, ...],
    valid: timedelta | None,
    demo: bool,
) -> None:
    """Create a token called NAME and print it. It is stored hashed and cannot be shown again.

    It reaches the tenants there are now under the names given; a tenant that comes later under the same name is
    another one.
    """
    everyone = "*" in tenants
    if everyone and (len(tenants) > 1 or may_create):
        raise click.UsageError("--tenant '*' is every tenant; leave out the others and --may-create")
    if not tenants and not may_create:
        raise click.UsageError("say for which tenants it is: --tenant ID, --tenant '*' or --may-create ID")

    async def run(store: PgTokenStore, now: datetime) -> Issued:
        expires = now + valid if valid else None
        new = NewToken(name, roles, None if everyone else tenants, may_create, expires)
        return await store.issue(new, _OPERATOR, now)

    _show(_with_tokens(demo, run))


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Expired and revoked ones too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@_demo
def list_tokens(everything: bool, as_json: bool, demo: bool) -> None:
    """Show the tokens there are, the newest first. Their secrets are not known to anybody but their holders."""

    async def run(store: PgTokenStore, now: datetime) -> list[tuple[TokenInfo, str]]:
        found: list[TokenInfo] = []
        while True:
            page, total = await store.page(_OPERATOR, len(found), _PAGE, now)
            found.extend(page)
            if len(found) >= total or not page:
                return [(info, info.status(now)) for info in found]

    shown = [(i, status) for i, status in _with_tokens(demo, run) if everything or status == "active"]
    if as_json:
        rows = [{**asdict(info), "status": status} for info, status in shown]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
        return
    for line in _table([_COLUMNS, *(_row(info, status) for info, status in shown)]):
        click.echo(line)


@token.command()
@click.argument("token_id", type=int)
@_demo
def revoke(token_id: int, demo: bool) -> None:
    """End the token with the number TOKEN_ID now. Its open sockets are closed within ten seconds."""

    async def run(store: PgTokenStore, now: datetime) -> None:
        await store.revoke(token_id, _OPERATOR, now)

    _with_tokens(demo, run)
    click.echo(f"token {token_id} is revoked", err=True)


@token.command()
@click.argument("token_id", type=int)
@click.option(
    "--overlap", type=Duration(), default="1h", show_default=True, help="How long the old secret still works."
)
@click.option("--at-once", is_flag=True, help="The old secret ends now: for one that has leaked.")
@click.option(
    "--valid", type=Duration(), help="How long the token is valid from now on (default: as it was)."
)
@_demo
def rotate(token_id: int, overlap: timedelta, at_once: bool, valid: timedelta | None, demo: bool) -> None:
    """Give the token with the number TOKEN_ID a new secret and print it."""

    async def run(store: PgTokenStore, now: datetime) -> Issued:
        lasting = timedelta(0) if at_once else overlap
        return await store.rotate(
            token_id, _OPERATOR, now, overlap=lasting, expires_at=now + valid if valid else None
        )

    _show(_with_tokens(demo, run))


def _show(issued: Issued) -> None:
    """The secret alone to standard output, so that it can be piped; the rest to standard error."""
    ends = f"expires {_minute(issued.expires_at)}" if issued.expires_at else "is valid until it is revoked"
    old = f"; the old secret works until {_minute(issued.replaces_until)}" if issued.replaces_until else ""
    click.echo(f"token {issued.token_id} {ends}{old}; this is the only time it is shown:", err=True)
    click.echo(issued.secret)


def _minute(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}Z"


def _row(info: TokenInfo, status: str) -> tuple[str, ...]:
    tenants = ["*"] if info.tenants is None else list(info.tenants)
    tenants += [f"{name} (deleted)" for name in info.former]
    tenants += [f"{name} (may create)" for name in info.may_create]
    return (
        str(info.token_id),
        info.name,
        status,
        ",".join(info.roles),
        ", ".join(tenants),
        _minute(info.expires_at) or "never",
        _minute(info.last_used_at) or "never",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
