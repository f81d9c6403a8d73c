"""One tenant after the other within one transaction, each in a savepoint of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from ecpmon.isolation import is_passing, reason_of, trace_of
from ecpmon.storage.faults import wrap_errors

_log = structlog.get_logger(__name__)
K = TypeVar("K")
T = TypeVar("T")


async def each_apart(
    connection: Any, job: str, items: Mapping[K, T], act: Callable[[T], Awaitable[object]]
) -> dict[K, str]:
    """`act` on each item; which failed, and why: of those nothing is stored. Raises when something is away."""
    failed: dict[K, str] = {}
    for key, item in items.items():
        try:
            async with connection.transaction():
                with wrap_errors():
                    await act(item)
        except Exception as error:
            if is_passing(error):
                raise
            _log.error(
                "failed_apart", job=job, culprit=str(key), error=reason_of(error), exc_info=trace_of(error)
            )
            failed[key] = reason_of(error)
    return failed


async def each_apart_if_needed(
    connection: Any, job: str, items: Mapping[K, T], act: Callable[[Sequence[T]], Awaitable[object]]
) -> dict[K, str]:
    """`act` on all items at once; when that fails, on one after the other: which failed, and why.

    Raises when something is away.
    """
    try:
        async with connection.transaction():
            with wrap_errors():
                await act(list(items.values()))
    except Exception as error:
        if is_passing(error):
            raise
        _log.warning("isolating", job=job, items=len(items), error=reason_of(error))
        return await each_apart(connection, job, {key: [item] for key, item in items.items()}, act)
    return {}
