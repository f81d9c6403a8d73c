"""A small OpenID provider on loopback: it publishes its keys, signs tokens, rotates, and goes away when it is told."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "ecpmon"
_WRITERS: dict[str, Any] = {
    "RS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


@cache
def private_key(algorithm: str, number: int = 0) -> Any:
    """Made once per run: a pair of RSA takes a tenth of a second."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2_048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(algorithm: str, number: int = 0, **more: Any) -> dict[str, Any]:
    return {**_WRITERS[algorithm](private_key(algorithm, number).public_key(), as_dict=True), **more}


def signed(claims: Any, algorithm: str = "ES256", number: int = 0, **header: Any) -> str:
    """`claims` as they are, signed with the key of that number."""
    return jwt.api_jws.encode(
        claims if isinstance(claims, bytes) else json.dumps(claims).encode(),
        private_key(algorithm, number),
        algorithm,
        headers={k: v for k, v in header.items() if v is not None},
    )


@dataclass
class Provider:
    """`published`: kid -> (algorithm, number of its key). `asked`: how often, by path. `status`: of each answer."""

    issuer: str = ""
    published: dict[str, tuple[str, int]] = field(default_factory=lambda: {"one": ("ES256", 0)})
    asked: Counter[str] = field(default_factory=Counter)
    status: int = 200
    hangs: asyncio.Event | None = None
    keys: Any = None
    discovery: Any = None
    # What a person who signs in is given for an authorisation code: told what was asked for, by code.
    signs: Callable[[dict[str, str]], dict[str, str]] = lambda asked: {}
    # What a refresh token is exchanged for; None: it is refused.
    renews: Callable[[str], dict[str, str] | None] = lambda refresh_token: None
    asked_for: dict[str, dict[str, str]] = field(default_factory=dict)

    def token(self, now: datetime, *, kid: str = "one", **claims: Any) -> str:
        """Good for an hour, for a viewer of every tenant, but for what `claims` say; None takes a claim away."""
        algorithm, number = self.published.get(kid, ("ES256", 99))
        usual = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": "kim", "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=1)).timestamp()), "roles": ["viewer"], "tenant_access": "*",
        }  # fmt: skip
        said = {k: v for k, v in (usual | claims).items() if v is not None}
        return signed(said, algorithm, number, kid=kid)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "/jwks"})
        if request.path == "/jwks":
            keys = [public_jwk(*key, kid=kid, use="sig") for kid, key in self.published.items()]
            return web.json_response(self.keys if self.keys is not None else {"keys": keys})
        if request.path == "/authorize":
            return self._authorise(dict(request.query))
        if request.path == "/token":
            return self._exchange({k: str(v) for k, v in (await request.post()).items()})
        found = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
        }
        return web.json_response(found if self.discovery is None else self.discovery)

    def _authorise(self, asked: dict[str, str]) -> web.Response:
        """The person agrees at once."""
        code = f"code-{len(self.asked_for)}"
        self.asked_for[code] = asked
        back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        return web.Response(status=302, headers={"Location": back})

    def _exchange(self, said: dict[str, str]) -> web.Response:
        """By RFC 7636: for who knows what the challenge was made of."""
        if said["grant_type"] == "refresh_token":
            renewed = self.renews(said["refresh_token"])
            return _given(renewed or {"error": "invalid_grant"}, renewed is not None)
        asked = self.asked_for.pop(said["code"], {})
        made = urlsafe_b64encode(sha256(said["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        good = asked.get("code_challenge") == made and asked["redirect_uri"] == said["redirect_uri"]
        return _given(self.signs(asked) if good else {"error": "invalid_grant"}, good)


def _given(answer: dict[str, str], good: bool) -> web.Response:
    headers = {"Access-Control-Allow-Origin": "*"}
    return web.json_response(answer, status=200 if good else 400, headers=headers)


@asynccontextmanager
async def providing(port: int) -> AsyncIterator[Provider]:
    provider = Provider(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
