"""What flap control remembers of a rule, as it is stored: a document, NULL where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ecpmon.model.alerts import Flaps

_NONE: Final = Flaps()


def flaps_values(flaps: Flaps) -> dict[str, Any] | None:
    if flaps == _NONE:
        return None
    return {
        "fired": [at.isoformat() for at in flaps.fired],
        "since": flaps.since.isoformat() if flaps.since else None,
        "changed_at": flaps.changed_at.isoformat() if flaps.changed_at else None,
        "untold": flaps.untold,
    }


def flaps_of(document: Mapping[str, Any] | None) -> Flaps:
    """Inverse of `flaps_values`. Raises KeyError, TypeError, ValueError for what is none."""
    if document is None:
        return _NONE
    return Flaps(
        tuple(datetime.fromisoformat(at) for at in document["fired"]),
        _instant(document["since"]),
        _instant(document["changed_at"]),
        int(document["untold"]),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
