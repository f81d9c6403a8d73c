"""Signatures: a receiver that follows the documented recipe, or the reference library, accepts what we sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from ecpmon.alerts.signing import derived_key, key_id, root_key, secret_text, signed_headers
from tests.signatures import signed_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k" * 32
OLD = b"o" * 32
BODY = '{"상태":"firing"}'.encode()


def test_the_documented_recipe() -> None:
    stamp = str(int(NOW.timestamp()))
    standard = hmac.new(KEY, f"id-1.{stamp}.".encode() + BODY, hashlib.sha256).digest()
    own = hmac.new(KEY, stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert signed_headers([KEY], NOW, BODY, "id-1") == {
        "webhook-id": "id-1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
        "X-Ecp-Timestamp": stamp,
        "X-Ecp-Signature": f"sha256={own}",
        "X-Ecp-Idempotency-Key": "id-1",
        "Idempotency-Key": "id-1",
    }


@given(body=st.text(max_size=50), key=st.binary(min_size=16, max_size=64))
def test_the_reference_library_accepts_what_is_signed_now_and_nothing_else(body: str, key: bytes) -> None:
    now = datetime.now(UTC)
    sent = signed_headers([key], now, body.encode(), "0123456789abcdef")
    receiver = Webhook(secret_text(key))
    receiver.verify(body, sent, json_parse=False)
    stale = signed_headers([key], now - timedelta(minutes=6), body.encode(), "0123456789abcdef")
    changed = {**sent, "webhook-id": "another"}
    for headers, text in ((sent, body + " "), (changed, body), (stale, body), ({}, body)):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(text, headers, json_parse=False)


def test_while_a_key_is_replaced_the_old_and_the_new_one_verify() -> None:
    sent = signed_headers([KEY, OLD], datetime.now(UTC), BODY, "id-1")
    for key, good in ((KEY, True), (OLD, True), (b"x" * 32, False)):
        assert signed_by(secret_text(key), sent, BODY) is good
    Webhook(secret_text(OLD)).verify(BODY, sent)


def test_keys_differ_by_installation_setting_tenant_and_salt() -> None:
    made = {
        derived_key(root_key(configured, own), tenant, salt)
        for configured in (b"", b"c" * 16, b"d" * 16)
        for own in (b"1" * 32, b"2" * 32)
        for tenant in (1, 2)
        for salt in (b"", b"s" * 32, b"t" * 32)
    }
    assert len(made) == 3 * 2 * 2 * 3
    assert {len(key) for key in made} == {32}
    assert len({key_id(key) for key in made}) == len(made)


@pytest.mark.parametrize(("configured", "own"), [(b"x" * 15, b"o" * 32), (b"", b"short"), (b"", b"")])
def test_weak_roots_are_refused(configured: bytes, own: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        root_key(configured, own)


@pytest.mark.parametrize("keys", [[], [b""], [KEY, b"short"]])
def test_nothing_is_signed_without_a_strong_key(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="at least one key"):
        signed_headers(keys, NOW, BODY, "id-1")
