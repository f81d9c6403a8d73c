"""Who shows a signed token: its signature, its claims, and the tenants that its names mean.

A name in a token means one tenant: the one that bore it when the token was issued, else the first to bear it from then
on. So a tenant that is deleted and made anew is another one for tokens of before, as it is for our own; what the issuer
signs afterwards is about the new one (docs/tokens.md).

Invariants: what is held of a token is told no later than its end, and not after a key of the issuer was withdrawn or a
tenant came, went or changed its name, as far as that is heard of here (`memory`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from ecpmon.identity.claims import Claims, Expected, read
from ecpmon.identity.issuer import Issuer
from ecpmon.identity.keys import header_of, verified
from ecpmon.memory import Memory
from ecpmon.ports.tenants import TenantStore
from ecpmon.ports.tokens import Caller, Endpoints, Person


@dataclass(frozen=True, slots=True)
class Desk:
    """`ports.SignedTokens`, one per process; `tenants` are those of the production database."""

    issuer: Issuer
    expected: Expected
    tenants: TenantStore
    memory: Memory[bytes, Caller]

    def held(self, token: str, now: datetime) -> Caller | None:
        caller = self.memory.get(_digest(token))
        ends = caller.expires_at if caller else None
        return caller if ends is not None and now < ends + self.expected.leeway else None

    async def find(self, token: str, now: datetime) -> Caller:
        header = header_of(token, self.issuer.source.algorithms)
        mark = self.memory.mark()
        key = await self.issuer.key_for(header)
        caller = await self._caller(read(verified(token, key), self.expected, now))
        self.memory.put(_digest(token), caller, mark)
        return caller

    async def _caller(self, claims: Claims) -> Caller:
        meant = []
        if claims.tenants:
            # Of who signed while a tenant was deleted nobody knows which clock was right.
            meant = await self.tenants.meant(claims.tenants, claims.issued_at - self.expected.leeway)
        former = frozenset(m.tenant_id for m in meant if not m.live)
        return Caller(
            name=claims.subject,
            roles=claims.roles,
            tenants=None if claims.tenants is None else frozenset(m.number for m in meant),
            names=frozenset(m.tenant_id for m in meant),
            former=former,
            # Who is told of a tenant before there is one may make it.
            may_create=(claims.tenants or frozenset()) - former,
            person=Person(self.expected.issuer, claims.subject),
            expires_at=claims.expires_at,
        )

    @property
    def endpoints(self) -> Endpoints | None:
        return self.issuer.endpoints

    def told(self) -> dict[str, object]:
        return self.issuer.told()


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
