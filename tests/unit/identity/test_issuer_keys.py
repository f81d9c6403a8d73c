"""A token is checked with a key of the issuer's, by the algorithm of the key and by no other."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ecpmon.errors import Unauthorized
from ecpmon.identity.keys import MAX_KEYS, MAX_TOKEN, Header, KeySet, NoKeys, header_of, verified
from tests.openid import private_key, public_jwk, signed

ALL = frozenset({"RS256", "ES256", "EdDSA"})
SAID = {"sub": "kim"}


def keys(*published: Any, algorithms: frozenset[str] = ALL) -> KeySet:
    return KeySet.of(json.dumps({"keys": list(published)}).encode(), algorithms)


def reason(token: str, algorithms: frozenset[str] = ALL) -> str:
    with pytest.raises(Unauthorized) as error:
        header_of(token, algorithms)
    return str(error.value.details["reason"])


def part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", sorted(ALL))
def test_a_token_is_good_by_the_key_that_it_names_and_by_no_other(algorithm: str) -> None:
    held = keys(*(public_jwk(a, kid=f"{a}-0") for a in ALL), public_jwk(algorithm, 1, kid="new"))
    token = signed(SAID, algorithm, kid=f"{algorithm}-0")
    key = held.choose(header_of(token, ALL))
    assert key is not None
    assert json.loads(verified(token, key)) == SAID
    other = held.choose(Header("new", algorithm))
    assert other is not None
    with pytest.raises(Unauthorized):
        verified(token, other)
    head, _, signature = token.split(".")
    with pytest.raises(Unauthorized):
        verified(f"{head}.{part({'sub': 'root'})}.{signature}", key)


def test_none_is_no_algorithm() -> None:
    for algorithm in ("none", "None", "nOnE", ""):
        assert reason(f"{part({'alg': algorithm})}.{part(SAID)}.x") == "algorithm"
    assert (
        reason(f"{part({'alg': 'none'})}.{part(SAID)}.") == "malformed"
    )  # without a signature it is no JWS at all


def test_a_public_key_is_not_taken_for_a_shared_secret() -> None:
    """Whoever knows the public key could sign by HMAC with it."""
    public = private_key("RS256").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = part({"alg": "HS256", "kid": "RS256-0"}), part(SAID)
    assert reason(f"{head}.{body}.{part(pem.decode())}") == "algorithm"
    # Nor by saying that it is signed by what the key is for.
    held = keys(public_jwk("RS256", kid="k"), public_jwk("ES256", kid="k"))
    for claimed, made_by in (("RS256", "ES256"), ("ES256", "RS256"), ("EdDSA", "ES256")):
        token = signed(SAID, made_by, kid="k")
        forged = f"{part({'alg': claimed, 'kid': 'k'})}.{token.split('.', 1)[1]}"
        key = held.choose(header_of(forged, ALL))
        if key is None:
            assert claimed == "EdDSA"
            continue
        with pytest.raises(Unauthorized):
            verified(forged, key)


def test_what_a_token_brings_along_is_not_looked_at() -> None:
    own = public_jwk("ES256", 7, kid="mine")
    token = signed(SAID, "ES256", 7, kid="mine", jwk=own, jku="http://127.0.0.1:1/keys", x5c=["MII"])
    assert keys(public_jwk("ES256", kid="one")).choose(header_of(token, ALL)) is None


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"alg": "RS512"}, "algorithm"),
        ({"alg": ["RS256"]}, "algorithm"),
        ({"alg": "ES256", "crit": ["b64"], "b64": False}, "type"),
        ({"alg": "ES256", "typ": "logout+jwt"}, "type"),
        ({"alg": "ES256", "typ": 7}, "type"),
        ({"alg": "ES256", "kid": 7}, "malformed"),
        ([], "malformed"),
    ],
)
def test_headers_that_ask_for_something_else_are_refused(header: Any, why: str) -> None:
    assert reason(f"{part(header)}.{part(SAID)}.c2ln") == why


@pytest.mark.parametrize(
    "token", ["", ".", "a.b", "a.b.c.d.e", "a.b.c", "a..c", "ü.b.c", "a.b.c=", "a.b.c\n"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert reason(token) == "malformed"


def test_a_token_that_is_too_long_is_not_even_taken_apart() -> None:
    assert reason("a" * (MAX_TOKEN + 1)) == "too_large"


def test_only_what_the_settings_allow_is_an_algorithm() -> None:
    token = signed(SAID, "RS256", kid="k")
    assert reason(token, frozenset({"ES256"})) == "algorithm"
    with pytest.raises(NoKeys):
        keys(public_jwk("RS256", kid="k"), algorithms=frozenset({"ES256"}))


def test_a_token_without_a_kid_is_good_where_there_is_one_key_that_it_can_be_of() -> None:
    header = header_of(signed(SAID, "ES256"), ALL)
    assert keys(public_jwk("ES256", kid="a"), public_jwk("RS256", kid="b")).choose(header) is not None
    assert keys(public_jwk("ES256", kid="a"), public_jwk("ES256", 1, kid="b")).choose(header) is None
    assert (
        keys(public_jwk("ES256", kid="a"), public_jwk("ES256", 1, kid="a")).choose(Header("a", "ES256"))
        is None
    )


@pytest.mark.parametrize(
    "odd",
    [
        None, 7, {}, {"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, {"kty": ["RSA"]},
        {"kty": "RSA", "n": "AQAB", "e": None}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}, {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7}, {"kty": "OKP", "crv": "X25519", "x": "AA"},
        public_jwk("ES256", 2, use="enc"), public_jwk("ES256", 2, key_ops=["sign"]),
        public_jwk("ES256", 2, alg="ES512"), public_jwk("ES256", 2, kid=7),
    ],
)  # fmt: skip
def test_keys_that_are_not_for_signatures_are_left_out_and_cost_the_others_nothing(odd: Any) -> None:
    assert len(keys(odd, public_jwk("ES256", kid="one"))) == 1


def test_a_weak_key_is_left_out() -> None:
    weak = rsa.generate_private_key(65_537, 1_024).public_key()
    with pytest.raises(NoKeys):
        keys({**jwt.algorithms.RSAAlgorithm.to_jwk(weak, as_dict=True), "kid": "weak"})


def test_a_private_key_that_is_published_is_used_as_a_public_one() -> None:
    private = jwt.algorithms.ECAlgorithm.to_jwk(private_key("ES256"), as_dict=True)
    assert "d" in private
    key = keys({**private, "kid": "k"}).choose(Header("k", "ES256"))
    assert key is not None
    assert not hasattr(key.public, "sign")


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"<html>",
     json.dumps({"keys": [public_jwk("ES256", kid=str(n)) for n in range(MAX_KEYS + 1)]}).encode()],
)  # fmt: skip
def test_what_holds_no_keys_is_told(document: bytes) -> None:
    with pytest.raises(NoKeys):
        KeySet.of(document, ALL)


def test_a_withdrawn_key_is_noticed_and_an_added_one_is_no_loss() -> None:
    one, two, other = (public_jwk("ES256", n, kid=k) for n, k in ((0, "a"), (1, "b"), (1, "a")))
    assert not keys(one, two).lacks(keys(one))
    assert keys(two).lacks(keys(one, two))
    assert keys(other).lacks(keys(one))  # another key under the same name
