"""A small OpenID provider on loopback: it publishes its keys, signs tokens, rotates, and goes away when it is told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

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
        found = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        return web.json_response(found if self.discovery is None else self.discovery)


@asynccontextmanager
async def providing(port: int) -> AsyncIterator[Provider]:
    provider = Provider(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_get("/{path:.*}", provider._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
