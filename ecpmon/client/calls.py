"""What a request is, before anybody has sent it: the same for both clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")
API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def text(self) -> str:
        return self.body.decode("utf-8")


def as_json(answer: Answer) -> Any:
    return answer.json()


def as_text(answer: Answer) -> str:
    return answer.text()


def as_bytes(answer: Answer) -> bytes:
    return answer.body


def nothing(_: Answer) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `path` is below the service's root; `body` is sent as JSON unless it is bytes, which is.

    `repeatable`: sending it twice comes to the same as once, so that it may be sent again when nobody knows what
    became of it. `gone_is_done`: it takes something away, so that after such a try 404 is a success.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    gone_is_done: bool = False

    def encoded(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return encoded(self.body)


def encoded(document: Any) -> bytes:
    """As compact JSON. NaN is written as it is: the service names each one that it refuses."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def tenant_path(tenant_id: str, *parts: str) -> str:
    """`/api/v1/tenants/{tenant_id}/…`; what no name can be is refused here, as it would lead elsewhere."""
    return "/".join([f"{API}/tenants", *map(segment, (tenant_id, *parts))])


def segment(name: str) -> str:
    """A name as one part of a path. Raises ValueError for what would lead to another place."""
    if not isinstance(name, str) or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no name")
    return quote(name, safe="")


def queried(**given: Any) -> dict[str, str]:
    """A query string's members, those that are None left out."""
    return {name: _text(value) for name, value in given.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return instant(value)
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def given(**fields: Any) -> dict[str, Any]:
    """A body's members, those that are None left out."""
    return {name: value for name, value in fields.items() if value is not None}


def instant(at: datetime | str | None) -> str:
    """RFC 3339 in UTC; now when None. A time without a zone is UTC, as everywhere in the service."""
    if isinstance(at, str):
        return at
    at = datetime.now(UTC) if at is None else at
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.isoformat().replace("+00:00", "Z")
