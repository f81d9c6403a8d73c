"""Roles of the database for those who use it by SQL: one that writes as the source documents do, one that only reads.

The writer has rights in the schema `compat` and may read our views; the reader may read these and the list of tenants.
Neither sees tokens, secrets, alert rules or deployments. What each may do is made what it should be every time.

Invariant: of a database that has such roles, PUBLIC has no rights. So those of one database do not connect to another,
and nobody makes temporary tables, which take disk and memory that nobody bounds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.errors import PermanentError
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Any constant will do, as long as it is always the same.
_LOCK: Final = 0x65637072
# One question of theirs; they may ask for more, and then mean it.
_LONGEST: Final = "60s"
_VIEWS: Final = """
SELECT format('%I.%I', schemaname, viewname) FROM pg_views
WHERE schemaname = 'public' AND viewowner = current_user ORDER BY viewname"""


class RoleRefused(PermanentError):
    code = "ROLE_REFUSED"
    status = 500


@dataclass(frozen=True, slots=True)
class Login:
    """`writes`: else it only reads."""

    name: str
    password: str
    writes: bool


async def ensure_roles(database: Database, logins: Sequence[Login]) -> None:
    """Make the roles, or give them these passwords and rights. Raises RoleRefused."""
    for login in logins:
        if not _NAME.fullmatch(login.name) or login.name.startswith("pg_"):
            raise RoleRefused(f"{login.name!r} is no name of a role: small letters, digits and _")
    if not logins:
        return
    async with database.transaction() as connection:
        with wrap_errors():
            # Of two that do it at once one waits: rights are rows that both would change.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            own = await connection.fetchval("SELECT current_user")
            if own in {login.name for login in logins}:
                raise RoleRefused(f"{own!r} owns the database: people need another role")
            await _close(connection)
            views = [row[0] for row in await connection.fetch(_VIEWS)]
            for login in logins:
                await _ensure(connection, login)
                await _grant(connection, login, views)


async def _close(connection: Any) -> None:
    """Take from everybody what everybody has by default. Whose database it is not cannot, and leaves it as it is."""
    database = await connection.fetchval(
        "SELECT quote_ident(datname) FROM pg_database"
        " WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'USAGE')"
    )
    if database is not None:
        await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")


async def _ensure(connection: Any, login: Login) -> None:
    known = await connection.fetchrow(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS mighty FROM pg_roles"
        " WHERE rolname = $1",
        login.name,
    )
    if known is not None and known["mighty"]:
        raise RoleRefused(f"{login.name!r} is there and may do more than it should; name another role")
    verb = "CREATE" if known is None else "ALTER"
    statement = await connection.fetchval(
        f"SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", login.name, login.password
    )
    await connection.execute(statement)


async def _grant(connection: Any, login: Login, views: Sequence[str]) -> None:
    name = f'"{login.name}"'
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    relations = [*views, "compat.tenants", "compat.monitoring_data"]
    path = "compat, public" if login.writes else "public, compat"
    statements = [
        f"GRANT CONNECT ON DATABASE {database} TO {name}",
        f"GRANT USAGE ON SCHEMA public, compat TO {name}",
        f"GRANT SELECT ON {', '.join(relations)} TO {name}",
        f"ALTER ROLE {name} IN DATABASE {database} SET search_path = {path}",
        f"ALTER ROLE {name} IN DATABASE {database} SET statement_timeout = '{_LONGEST}'",
    ]
    if login.writes:
        statements.append(f"GRANT INSERT ON compat.tenants, compat.monitoring_data TO {name}")
    else:
        statements.append(f"GRANT SELECT ON public.tenants TO {name}")
        statements.append(f"ALTER ROLE {name} IN DATABASE {database} SET default_transaction_read_only = on")
    for statement in statements:
        await connection.execute(statement)
