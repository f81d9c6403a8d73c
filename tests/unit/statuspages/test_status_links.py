"""Links to status pages: what was not signed here, or is over, opens nothing."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.statuspages.links import MAX_LENGTH, Claim, made, opened, signing_key

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = signing_key(b"", b"o" * 32)
CLAIM = Claim("acme", 7, 3, NOW + timedelta(days=1))


def test_a_link_says_what_it_was_made_of_until_it_is_over() -> None:
    link = made(KEY, CLAIM)
    assert opened(KEY, link, NOW) == CLAIM
    assert opened(KEY, link, CLAIM.expires_at) is None
    assert len(made(KEY, Claim("a" * 56, 2**63 - 1, 2**31 - 1, CLAIM.expires_at))) == MAX_LENGTH


@pytest.mark.parametrize(
    "link",
    [
        made(signing_key(b"another secret!!", b"o" * 32), CLAIM),
        made(signing_key(b"", b"p" * 32), CLAIM),
        made(KEY, CLAIM).replace("acme", "beta"),
        made(KEY, CLAIM)[:-2] + "AA",
        made(KEY, CLAIM)[:-10],
        made(KEY, CLAIM) + "A",
        "acme.",
        "acme.%%%%",
        "acme." + base64.urlsafe_b64encode(b"\x00" * 52).decode().rstrip("="),
        "\udcff.AAAA",
        "",
    ],
)
def test_what_was_not_signed_so_opens_nothing(link: str) -> None:
    assert opened(KEY, link, NOW) is None


def test_any_byte_that_is_changed_breaks_it() -> None:
    name, _, text = made(KEY, CLAIM).partition(".")
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    for place in range(len(raw)):
        raw[place] ^= 1
        forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        assert opened(KEY, f"{name}.{forged}", NOW) is None
        raw[place] ^= 1
