"""What every connection of ours is given, what is counted on it, and which statements may change something."""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg
import orjson


@dataclass
class QueryStats:
    """What `X-Debug-Info` shows of one request. Only who asks for it has one: noting each statement costs as much as a
    small one."""

    queries: int = 0
    milliseconds: float = 0.0


query_stats: ContextVar[QueryStats | None] = ContextVar("query_stats", default=None)


def counted(record: asyncpg.connection.LoggedQuery) -> None:
    """A statement, for whoever asked for it."""
    stats = query_stats.get()
    if stats is not None:
        stats.queries += 1
        stats.milliseconds += record.elapsed * 1000


def _from_json(text: str) -> Any:
    """What PostgreSQL takes for JSON. orjson takes no number beyond double precision; one of them must not make the
    rows beside it unreadable."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


async def prepared(connection: asyncpg.Connection[Any]) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=lambda v: orjson.dumps(v).decode(), decoder=_from_json
        )


_COMMENT = re.compile(r"--[^\n]*")
_WRITING = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|CALL)\b"
    # Functions of ours and of TimescaleDB that write.
    r"|\b(drop_chunks|forget_impossible|heal_timeline|give_back_frames|make_chunks_ahead|take_frames|go_on_steadily"
    r"|move_at_once|move_rules|record_alert_events|setval)\s*\(",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def writes(sql: str) -> bool:
    """Whether a statement may change something; `tests/integration/test_leaders_writes.py` tries it on every one."""
    return _WRITING.search(_COMMENT.sub("", sql)) is not None


async def as_it_is(_: Any) -> None:
    """Given back as it was taken, without asking the server to undo what no statement of ours does.

    Invariant: nothing is left behind on a pooled connection: settings are changed for the transaction only, and
    session locks, LISTEN and temporary tables are for `dedicated` ones. asyncpg ends an open transaction itself.
    """
