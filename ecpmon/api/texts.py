"""Texts and whole numbers that JSON can hold and nothing behind us can: found before anybody works with them.

A text of JSON may contain NUL and halves of surrogate pairs; PostgreSQL and UTF-8 hold neither. A whole number of JSON
has no end; a bigint has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
from aiohttp import web

from ecpmon.errors import BadRequest, NotFound, TenantNotFound, ValidationFailed
from ecpmon.wire import encodable, is_storable, storable

_INT8: Final = range(-(2**63), 2**63)
# Of JSON as orjson writes it: what may be NUL.
_NUL: Final = rb"\u0000"
MAX_DEPTH: Final = 200
_MAX_PATH: Final = 200
NO_TEXT: Final = "holds NUL or half a surrogate pair, which is no text"
NO_NUMBER: Final = "is a whole number beyond 64 bits"
TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH}"
MAX_KEYS: Final = 200
# Of all objects and arrays together: few wide ones inside each other are very many.
MAX_MEMBERS: Final = 10_000
MAX_ELEMENTS: Final = 1_000


def check_document(document: Any) -> None:
    """Raises ValidationFailed naming the first field that holds what cannot be stored."""
    if _is_plain(document):
        return
    for path, value in _leaves(document):
        if (problem := _problem(value)) is not None:
            raise _refusal(path, problem)


def check_width(document: Any) -> None:
    """Before anything is done for each member: raises ValidationFailed naming an object or array with too many."""
    waiting: list[tuple[str, Any]] = [("", document)]
    members = 0
    while waiting:
        path, value = waiting.pop()
        members += len(value)
        if members > MAX_MEMBERS:
            raise too_many()
        if isinstance(value, dict):
            if len(value) > MAX_KEYS:
                raise _refusal(path, f"has more than {MAX_KEYS} members")
            pairs: Iterable[tuple[Any, Any]] = value.items()
        else:
            if len(value) > MAX_ELEMENTS:
                raise _refusal(path, f"has more than {MAX_ELEMENTS} elements")
            pairs = enumerate(value)
        waiting.extend(
            ((f"{path}.{key}" if path else str(key))[:_MAX_PATH], each)
            for key, each in pairs
            if isinstance(each, dict | list)
        )


def too_many() -> ValidationFailed:
    return _refusal("", f"has more than {MAX_MEMBERS} members in all")


def mended(document: Any) -> Any:
    """`document` with every text storable: for messages in which one bad text must not cost the rest."""
    return document if _is_plain(document) else _mended(document, 0)


def _mended(value: Any, depth: int) -> Any:
    match value:
        case _ if depth > MAX_DEPTH:
            raise _refusal("", TOO_DEEP)
        case str():
            return storable(value)
        case dict():
            return {storable(k): _mended(v, depth + 1) for k, v in value.items()}
        case list():
            return [_mended(each, depth + 1) for each in value]
    return value


def _refusal(path: str, problem: str) -> ValidationFailed:
    field = encodable(path)[:_MAX_PATH]
    return ValidationFailed(f"{field}: {problem}", fields=[{"field": field, "message": problem}])


def check_address(request: web.Request) -> None:
    """Raises BadRequest when the query string is no text; NotFound for such a path: nothing has that name."""
    for name, value in request.match_info.items():
        if not is_storable(value):
            shown = storable(value)[:_MAX_PATH]
            raise TenantNotFound(shown) if name == "tenant_id" else NotFound(f"there is no {name} {shown!r}")
    asked = request.query if request.query_string else {}
    if not all(is_storable(text) for pair in asked.items() for text in pair):
        raise BadRequest("the query string must be UTF-8 without NUL, percent-encoded")


def _is_plain(document: Any) -> bool:
    """Quick: whether nothing can be wrong. orjson refuses halves of pairs and whole numbers beyond 53 bits."""
    try:
        said = orjson.dumps(document, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return False
    return _NUL not in said


def _problem(value: Any) -> str | None:
    if isinstance(value, str):
        return None if is_storable(value) else NO_TEXT
    if isinstance(value, int) and value not in _INT8:
        return NO_NUMBER
    return None


def _leaves(document: Any) -> Iterator[tuple[str, Any]]:
    """(path, value) of every text and number, the keys of objects among them. Raises ValidationFailed when too deep."""
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _refusal("", TOO_DEEP)
        if isinstance(value, dict | list):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in pairs:
                where = f"{path}.{key}" if path else str(key)
                yield where, key
                waiting.append((where[:_MAX_PATH], each, depth + 1))
        else:
            yield path, value
