"""Signatures of outgoing webhooks: HMAC-SHA256 over `timestamp.body`. Pure.

The timestamp is under the signature, so a receiver can refuse replays; the idempotency key lets it drop
the second of two equal deliveries, which at-least-once makes possible.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

TIMESTAMP_HEADER: Final = "X-Ecp-Timestamp"
SIGNATURE_HEADER: Final = "X-Ecp-Signature"
IDEMPOTENCY_HEADERS: Final = ("X-Ecp-Idempotency-Key", "Idempotency-Key")
TOLERANCE: Final = timedelta(minutes=5)


class SignatureCheck(StrEnum):
    """What `verify` found."""

    VALID = "valid"
    MISSING = "missing"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    MISMATCH = "mismatch"


def tenant_secret(master: bytes, tenant_id: str) -> bytes:
    """A tenant's own 32-byte key, so that no tenant can sign in another's name. `master` is ≥ 16 bytes."""
    if len(master) < 16:
        raise ValueError("the master key for signatures needs at least 16 bytes")
    return hmac.new(master, b"ecpmon webhook\x00" + tenant_id.encode(), hashlib.sha256).digest()


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """`sha256=<hex>` over `<timestamp>.<body>`; `timestamp` in unix seconds. An empty secret is refused."""
    if not secret:
        raise ValueError("an empty secret signs nothing")
    return "sha256=" + hmac.new(secret, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def signed_headers(secret: bytes, now: datetime, body: bytes, idempotency_key: str) -> dict[str, str]:
    """Our headers of one delivery. `now` is aware."""
    timestamp = int(now.astimezone(UTC).timestamp())
    return {
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secret, timestamp, body),
        **dict.fromkeys(IDEMPOTENCY_HEADERS, idempotency_key),
    }


def verify(
    secret: bytes,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> SignatureCheck:
    """Check a received delivery, in constant time. Header names are compared without case.

    `body` are the bytes as received, before any decoding of JSON.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    stamp, signature = lower.get(TIMESTAMP_HEADER.lower()), lower.get(SIGNATURE_HEADER.lower())
    if stamp is None or signature is None:
        return SignatureCheck.MISSING
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and signature.isascii()):
        return SignatureCheck.MALFORMED
    if not hmac.compare_digest(sign(secret, int(stamp), body), signature):
        return SignatureCheck.MISMATCH
    if abs(now.timestamp() - int(stamp)) > tolerance.total_seconds():
        return SignatureCheck.EXPIRED
    return SignatureCheck.VALID
