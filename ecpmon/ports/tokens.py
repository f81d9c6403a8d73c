"""API tokens: who calls, and making, listing, replacing and revoking what proves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from ecpmon.model.tenants import Tenant

ROLES: Final = ("viewer", "ingest", "operator", "tenant_admin", "admin")


@dataclass(frozen=True, slots=True)
class TokenRef:
    """Which secret of which token a caller showed; numbers are those of `database`."""

    database: str
    token_id: int
    secret_id: int


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a signed token names: `subject` is unique at its issuer, whatever token shows it."""

    issuer: str
    subject: str
    key: str = field(init=False)

    def __post_init__(self) -> None:
        """`key`: the same in 37 characters."""
        digest = sha256(f"{self.issuer}\n{self.subject}".encode()).hexdigest()
        object.__setattr__(self, "key", f"oidc:{digest[:32]}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `tenants` holds the numbers of the tenants it was granted, deleted ones too; None: every tenant.

    `names` are their public names: a name that is not among them is surely not the caller's, one that is may be that
    of another tenant by now; of those in `former` it held only tenants that are deleted. `expires_at`: when what was
    shown stops being valid. `token` is what was shown when it is one of ours, `person` whom it names when an issuer has
    signed it; neither: nothing was shown.
    """

    name: str
    roles: frozenset[str]
    tenants: frozenset[int] | None
    names: frozenset[str] = frozenset()
    former: frozenset[str] = frozenset()
    may_create: frozenset[str] = frozenset()
    token: TokenRef | None = None
    expires_at: datetime | None = None
    person: Person | None = None

    def may_see(self, tenant: Tenant) -> bool:
        return self.holds(tenant.key)

    def holds(self, number: int) -> bool:
        """Whether the tenant of this number is the caller's."""
        return self.tenants is None or number in self.tenants

    def may_know(self, tenant_id: str) -> bool:
        """Whether a tenant of that name can be the caller's: False is final, True is decided by its number."""
        return self.tenants is None or tenant_id in self.names

    def outlives(self, expires_at: datetime | None) -> bool:
        """Whether what the caller showed is valid as long as something that expires then (None: never)."""
        return self.expires_at is None or (expires_at is not None and expires_at <= self.expires_at)

    def creates(self, tenant_id: str) -> bool:
        return self.tenants is None or tenant_id in self.may_create


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be made. `tenants`: names of live tenants, None for every tenant there is and will be."""

    name: str
    roles: Collection[str]
    tenants: Collection[str] | None
    may_create: Collection[str] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A secret, which is shown this once: stored is its hash. `replaces_until`: until then the old one works too."""

    token_id: int
    secret: str = field(repr=False)
    expires_at: datetime | None
    replaces_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is told of a token. `tenants`: names of the live ones, None for every tenant; `former`: of deleted ones."""

    token_id: int
    name: str
    roles: tuple[str, ...]
    tenants: tuple[str, ...] | None
    former: tuple[str, ...]
    may_create: tuple[str, ...]
    lost_access: tuple[str, ...]
    created_at: datetime
    created_by: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    old_secret_until: datetime | None

    def status(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a secret still gives: its token's roles, and whether a tenant is the token's."""

    roles: frozenset[str]
    holds: bool


# A secret's number, and a tenant's; 0: all that it may see, none in particular; None: a tenant of another database,
# which only a token for every tenant holds.
Shown = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where people sign in at an issuer, and where what they come back with becomes a token."""

    authorization: str
    token: str


class SignedTokens(Protocol):
    """Tokens that an issuer signs (OIDC). Tenants are those of the production database."""

    @property
    def endpoints(self) -> Endpoints | None:
        """None: the issuer has not told yet, or nobody signs in with it here."""
        ...

    def held(self, token: str, now: datetime) -> Caller | None:
        """The caller of a token that was looked at a moment ago, as far as nothing is known to have changed since."""
        ...

    async def find(self, token: str, now: datetime) -> Caller:
        """Raises Unauthorized, IdentityProviderUnavailable, DatabaseUnavailable."""
        ...

    def told(self) -> Mapping[str, Any]:
        """For `/ready`: `ok`, whatever the issuer does, and how it answers."""
        ...


class TokenStore(Protocol):
    """Tokens as `by` reaches them: who does not hold every tenant reaches the tokens that hold no more than he."""

    def held(self, secret: str, now: datetime) -> Caller | None:
        """The caller of a token that was found a moment ago, unless it was changed since, as far as is known here."""
        ...

    async def find(self, secret: str, now: datetime) -> Caller | None:
        """The caller of a bearer token, None when unknown, expired or revoked. Only hashes are stored."""
        ...

    async def standing(self, shown: Collection[Shown], now: datetime) -> Mapping[Shown, Standing]:
        """What was shown, as far as it is valid still. One query, however many sockets ask."""
        ...

    async def issue(self, new: NewToken, by: Caller, now: datetime) -> Issued:
        """Make a token. Raises LimitReached; ValidationFailed for tenants that do not exist for `by`, for anything that
        he does not hold himself, and for a token that would outlive his."""
        ...

    async def page(self, by: Caller, skip: int, limit: int, now: datetime) -> tuple[Sequence[TokenInfo], int]:
        """Tokens, the newest first, and how many there are in all."""
        ...

    async def revoke(self, token_id: int, by: Caller, now: datetime) -> None:
        """End a token and every secret of it; again is harmless. Raises NotFound."""
        ...

    async def rotate(
        self,
        token_id: int,
        by: Caller,
        now: datetime,
        *,
        overlap: timedelta,
        expires_at: datetime | None = None,
    ) -> Issued:
        """A new secret; the present one ends after `overlap`, older ones now. `expires_at` None: as it was.

        Raises NotFound, Conflict for a token that is over, ValidationFailed as `issue`.
        """
        ...
