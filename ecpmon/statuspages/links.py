"""Links to status pages: signed, expiring, and stored by nobody. Pure.

Invariants: a link names its tenant, and is good for no other; what is not signed by us, or is over, is refused without
any look-up; whether a good one was withdrawn only the database knows, by its number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

SEPARATOR: Final = "."
# The tenant's number, the link's, seconds since 1970.
_CLAIM: Final = struct.Struct(">QIQ")
_SIGNATURE: Final = hashlib.sha256().digest_size
# No link is longer: a name of 56 characters, a dot, 52 bytes in Base64.
MAX_LENGTH: Final = 127


@dataclass(frozen=True, slots=True)
class Claim:
    """What a link says, and was signed to say."""

    tenant_id: str
    tenant: int
    number: int
    expires_at: datetime


def signing_key(configured: bytes, own: bytes) -> bytes:
    """What links of one database are signed with: by the configured secret, if there is one, and the database's own.

    Neither a copy of the database nor the settings alone make a link then.
    """
    return hmac.new(configured or b"ecpmon", b"status links\x00" + own, hashlib.sha256).digest()


def made(key: bytes, claim: Claim) -> str:
    """The last part of a page's address. `expires_at` is in whole seconds."""
    packed = _CLAIM.pack(claim.tenant, claim.number, int(claim.expires_at.timestamp()))
    text = base64.urlsafe_b64encode(packed + _signature(key, claim.tenant_id, packed)).rstrip(b"=")
    return f"{claim.tenant_id}{SEPARATOR}{text.decode()}"


def opened(key: bytes, page: str, now: datetime) -> Claim | None:
    """What the link says; None when it was not signed by `key`, or is over at `now`."""
    tenant_id, _, text = page.partition(SEPARATOR)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    packed, signature = raw[: _CLAIM.size], raw[_CLAIM.size :]
    if len(signature) != _SIGNATURE or not hmac.compare_digest(signature, _signature(key, tenant_id, packed)):
        return None
    tenant, number, expires = _CLAIM.unpack(packed)
    claim = Claim(tenant_id, tenant, number, datetime.fromtimestamp(expires, UTC))
    return claim if now < claim.expires_at else None


def _signature(key: bytes, tenant_id: str, packed: bytes) -> bytes:
    return hmac.new(
        key, tenant_id.encode("utf-8", "surrogateescape") + b"\x00" + packed, hashlib.sha256
    ).digest()
