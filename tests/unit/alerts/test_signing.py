"""Signatures: a receiver accepts exactly what we sent, for a while."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.alerts.signing import SignatureCheck, sign, signed_headers, tenant_secret, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"k" * 32
BODY = '{"상태":"firing"}'.encode()
HEADERS = signed_headers(SECRET, NOW, BODY, "key-1")


def test_the_documented_recipe() -> None:
    stamp = str(int(NOW.timestamp()))
    expected = hmac.new(SECRET, stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert {
        "X-Ecp-Timestamp": stamp,
        "X-Ecp-Signature": f"sha256={expected}",
        "X-Ecp-Idempotency-Key": "key-1",
        "Idempotency-Key": "key-1",
    } == HEADERS


@pytest.mark.parametrize(
    ("headers", "body", "later", "expected"),
    [
        (HEADERS, BODY, 0, SignatureCheck.VALID),
        ({name.lower(): value for name, value in HEADERS.items()}, BODY, 300, SignatureCheck.VALID),
        (HEADERS, BODY, -300, SignatureCheck.VALID),
        (HEADERS, BODY, 301, SignatureCheck.EXPIRED),
        (HEADERS, BODY, -301, SignatureCheck.EXPIRED),
        (HEADERS, BODY + b" ", 0, SignatureCheck.MISMATCH),
        (HEADERS | {"X-Ecp-Timestamp": str(int(NOW.timestamp()) + 1)}, BODY, 0, SignatureCheck.MISMATCH),
        (HEADERS | {"X-Ecp-Signature": "sha256="}, BODY, 0, SignatureCheck.MISMATCH),
        (HEADERS | {"X-Ecp-Signature": "서명"}, BODY, 0, SignatureCheck.MALFORMED),
        (HEADERS | {"X-Ecp-Timestamp": "-5"}, BODY, 0, SignatureCheck.MALFORMED),
        (HEADERS | {"X-Ecp-Timestamp": "٣"}, BODY, 0, SignatureCheck.MALFORMED),
        (HEADERS | {"X-Ecp-Timestamp": "9" * 5000}, BODY, 0, SignatureCheck.MALFORMED),
        ({"X-Ecp-Timestamp": "1"}, BODY, 0, SignatureCheck.MISSING),
        ({}, BODY, 0, SignatureCheck.MISSING),
    ],
)
def test_verify(headers: dict[str, str], body: bytes, later: int, expected: SignatureCheck) -> None:
    assert verify(SECRET, headers, body, NOW + timedelta(seconds=later)) is expected


def test_tenants_have_secrets_of_their_own() -> None:
    master = b"m" * 32
    assert tenant_secret(master, "a") == tenant_secret(master, "a") != tenant_secret(master, "b")
    other = verify(tenant_secret(master, "b"), HEADERS, BODY, NOW)
    assert other is SignatureCheck.MISMATCH


def test_weak_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        sign(b"", 1, b"")
    with pytest.raises(ValueError, match="16 bytes"):
        tenant_secret(b"short", "a")
