"""Signatures of outgoing webhooks: Standard Webhooks (https://www.standardwebhooks.com), and ours beside it. Pure.

Both are HMAC-SHA256 by the same key: Standard Webhooks over `id.timestamp.body`, ours over `timestamp.body`. A
header holds one signature per key that signs, the newest first: while a key is being replaced, either verifies.
The timestamp is under the signature, so a receiver can refuse replays; the id lets it drop the second of two equal
deliveries, which at-least-once makes possible.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

ID_HEADER: Final = "webhook-id"
STANDARD_TIMESTAMP_HEADER: Final = "webhook-timestamp"
STANDARD_SIGNATURE_HEADER: Final = "webhook-signature"
TIMESTAMP_HEADER: Final = "X-Ecp-Timestamp"
SIGNATURE_HEADER: Final = "X-Ecp-Signature"
IDEMPOTENCY_HEADERS: Final = ("X-Ecp-Idempotency-Key", "Idempotency-Key")
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - not a password, what one begins with
KEY_BYTES: Final = 32
# Of the secret that keys are derived from.
MIN_ROOT_BYTES: Final = 16


def root_key(configured: bytes, own: bytes) -> bytes:
    """What all keys of one database are derived from: the configured secret and the database's own, both if there are.

    `own` is 32 random bytes, so equal settings of two installations give different keys, and neither a copy of the
    database nor the settings alone give away a key once something is configured.
    """
    if len(own) < MIN_ROOT_BYTES or 0 < len(configured) < MIN_ROOT_BYTES:
        raise ValueError(f"the secrets that keys are derived from need at least {MIN_ROOT_BYTES} bytes")
    return hmac.new(configured, own, hashlib.sha256).digest() if configured else own


def derived_key(root: bytes, tenant_key: int, salt: bytes) -> bytes:
    """A tenant's key of 32 bytes. `tenant_key` is the tenant's number: a deleted tenant's name may be given again."""
    info = b"ecpmon webhook key\x00" + tenant_key.to_bytes(8, "big") + salt
    return hmac.new(root, info, hashlib.sha256).digest()


def secret_text(key: bytes) -> str:
    """A key as it is shown to people: `whsec_` and Base64."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_id(key: bytes) -> str:
    """16 hex digits that name a key without giving it away: the start of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


def signed_headers(keys: Sequence[bytes], now: datetime, body: bytes, idempotency_key: str) -> dict[str, str]:
    """The headers of one delivery, signed by each of `keys`, the newest first. `now` is aware.

    Raises ValueError when there is no key, or a weak one.
    """
    if not keys or min(map(len, keys)) < MIN_ROOT_BYTES:
        raise ValueError(f"a webhook is signed by at least one key of at least {MIN_ROOT_BYTES} bytes")
    stamp = str(int(now.astimezone(UTC).timestamp()))
    return {
        ID_HEADER: idempotency_key,
        STANDARD_TIMESTAMP_HEADER: stamp,
        STANDARD_SIGNATURE_HEADER: " ".join(_standard(key, idempotency_key, stamp, body) for key in keys),
        TIMESTAMP_HEADER: stamp,
        SIGNATURE_HEADER: " ".join(_own(key, stamp, body) for key in keys),
        **dict.fromkeys(IDEMPOTENCY_HEADERS, idempotency_key),
    }


def _standard(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _own(key: bytes, stamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
