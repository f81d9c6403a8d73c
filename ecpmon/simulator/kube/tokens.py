"""Tokens of service accounts: signed, for an audience, until an instant of simulated time; pure.

The key follows from the cluster's seed. Nobody gains by forging a token, as whoever reaches this API without one is
its administrator; that a token outlives a restart is worth more here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.types import Options

from ecpmon.kube.authorization import User, account_groups, account_name
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.kube import ObjectKey
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
_ALGORITHM: Final = "ES256"
_OWN: Final = "kubernetes.io"
_EXTRA: Final = "authentication.kubernetes.io"
# The order of the curve P-256: a private key is a number below it.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BOUND: Final = {"pod": "pods", "secret": "secrets", "node": "nodes"}
_CACHED: Final = 256


class BadToken(Exception):
    """The token is nobody's; the message says why, as TokenReview tells it."""


@lru_cache(4)
def _key(seed: int) -> ec.EllipticCurvePrivateKey:
    digest = sha256(f"service account tokens of the cluster {seed}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(digest) % (_ORDER - 1) + 1, ec.SECP256R1())


def _key_id(seed: int) -> str:
    numbers = _key(seed).public_key().public_numbers()
    return _encoded(sha256(numbers.x.to_bytes(32) + numbers.y.to_bytes(32)).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwks(seed: int) -> Document:
    """The public key, by which others check tokens: `/openid/v1/jwks`."""
    numbers = _key(seed).public_key().public_numbers()
    key = {"use": "sig", "kty": "EC", "kid": _key_id(seed), "crv": "P-256", "alg": _ALGORITHM}
    key |= {"x": _encoded(numbers.x.to_bytes(32)), "y": _encoded(numbers.y.to_bytes(32))}
    return {"keys": [key]}


def discovery(address: str) -> Document:
    """`/.well-known/openid-configuration`; `address` is where this server is."""
    return {
        "issuer": ISSUER,
        "jwks_uri": f"{address}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [_ALGORITHM],
    }


def issued(
    state: ClusterState, account: Document, audiences: Iterable[str], seconds: int, bound: Mapping[str, Any]
) -> str:
    """A token of the ServiceAccount; `bound`: by `pod`, `secret` or `node` the object that it ends with."""
    metadata, now = account["metadata"], state.now // SECOND
    space, name = metadata["namespace"], metadata["name"]
    own = {"namespace": space, "serviceaccount": {"name": name, "uid": metadata["uid"]}, **bound}
    claims = {
        "aud": list(audiences),
        "exp": now + seconds,
        "iat": now,
        "iss": ISSUER,
        "jti": str(uuid4()),
        _OWN: own,
        "nbf": now,
        "sub": account_name(space, name),
    }
    return jwt.encode(claims, _key(state.seed), _ALGORITHM, {"kid": _key_id(state.seed)})


@lru_cache(_CACHED)
def _claims(seed: int, token: str) -> dict[str, Any]:
    """What a token says, its signature found good. BadToken."""
    # Times are simulated ones, and who it is for depends on who asks.
    options: Options = {
        "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
        "require": ["exp", "sub", "aud"],
    }  # fmt: skip
    try:
        return jwt.decode(token, _key(seed).public_key(), [_ALGORITHM], options, issuer=ISSUER)
    except jwt.PyJWTError as error:
        raise BadToken("invalid bearer token") from error


def owner_of(state: ClusterState, token: str, audiences: Iterable[str] = (ISSUER,)) -> tuple[User, list[str]]:
    """Whose token it is, and for which of `audiences`. BadToken."""
    claims = _claims(state.seed, token)
    if state.now >= claims["exp"] * SECOND:
        raise BadToken("[invalid bearer token, service account token has expired]")
    common = [audience for audience in audiences if audience in claims["aud"]]
    if not common:
        raise BadToken(
            f"[invalid bearer token, token audiences {claims['aud']} is invalid for the target audiences]"
        )
    own = claims[_OWN]
    account = cluster.get(
        state, ObjectKey("serviceaccounts", own["namespace"], own["serviceaccount"]["name"])
    )
    if account is None or account["metadata"]["uid"] != own["serviceaccount"]["uid"]:
        raise BadToken("[invalid bearer token, service account token has been invalidated]")
    _check_bound(state, own)
    return _user(own, claims), common


def _check_bound(state: ClusterState, own: Mapping[str, Any]) -> None:
    for kind, resource in _BOUND.items():
        if kind not in own:
            continue
        space = "" if kind == "node" else own["namespace"]
        found = cluster.get(state, ObjectKey(resource, space, own[kind]["name"]))
        if found is None or found["metadata"]["uid"] != own[kind]["uid"]:
            raise BadToken("[invalid bearer token, service account token has been invalidated]")


def _user(own: Mapping[str, Any], claims: Mapping[str, Any]) -> User:
    extra = {f"{_EXTRA}/credential-id": [f"JTI={claims['jti']}"]}
    for kind in ("pod", "node"):
        if kind in own:
            extra[f"{_EXTRA}/{kind}-name"] = [own[kind]["name"]]
            extra[f"{_EXTRA}/{kind}-uid"] = [own[kind]["uid"]]
    account = own["serviceaccount"]
    space = own["namespace"]
    return User(account_name(space, account["name"]), account_groups(space), account["uid"], extra)
