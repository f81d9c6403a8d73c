"""Open sockets: how many there may be, and that each ends when what it was opened with is no longer good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ecpmon.errors import Overloaded, TooManySockets
from ecpmon.ledger import Ledger
from ecpmon.ports.tokens import Caller, Shown, Standing

K = TypeVar("K")
UNAUTHORISED: Final = 4401
FORBIDDEN: Final = 4403
TENANT_GONE: Final = 4404
# Of a socket about no tenant in particular: no tenant has that number.
ALL_TENANTS: Final = 0
# In the ledger.
_ALL: Final = "sockets"


@dataclass(frozen=True, slots=True)
class Session:
    """Who holds a socket about which tenant. `holder`: whom the limit per caller counts; `roles`: one is needed."""

    caller: Caller
    holder: str
    # Where the tenant is, and its number there, or ALL_TENANTS that the caller may see.
    database: str
    tenant: int
    tenant_id: str
    roles: frozenset[str]

    @property
    def home(self) -> str:
        """The database of the token."""
        return self.caller.token.database if self.caller.token else self.database

    @property
    def shown(self) -> Shown | None:
        """What the token's database can be asked about; None: no token was shown."""
        token = self.caller.token
        return (
            None if token is None else (token.secret_id, self.tenant if self.home == self.database else None)
        )


@dataclass(frozen=True, slots=True)
class SocketLimits:
    in_all: int = 10_000
    per_holder: int = 100
    per_tenant: int = 500


class Admissions:
    """Counts the open sockets of a process. `count_refusal` is told why one was not let in."""

    def __init__(
        self,
        limits: SocketLimits = SocketLimits(),
        count_refusal: Callable[[str], None] = lambda _: None,
        ledger: Ledger | None = None,
    ) -> None:
        """`ledger`: the bounds are those of all processes of the machine together."""
        self.limits = limits
        self._ledger = ledger
        if ledger is not None:
            ledger.clear()
        self._count_refusal = count_refusal
        self._holders: Counter[str] = Counter()
        self._tenants: Counter[tuple[str, int]] = Counter()
        self.open = 0

    def enter(self, session: Session) -> None:
        """`leave` belongs to it. Raises TooManySockets past the holder's or the tenant's bound, Overloaded past
        everybody's."""
        tenant = (session.database, session.tenant)
        self._count(session.holder, tenant, 1)
        try:
            # After it was counted: of two processes that let in the last one each, one at least sees the other.
            self._check(session, tenant)
        except (TooManySockets, Overloaded):
            self.leave(session)
            raise

    def leave(self, session: Session) -> None:
        self._count(session.holder, (session.database, session.tenant), -1)

    def _count(self, holder: str, tenant: tuple[str, int], more: int) -> None:
        self.open += more
        _add(self._holders, holder, more)
        _add(self._tenants, tenant, more)
        if self._ledger is not None:
            self._ledger.add(_ALL, more)
            self._ledger.add(_of_holder(holder), more)
            self._ledger.add(_of_tenant(tenant), more)

    def _elsewhere(self, key: str) -> float:
        return self._ledger.total_of_others(key) if self._ledger is not None else 0.0

    def _check(self, session: Session, tenant: tuple[str, int]) -> None:
        """The narrowest first: who is over his own bound is told so, whatever the others do."""
        held = self._holders[session.holder] + self._elsewhere(_of_holder(session.holder))
        if held > self.limits.per_holder:
            self._count_refusal("token")
            raise TooManySockets(
                f"your token has {self.limits.per_holder} sockets open, the most that one may; close some first",
                details={"limit": "sockets_per_token"},
            )
        held = self._tenants[tenant] + self._elsewhere(_of_tenant(tenant))
        if session.tenant != ALL_TENANTS and held > self.limits.per_tenant:
            self._count_refusal("tenant")
            raise TooManySockets(
                f"the tenant has {self.limits.per_tenant} sockets open, the most that one may; close some first",
                details={"limit": "sockets_per_tenant"},
            )
        if self.open + self._elsewhere(_ALL) > self.limits.in_all:
            self._count_refusal("all")
            raise Overloaded("too many open sockets; try again later", details={"limit": "sockets"})


def _add(counts: Counter[K], key: K, more: int) -> None:
    counts[key] += more
    if not counts[key]:
        del counts[key]


def _of_holder(holder: str) -> str:
    return f"sockets of {holder}"


def _of_tenant(tenant: tuple[str, int]) -> str:
    return f"sockets about {tenant[0]} {tenant[1]}"


def ending(session: Session, standing: Standing | None, *, live: bool) -> tuple[int, str] | None:
    """Why a socket must end, as a close code and a sentence; None: it may stay.

    `standing`: what its token gives now, None when it gives nothing any more; `live`: there still is its tenant.
    """
    if standing is None:
        return UNAUTHORISED, "this token is revoked or has expired"
    if not (live and standing.holds):
        return TENANT_GONE, "the tenant was deleted, or is not your token's any more"
    if not standing.roles & session.roles:
        return FORBIDDEN, f"this needs one of the roles {', '.join(sorted(session.roles))}"
    return None
