"""Connections that look up the server's own types once per process, and not each of them again.

asyncpg asks the catalogue about every array type that a connection meets first, arrays of numbers among them: a
recursive question over `pg_type` that takes longer than what is asked for, several times for each new connection. What
it hears of a built-in type is the same on every server: numbers below 16384 are given out by PostgreSQL's own source.

Invariant: only arrays of built-in types are remembered; of everything else each connection asks its server.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

# FirstNormalObjectId of PostgreSQL (access/transam.h): what is made in a database has a number from there on.
_FIRST_OF_A_DATABASE: Final = 16_384
_known: dict[int, Any] = {}


@dataclass(frozen=True, slots=True)
class _NotAsked:
    """In place of the statement that asked; with a name, as none took the place of the nameless one."""

    name: str = "remembered"


_NOT_ASKED: Final = _NotAsked()


class Session(asyncpg.Connection):
    """As asyncpg has it, but for the types that this process has heard of."""

    __slots__ = ()

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> tuple[Any, Any]:
        """Rows about the types, and the statement that found them. Leans on asyncpg's inner workings: with an asyncpg
        that does not call this, types are asked for as ever."""
        if all(number in _known for number in typeoids):
            return [_known[number] for number in typeoids], _NOT_ASKED
        rows, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        _known.update((row["oid"], row) for row in rows if _is_remembered(row))
        return rows, statement


def _is_remembered(row: Any) -> bool:
    return bool(row["elemtype"]) and max(row["oid"], row["elemtype"]) < _FIRST_OF_A_DATABASE
