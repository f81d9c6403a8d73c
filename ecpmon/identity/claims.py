"""What a signed token says, once its signature is known to be good. Pure.

Invariants: nothing is believed of a token that is not for us, does not end, ends too late, or whose times cannot be
told; roles that are not ours and names that no tenant can bear give nothing; whatever is refused is refused with
`Unauthorized` and a reason of a fixed set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from ecpmon.errors import Unauthorized
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.ports.tokens import ROLES

MAX_SUBJECT: Final = 200
MAX_NAMES: Final = 1_000
EVERY_TENANT: Final = "*"
_NAME: Final = re.compile(TENANT_ID_PATTERN)
# Seconds since 1970 up to the year 9999.
_LATEST: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Expected:
    """What tokens must say. `roles` and `tenants` are claims, by name or by path; `longest`: from `iat` to `exp`."""

    issuer: str
    audience: str
    roles: str = "roles"
    tenants: str = "tenant_access"
    leeway: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Claims:
    """`tenants`: names, None for every tenant."""

    subject: str
    roles: frozenset[str]
    tenants: frozenset[str] | None
    issued_at: datetime
    expires_at: datetime


def refused(reason: str, message: str) -> Unauthorized:
    return Unauthorized(message, details={"reason": reason})


def read(payload: bytes, expected: Expected, now: datetime) -> Claims:
    """The claims of a token with a good signature. Raises Unauthorized."""
    said = _object(payload)
    if said.get("iss") != expected.issuer:
        raise refused("issuer", "this token is of another issuer")
    audiences = said.get("aud")
    if expected.audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise refused("audience", "this token is not for this API")
    issued_at, expires_at = _times(said, expected, now)
    names = _texts(said, expected.tenants)
    if len(names) > MAX_NAMES:
        raise refused("claims", f"{expected.tenants} names more than {MAX_NAMES} tenants")
    return Claims(
        subject=_subject(said),
        roles=_texts(said, expected.roles) & frozenset(ROLES),
        tenants=None if EVERY_TENANT in names else frozenset(n for n in names if _NAME.fullmatch(n)),
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise refused("malformed", "this token holds no JSON object")
    return said


def _times(said: Mapping[str, Any], expected: Expected, now: datetime) -> tuple[datetime, datetime]:
    """When it was issued, and when it ends. Raises Unauthorized for one that is not valid now."""
    issued_at, expires_at = _time(said, "iat"), _time(said, "exp")
    not_before = _time(said, "nbf") if said.get("nbf") is not None else issued_at
    if expires_at + expected.leeway <= now:
        raise refused("expired", "this token has expired")
    if max(issued_at, not_before) - expected.leeway > now:
        raise refused("not_yet", "this token is not valid yet")
    if expires_at - issued_at > expected.longest:
        raise refused("lifetime", "this token is valid for longer than ECPMON_OIDC_MAX_LIFETIME allows")
    return issued_at, expires_at


def _time(said: Mapping[str, Any], claim: str) -> datetime:
    value = said.get(claim)
    # NaN lies between no two numbers; true is no time, though it is an int.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST:
        return datetime.fromtimestamp(value, UTC)
    raise refused("claims", f"this token has no `{claim}` that is a time")


def _subject(said: Mapping[str, Any]) -> str:
    subject = said.get("sub")
    if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
        raise refused("claims", "this token names nobody: it has no `sub` that is a printable text")
    if len(subject) > MAX_SUBJECT:
        raise refused("claims", f"the `sub` of this token is longer than {MAX_SUBJECT} characters")
    return subject


def _texts(said: Mapping[str, Any], path: str) -> frozenset[str]:
    """Of a list of texts, or of one text with blanks between them; nothing where the claim is missing."""
    value = _at(said, path)
    if isinstance(value, str):
        return frozenset(value.split())
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise refused("claims", f"`{path}` of this token is no list of texts")
    return frozenset(value)


def _at(said: Mapping[str, Any], path: str) -> Any:
    """A claim of that name, else the one at the end of the path whose steps have dots between them."""
    if path in said:
        return said[path]
    found: Any = said
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found
