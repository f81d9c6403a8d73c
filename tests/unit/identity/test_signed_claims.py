"""What a signed token says is believed only when it is for us, holds now, and ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.errors import Unauthorized
from ecpmon.identity.claims import MAX_NAMES, Claims, Expected, read

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
AT = int(NOW.timestamp())
EXPECTED = Expected("https://id.example/realm", "ecpmon")
USUAL = {
    "iss": "https://id.example/realm", "aud": ["other", "ecpmon"], "sub": "kim", "iat": AT, "exp": AT + 3600,
    "roles": ["viewer", "offline_access"], "tenant_access": ["acme", "beta"],
}  # fmt: skip


def told(expected: Expected = EXPECTED, now: datetime = NOW, **claims: Any) -> Claims:
    said = {k: v for k, v in (USUAL | claims).items() if v is not ...}
    return read(json.dumps(said).encode(), expected, now)


def reason(expected: Expected = EXPECTED, now: datetime = NOW, **claims: Any) -> str:
    with pytest.raises(Unauthorized) as error:
        told(expected, now, **claims)
    return str(error.value.details["reason"])


def test_a_good_token_names_who_it_is_what_he_may_and_where() -> None:
    found = told()
    assert (found.subject, found.roles, found.tenants) == ("kim", {"viewer"}, {"acme", "beta"})
    assert (found.issued_at, found.expires_at) == (NOW, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://id.example/realm/"}, "issuer"),
        ({"iss": ...}, "issuer"),
        ({"iss": ["https://id.example/realm"]}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": ...}, "audience"),
        ({"aud": ["ecpmon2"]}, "audience"),
        ({"aud": {"ecpmon": 1}}, "audience"),
        ({"exp": ...}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": "9999999999"}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": 1e300}, "claims"),
        ({"exp": -1}, "claims"),
        ({"exp": 10**30}, "claims"),
        ({"iat": ...}, "claims"),
        ({"nbf": "now"}, "claims"),
        ({"exp": AT + 86_401}, "lifetime"),
        ({"sub": ...}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "claims"),
        ({"sub": "kim\nadmin"}, "claims"),
        ({"sub": "k" * 201}, "claims"),
        ({"roles": {"admin": True}}, "claims"),
        ({"roles": ["viewer", 7]}, "claims"),
        ({"tenant_access": 7}, "claims"),
        ({"tenant_access": [f"t-{n}" for n in range(MAX_NAMES + 1)]}, "claims"),
    ],
)
def test_what_is_not_as_it_must_be_is_refused(claims: dict[str, Any], why: str) -> None:
    assert reason(**claims) == why


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"exp": NaN}', b'"x"', b"\xff", b"[" * 5_000])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(Unauthorized):
        read(payload, EXPECTED, NOW)


def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    a_second, leeway = timedelta(seconds=1), EXPECTED.leeway
    ends = NOW + timedelta(hours=1)
    assert told(now=ends + leeway - a_second).subject == "kim"
    assert reason(now=ends + leeway) == "expired"
    assert told(now=NOW - leeway).subject == "kim"
    assert reason(now=NOW - leeway - a_second) == "not_yet"
    assert told(nbf=AT + 30).subject == "kim"
    assert reason(nbf=AT + 31) == "not_yet"


def test_roles_that_are_not_ours_give_nothing() -> None:
    assert told(roles=["root", "Admin", "admin "]).roles == frozenset()
    assert told(roles=...).roles == frozenset()
    assert told(roles="viewer ingest").roles == {"viewer", "ingest"}


@pytest.mark.parametrize("every", ["*", ["*"], ["acme", "*"]])
def test_a_star_is_every_tenant(every: Any) -> None:
    assert told(tenant_access=every).tenants is None


def test_without_tenants_there_are_none_and_what_no_tenant_can_be_called_is_left_out() -> None:
    assert told(tenant_access=...).tenants == frozenset()
    assert told(tenant_access=["acme", "", "Not A Name", "*acme", "a' OR 1=1"]).tenants == {"acme"}
    assert told(tenant_access="acme beta").tenants == {"acme", "beta"}


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["operator"]}}),
        ("resource_access.ecpmon.roles", {"resource_access": {"ecpmon": {"roles": ["operator"]}}}),
        ("https://ecpmon.example/roles", {"https://ecpmon.example/roles": ["operator"]}),
    ],
)
def test_claims_are_found_by_their_name_or_their_path(path: str, claims: dict[str, Any]) -> None:
    expected = Expected(EXPECTED.issuer, "ecpmon", roles=path, tenants="realm_access.tenants")
    assert told(expected, **claims).roles == {"operator"}
    assert told(expected).roles == frozenset()  # `roles` itself is not asked for
    assert told(expected, realm_access=["no", "object"]).tenants == frozenset()
