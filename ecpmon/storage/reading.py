"""Rows of many tenants become values: one that nobody can read must not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog

from ecpmon.errors import EcpError
from ecpmon.isolation import reason_of
from ecpmon.slices import in_slices

_log = structlog.get_logger(__name__)
V = TypeVar("V")
# What reading a row may raise that an older release wrote, or that was edited by hand.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, EcpError)


async def readable(rows: Iterable[Any], read: Callable[[Any], V], what: str) -> list[V]:
    """The rows that `read` can make something of; the others are logged with `tenant_id`, which rows have."""
    found: list[V] = []
    async for row in in_slices(rows):
        try:
            found.append(read(row))
        except UNREADABLE as error:
            _log.error("row_unreadable", what=what, tenant=row["tenant_id"], error=reason_of(error))
    return found
