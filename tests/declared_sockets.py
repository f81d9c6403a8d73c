"""Every message of every socket that a test opens is compared with what its route declares: what we say, what we take
from clients, and why we close.

`watch(patch, found)` is begun with the watching of answers (`declared`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any, Final

import pytest
from aiohttp import WSMessage
from pydantic import TypeAdapter, ValidationError

from ecpmon.api.application import route_table
from ecpmon.api.connections import Connection
from ecpmon.api.frames import Line
from ecpmon.api.openapi.closes import closes_of
from ecpmon.api.places import Following, Listening, Overseeing, Place, Watching
from ecpmon.openapi.declaring import Contract
from ecpmon.openapi.errors import ErrorDocument

_TEXT, _CLOSE = 1, 8
Tell = Callable[[str], None]


def watch(patch: pytest.MonkeyPatch, tell: Tell) -> None:
    """`tell` is told what is not as declared."""
    patch.setattr(Line, "write", _watched(Line.write, tell))
    patch.setattr(Connection, "_answer", _listening(Connection._answer, tell))


def _watched(write: Callable[[Line, bytes], None], tell: Tell) -> Callable[[Line, bytes], None]:
    def watched(line: Line, data: bytes) -> None:
        path = path_of(line._place) if isinstance(line, Connection) else None
        if path is not None:
            for problem in filter(None, (_problem(path, *frame) for frame in frames(data))):
                tell(f"{path}: {problem}")
        write(line, data)

    return watched


def _listening(answer: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    def answered(connection: Connection, say: Any, message: WSMessage) -> Any:
        said = answer(connection, say, message)
        path = path_of(connection._place)
        if path is not None and (said is None or "error" not in said) and not _hears(path, message.data):
            tell(f"{path}: {message.data[:200]!r} was taken, and is not declared")
        return said

    return answered


def path_of(place: Place[Any, Any, Any] | None) -> str | None:
    """Of the route that a connection was opened by; None: it was not let in."""
    match place:
        case Following():
            return "/ws/deployment/{deployment_id}"
        case Listening():
            return "/ws/alerts/{tenant_id}"
        case Overseeing():
            return "/ws/fleet"
        case Watching():
            figured = place.broadcast is place.feed.figured
            return "/api/v1/simulator/realtime/{tenant_id}" if figured else "/ws/monitoring/{tenant_id}"
    return None


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each of a server's frames."""
    at = 0
    while at < len(data):
        opcode, size, at = data[at] & 0x0F, data[at + 1], at + 2
        if size >= 126:
            length = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + length]), at + length
        yield opcode, data[at : at + size]
        at += size


@lru_cache(maxsize=512)
def _problem(path: str, opcode: int, payload: bytes) -> str | None:
    declared = SOCKETS[path]
    if opcode == _CLOSE:
        code = int.from_bytes(payload[:2])
        return None if code in closes_of(declared) else f"it is closed with {code}, which is not declared"
    if opcode == _TEXT and not any(_fits(shape, payload) for shape in (*declared.says, ErrorDocument)):
        return f"{payload[:500]!r} is not declared"
    return None


def _hears(path: str, said: Any) -> bool:
    return any(_takes(shape, json.loads(said)) for shape in SOCKETS[path].hears)


def _takes(shape: Any, document: Any) -> bool:
    try:
        _adapter(shape, strict=False).validate_python([document])
    except ValidationError:
        return False
    return True


def _fits(shape: Any, payload: bytes) -> bool:
    try:
        _adapter(shape, strict=True).validate_json(b"[" + payload + b"]")
    except ValidationError:
        return False
    return True


@cache
def _adapter(shape: Any, *, strict: bool) -> TypeAdapter[Any]:
    # A TypedDict's own adapter takes no settings; a tuple of one does.
    config: Any = {"extra": "forbid", "strict": True} if strict else {}
    return TypeAdapter(tuple[shape], config=config)


SOCKETS: Final[dict[str, Contract]] = {
    route.path: route.contract for route in route_table() if route.socket and route.contract is not None
}
