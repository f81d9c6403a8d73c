"""Secrets this installation made for itself."""

from __future__ import annotations

import secrets

from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


async def own_secret(database: Database, name: str) -> bytes:
    """A 32-byte key made at first use and kept in the database, the same for every process."""
    value: bytes = await database.fetchval(load("access")["own_secret"], name, secrets.token_bytes(32))
    return value
