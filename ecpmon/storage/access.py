"""API tokens (stored hashed) and secrets this installation made for itself."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from ecpmon.ports.service import Caller
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


def _hash(token: str) -> bytes:
    # Tokens are 256 random bits, so a plain hash cannot be guessed back and needs no salt.
    return hashlib.sha256(token.encode()).digest()


class PgTokenStore:
    """`ports.TokenStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("access")

    async def find(self, token: str, now: datetime) -> Caller | None:
        row = await self._database.fetchrow(self._sql["find"], _hash(token), now)
        if row is None:
            return None
        everyone = "*" in row["tenant_access"]
        return Caller(
            row["name"], frozenset(row["roles"]), None if everyone else frozenset(row["tenant_access"])
        )

    async def create(
        self, name: str, roles: Sequence[str], tenants: Sequence[str], now: datetime, expires: datetime | None
    ) -> str:
        token = "ecp_" + secrets.token_urlsafe(32)
        await self._database.execute(
            self._sql["create"], name, _hash(token), list(roles), list(tenants), now, expires
        )
        return token


async def own_secret(database: Database, name: str) -> bytes:
    """A 32-byte key made at first use and kept in the database, the same for every process."""
    value: bytes = await database.fetchval(load("access")["own_secret"], name, secrets.token_bytes(32))
    return value
