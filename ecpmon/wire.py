"""JSON and errors as they go over the wire, whatever the values are. Pure; writing an answer never raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

# JSON can hold half a surrogate pair, and aiohttp makes one of each header byte that is not UTF-8; UTF-8 cannot.
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT: Final = "\ufffd"
_DEEPEST: Final = 100
_INTEGERS: Final = range(-(2**63), 2**64)


def rfc3339(at: datetime) -> str:
    """UTC with `Z`; fractions of a second only where there are any."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat().replace("+00:00", "Z")


def encodable(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of surrogate pairs are replaced."""
    return _HALF_PAIR.sub(REPLACEMENT, text)


def storable(text: str) -> str:
    """`text` as PostgreSQL can hold it: without NUL and without halves of surrogate pairs."""
    return _NO_TEXT.sub(REPLACEMENT, text)


def is_storable(text: str) -> bool:
    return _NO_TEXT.search(text) is None


def dumps(document: Any) -> bytes:
    """JSON with RFC 3339 times. What JSON in UTF-8 cannot hold is shown as well as it can be; never raises."""
    try:
        return orjson.dumps(document, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except (TypeError, RecursionError):
        return orjson.dumps(_shown(document, 0))


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _shown(value: Any, depth: int) -> Any:
    """`value` in types and amounts that orjson takes."""
    match value:
        case _ if depth > _DEEPEST:
            return "…"
        case str():
            return encodable(value)
        case bool() | float() | None:
            return value
        case int():
            return int(value) if value in _INTEGERS else _as_float(value)
        case Mapping():
            return {encodable(_said(k)): _shown(v, depth + 1) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(each, depth + 1) for each in value]
    return encodable(_said(value))


def _as_float(value: int) -> float | None:
    """The nearest double; None, like NaN, where there is none."""
    try:
        return float(value)
    except OverflowError:
        return None


def _said(value: Any) -> str:
    try:
        return rfc3339(value) if isinstance(value, datetime) else str(value)
    except OverflowError:  # a time whose UTC lies outside of all years
        return str(value)
    except Exception:  # noqa: BLE001 - a foreign object's own text may fail in any way
        return f"<{type(value).__name__}>"


def error_document(
    code: str, message: str, details: Mapping[str, Any], timestamp: datetime, request_id: str
) -> dict[str, Any]:
    """The one error shape (api.md §1)."""
    return {
        "error": {
            "code": code,
            "message": message,
            "details": dict(details),
            "timestamp": rfc3339(timestamp),
            "request_id": request_id,
        }
    }
