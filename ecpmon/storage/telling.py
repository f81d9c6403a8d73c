"""What the bus says of samples: which tenants have new ones, and whose state changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ecpmon.model.availability import SpanState
from ecpmon.model.bus import BusKind
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.evidence import HeadChange


def is_change(change: HeadChange) -> bool:
    """Not that a part of the tenant has fallen silent: that is no state which somebody observed."""
    if change.after.state is SpanState.GAP:
        return False
    return change.before is None or change.before.state is not change.after.state


async def tell_samples(
    bus: BusWriter,
    connection: Any,
    touched: Collection[int],
    changes: Iterable[HeadChange],
    *,
    coming: Collection[int] = (),
) -> None:
    """One row for the other processes, whatever the number of tenants. `coming`: the seconds
    since 1970 at which some of the samples will have come."""
    if touched:
        told = [_told(change) for change in changes if is_change(change)]
        body: dict[str, Any] = {"changes": told} if told else {}
        if coming:
            body["coming"] = sorted(coming)
        await bus.tell(connection, BusKind.SAMPLES, sorted(touched), body)


def _told(change: HeadChange) -> list[Any]:
    before = change.before.state.value if change.before else None
    return [change.tenant, change.after.since.isoformat(), change.after.state.value, before]
