"""API tokens: only hashes of their secrets are stored, and grants are the numbers of tenants."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.errors import Conflict, EcpError, LimitReached, NotFound, ValidationFailed
from ecpmon.memory import Memory
from ecpmon.ports.tokens import Caller, Issued, NewToken, Shown, Standing, TokenInfo, TokenRef
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

_SHAPE: Final = re.compile(r"ecp_[A-Za-z0-9_-]{43}")
MAX_PER_TENANT: Final = 100
# Those that are over stay listed, so there must be an end to making short-lived ones: a day's for one tenant, as a
# multiple of those that may be valid at a time.
PER_DAY: Final = 10
_DAY: Final = timedelta(days=1)


def _hash(secret: str) -> bytes:
    # Secrets are 256 random bits, so a plain hash cannot be guessed back and needs no salt.
    return hashlib.sha256(secret.encode()).digest()


class PgTokenStore:
    """`ports.TokenStore` and `ports.TokenDesk` on PostgreSQL. `database_name` tells tokens of two databases apart."""

    def __init__(
        self, database: Database, *, max_per_tenant: int = MAX_PER_TENANT, database_name: str = "production"
    ) -> None:
        self._database = database
        self._name = database_name
        self._max_per_tenant = max_per_tenant
        self._sql = load("tokens")
        self._used: dict[int, datetime] = {}
        # By digest of the secret.
        self.memory: Memory[bytes, Caller] = Memory()

    def held(self, secret: str, now: datetime) -> Caller | None:
        caller = self.memory.get(_hash(secret))
        if caller is None or (caller.expires_at is not None and caller.expires_at <= now):
            return None
        if caller.token is not None:
            self._used[caller.token.token_id] = now
        return caller

    async def find(self, secret: str, now: datetime) -> Caller | None:
        if not _SHAPE.fullmatch(secret):
            return None  # none of ours: no query
        digest, mark = _hash(secret), self.memory.mark()
        row = await self._database.fetchrow(self._sql["find"], digest, now)
        if row is None:
            return None
        self._used[row["id"]] = now
        caller = Caller(
            name=row["name"],
            roles=frozenset(row["roles"]),
            tenants=None if row["all_tenants"] else frozenset(row["tenants"] or ()),
            names=frozenset(row["names"] or ()),
            former=frozenset(row["names"] or ()) - frozenset(row["live"] or ()),
            may_create=frozenset(row["may_create"]),
            token=TokenRef(self._name, row["id"], row["secret"]),
            expires_at=row["expires_at"],
        )
        self.memory.put(digest, caller, mark)
        return caller

    async def standing(self, shown: Collection[Shown], now: datetime) -> Mapping[Shown, Standing]:
        pairs = list(set(shown))
        secrets_, tenants = [p[0] for p in pairs], [p[1] for p in pairs]
        rows = await self._database.fetch(self._sql["standing"], secrets_, tenants, now)
        return {(r["secret"], r["tenant"]): Standing(frozenset(r["roles"]), r["holds"]) for r in rows}

    # --- the desk -------------------------------------------------------------------------------------------

    async def issue(self, new: NewToken, by: Caller, now: datetime) -> Issued:
        _check_reach(new, by)
        _check_lifetime(new.expires_at, by)
        secret = _new_secret()
        async with self._database.transaction() as connection:
            with wrap_errors():
                granted = await self._granted(connection, new, by, now)
                token_id: int = await connection.fetchval(
                    self._sql["insert"],
                    new.name,
                    sorted(new.roles),
                    new.tenants is None,
                    sorted(new.may_create),
                    now,
                    new.expires_at,
                    by.token.token_id if by.token and by.token.database == self._name else None,
                )
                await connection.execute(self._sql["grant"], token_id, granted)
                await connection.execute(self._sql["add_secret"], token_id, _hash(secret), now)
                await record(connection, now, "token.created", _subject(token_id), after=_told(new))
        return Issued(token_id, secret, new.expires_at)

    async def _granted(self, connection: Any, new: NewToken, by: Caller, now: datetime) -> list[int]:
        """The numbers of the tenants to be granted. Raises ValidationFailed, LimitReached."""
        if new.tenants is None:
            return []
        rows = await connection.fetch(self._sql["grantable"], sorted(set(new.tenants)))
        found = {r["tenant_id"]: r["id"] for r in rows if by.holds(r["id"])}
        unknown = [name for name in new.tenants if name not in found]
        if unknown:
            raise ValidationFailed(
                f"there is no tenant {unknown[0]!r}; create it first: a token is for tenants that exist",
                fields=[{"field": "tenant_access", "message": f"there is no tenant {n!r}"} for n in unknown],
            )
        numbers = list(found.values())
        self._check_room(await connection.fetchrow(self._sql["fullest"], numbers, now, now - _DAY))
        return numbers

    def _check_room(self, row: Any) -> None:
        """Raises LimitReached."""
        most, per_day = self._max_per_tenant, PER_DAY * self._max_per_tenant
        if row is not None and row["valid"] >= most:
            raise LimitReached(
                f"tenant {row['full_tenant']!r} has {most} tokens, the most that are allowed; revoke one first",
                limit="tokens",
                most=most,
            )
        if row is not None and row["fresh"] >= per_day:
            raise LimitReached(
                f"{per_day} tokens were made for tenant {row['busy_tenant']!r} within a day; use them longer",
                limit="tokens_per_day",
                most=per_day,
            )

    async def page(self, by: Caller, skip: int, limit: int, now: datetime) -> tuple[Sequence[TokenInfo], int]:
        rows = await self._database.fetch(self._sql["page"], *_reach(by), now, skip, limit)
        if not rows and skip:  # past the end: how many there are stands in no row
            return [], (await self.page(by, 0, 1, now))[1]
        return [_info(r) for r in rows], rows[0]["total"] if rows else 0

    async def revoke(self, token_id: int, by: Caller, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await self._lock(connection, token_id, by)
                await connection.execute(self._sql["revoke"], token_id, now)
                if row["revoked_at"] is None:
                    after = {"name": row["name"], "revoked_at": now}
                    await record(connection, now, "token.revoked", _subject(token_id), after=after)
        self.memory.clear()

    async def rotate(
        self,
        token_id: int,
        by: Caller,
        now: datetime,
        *,
        overlap: timedelta,
        expires_at: datetime | None = None,
    ) -> Issued:
        secret, until = _new_secret(), now + overlap
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await self._lock(connection, token_id, by)
                _check_not_over(row, now)
                expires_at = expires_at or row["expires_at"]
                _check_lifetime(expires_at, by)
                await connection.execute(self._sql["set_expiry"], token_id, expires_at)
                await connection.execute(self._sql["end_older_secrets"], token_id)
                await connection.execute(self._sql["end_present_secret"], token_id, until)
                await connection.execute(self._sql["add_secret"], token_id, _hash(secret), now)
                await record(
                    connection,
                    now,
                    "token.rotated",
                    _subject(token_id),
                    before={"expires_at": row["expires_at"]},
                    after={"name": row["name"], "expires_at": expires_at, "old_secret_until": until},
                )
        self.memory.clear()
        return Issued(token_id, secret, expires_at, until)

    async def _lock(self, connection: Any, token_id: int, by: Caller) -> Any:
        row = await connection.fetchrow(self._sql["lock"], token_id, *_reach(by))
        if row is None:
            raise NotFound(f"there is no token {token_id}", details={"token_id": token_id})
        return row

    # --- upkeep ---------------------------------------------------------------------------------------------

    async def write_use(self) -> None:
        """Store when the tokens were last used, as far as this process saw it; kept while the database is away."""
        used, self._used = self._used, {}
        try:
            if used:
                await self._database.execute(self._sql["used"], list(used), list(used.values()))
        except EcpError:
            self._used = {**used, **self._used}
            raise

    async def forget(self, before: datetime) -> None:
        """Drop the tokens that were over by then."""
        await self._database.execute(self._sql["forget"], before)


def _subject(token_id: int) -> str:
    return f"token {token_id}"


def _told(new: NewToken) -> dict[str, Any]:
    """What the audit log says of a new token."""
    return {
        "name": new.name,
        "roles": sorted(new.roles),
        "tenants": ["*"] if new.tenants is None else sorted(new.tenants),
        "may_create": sorted(new.may_create),
        "expires_at": new.expires_at,
    }


def _new_secret() -> str:
    return "ecp_" + secrets.token_urlsafe(32)


def _reach(by: Caller) -> tuple[list[int] | None, list[str]]:
    return None if by.tenants is None else sorted(by.tenants), sorted(by.may_create)


def _check_reach(new: NewToken, by: Caller) -> None:
    """Nobody gives what he does not hold; his tenants are looked up. Raises ValidationFailed."""
    if new.tenants is None and new.may_create:
        raise _refused("may_create", "who holds every tenant may create any; leave it out")
    if by.tenants is None:
        return
    if new.tenants is None:
        raise _refused("tenant_access", "only who holds every tenant can grant every tenant")
    if not new.tenants:
        raise _refused("tenant_access", "name a tenant")
    if beyond := sorted(set(new.may_create) - by.may_create):
        raise _refused("may_create", f"your token may not create {beyond[0]!r} itself")


def _refused(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {message}", fields=[{"field": field, "message": message}])


def _check_lifetime(expires_at: datetime | None, by: Caller) -> None:
    """Nobody gets a secret that outlives his own. Raises ValidationFailed."""
    if not by.outlives(expires_at):
        raise _refused("expires_in", f"a token may not outlive the one that asks for it, to {by.expires_at}")


def _check_not_over(row: Any, now: datetime) -> None:
    over = "revoked" if row["revoked_at"] else "expired"
    if row["revoked_at"] or (row["expires_at"] is not None and row["expires_at"] <= now):
        raise Conflict(f"this token is {over}; make a new one", details={"token_id": row["id"]})


def _info(row: Any) -> TokenInfo:
    return TokenInfo(
        token_id=row["id"],
        name=row["name"],
        roles=tuple(row["roles"]),
        tenants=None if row["all_tenants"] else tuple(row["tenants"]),
        former=tuple(row["former"]),
        may_create=tuple(row["may_create"]),
        lost_access=tuple(row["lost_access"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        old_secret_until=row["old_secret_until"],
    )
