"""What a receiver of webhooks checks, written without our code: the reference library, and HMAC by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook


def signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether `secret` verifies both signatures of a delivery; raises AssertionError when they disagree."""
    given = {name.lower(): value for name, value in headers.items()}
    at = datetime.fromtimestamp(int(given["webhook-timestamp"]), UTC)
    standard = Webhook(secret).sign(given["webhook-id"], at, body.decode()) in given[
        "webhook-signature"
    ].split(" ")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, given["x-ecp-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    own = f"sha256={digest}" in given["x-ecp-signature"].split(" ")
    assert standard == own, "the two signatures of a delivery are by different keys"
    return standard
