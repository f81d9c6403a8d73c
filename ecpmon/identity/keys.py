"""The issuer's public keys (JWKS), and signatures that are made with them.

Invariants: a key verifies by the one algorithm that its kind has, whatever a token says of itself, so a public key is
never taken for a shared secret and `none` is no algorithm; keys are the issuer's alone: whatever a token brings along
(`jwk`, `jku`, `x5c`) is not looked at; a private key that an issuer publishes by mistake is used as a public one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
import orjson
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode

from ecpmon.identity.claims import refused

# Characters. A header of HTTP may have 8,190.
MAX_TOKEN: Final = 8_000
MAX_KEYS: Final = 50
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# ID and access tokens. Others of the same issuer, as for logging out, are signed with the same keys.
_TYPES: Final = (None, "jwt", "at+jwt", "application/at+jwt")
# Bits. Checking a signature by the largest takes less than a millisecond.
_RSA_SIZES: Final = range(2_048, 8_193)


class NoKeys(ValueError):
    """What was fetched holds no key that can be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    kid: str | None
    algorithm: str


@dataclass(frozen=True, slots=True)
class Key:
    """`public` is of the library. `thumb`: what tells it from others, of the same `kid` as well."""

    kid: str | None
    algorithm: str
    public: Any
    thumb: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    algorithm: str
    read: Callable[[dict[str, Any]], Any]
    # What makes the public key, and nothing else of what is published with it.
    parts: tuple[str, ...]


_KINDS: Final[Mapping[tuple[Any, Any], _Kind]] = {
    ("RSA", None): _Kind("RS256", RSAAlgorithm.from_jwk, ("kty", "n", "e")),
    ("EC", "P-256"): _Kind("ES256", ECAlgorithm.from_jwk, ("kty", "crv", "x", "y")),
    ("OKP", "Ed25519"): _Kind("EdDSA", OKPAlgorithm.from_jwk, ("kty", "crv", "x")),
}


class KeySet:
    """Keys as they were published at one time."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def of(cls, document: bytes, algorithms: Collection[str]) -> KeySet:
        """Of a JWKS those that sign by one of these algorithms; others are left out. Raises NoKeys."""
        try:
            published = orjson.loads(document)["keys"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise NoKeys("no JWKS") from None
        if not isinstance(published, list) or len(published) > MAX_KEYS:
            raise NoKeys(f"no list of at most {MAX_KEYS} keys")
        keys = [key for jwk in published if (key := _key(jwk, algorithms)) is not None]
        if not keys:
            raise NoKeys("no key that signs by one of the algorithms that are allowed")
        return cls(keys)

    def choose(self, header: Header) -> Key | None:
        """The key that a token names; for one that names none, the only one that it can be signed with."""
        fit = [k for k in self._keys if k.algorithm == header.algorithm]
        if header.kid is not None:
            fit = [k for k in fit if k.kid == header.kid]
        return fit[0] if len(fit) == 1 else None

    def lacks(self, other: KeySet) -> bool:
        """Whether one of the other's keys is not among these."""
        return not {k.thumb for k in other._keys} <= {k.thumb for k in self._keys}


def _key(jwk: Any, algorithms: Collection[str]) -> Key | None:
    """A public key for signatures; None for any other, and for what cannot be read."""
    if not isinstance(jwk, dict) or jwk.get("use") not in (None, "sig"):
        return None
    kind = _kind(jwk)
    uses, kid = jwk.get("key_ops"), jwk.get("kid")
    if kind is None or kind.algorithm not in algorithms or jwk.get("alg") not in (None, kind.algorithm):
        return None
    if (isinstance(uses, list) and "verify" not in uses) or not isinstance(kid, str | None):
        return None
    parts = {name: jwk.get(name) for name in kind.parts}
    try:
        public = kind.read(parts)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if kind.algorithm == "RS256" and public.key_size not in _RSA_SIZES:
        return None
    return Key(kid, kind.algorithm, public, tuple(parts.items()))


def _kind(jwk: Mapping[str, Any]) -> _Kind | None:
    kty, curve = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(curve, str | None):
        return None
    return _KINDS.get((kty, curve))


def header_of(token: str, algorithms: Collection[str]) -> Header:
    """What a token says it is signed with. Raises Unauthorized for what is none that we take."""
    if len(token) > MAX_TOKEN:
        raise refused("too_large", f"this token is longer than {MAX_TOKEN} characters")
    said = _header(token) if _SHAPE.fullmatch(token) else None
    if said is None:
        raise refused("malformed", "this is no signed token (JWT)")
    kid, algorithm, kind = said.get("kid"), said.get("alg"), said.get("typ")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise refused("algorithm", f"this token is not signed by one of {', '.join(sorted(algorithms))}")
    if "crit" in said or (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise refused("type", "this is no ID token and no access token")
    if not isinstance(kid, str | None):
        raise refused("malformed", "the `kid` of this token is no text")
    return Header(kid, algorithm)


def _header(token: str) -> dict[str, Any] | None:
    try:
        said = orjson.loads(base64url_decode(token.partition(".")[0]))
    except ValueError:  # not base64, not JSON
        return None
    return said if isinstance(said, dict) else None


def verified(token: str, key: Key) -> bytes:
    """What the token says, as it was signed. Raises Unauthorized."""
    try:
        found = _JWS.decode_complete(token, key=key.public, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError):
        raise refused("signature", "the signature of this token is not its issuer's") from None
    payload: bytes = found["payload"]
    return payload


_JWS: Final = PyJWS()
