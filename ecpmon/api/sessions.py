"""Open sockets: how many there may be, and that each ends when what it was opened with is no longer good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from ecpmon.errors import Overloaded, TooManySockets
from ecpmon.ports.tokens import Caller, Shown, Standing

K = TypeVar("K")
UNAUTHORISED: Final = 4401
FORBIDDEN: Final = 4403
TENANT_GONE: Final = 4404


@dataclass(frozen=True, slots=True)
class Session:
    """Who holds a socket about which tenant. `holder`: whom the limit per caller counts; `roles`: one is needed."""

    caller: Caller
    holder: str
    # Where the tenant is, and its number there.
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
        self, limits: SocketLimits = SocketLimits(), count_refusal: Callable[[str], None] = lambda _: None
    ) -> None:
        self.limits = limits
        self._count_refusal = count_refusal
        self._holders: Counter[str] = Counter()
        self._tenants: Counter[tuple[str, int]] = Counter()

    @property
    def open(self) -> int:
        return self._holders.total()

    @contextmanager
    def admit(self, session: Session) -> Iterator[None]:
        """Raises TooManySockets past the holder's or the tenant's bound, Overloaded past everybody's."""
        tenant = (session.database, session.tenant)
        self._check(session, tenant)
        self._holders[session.holder] += 1
        self._tenants[tenant] += 1
        try:
            yield
        finally:
            _less(self._holders, session.holder)
            _less(self._tenants, tenant)

    def _check(self, session: Session, tenant: tuple[str, int]) -> None:
        # The narrowest first: who is over his own bound is told so, whatever the others do.
        if self._holders[session.holder] >= self.limits.per_holder:
            self._count_refusal("token")
            raise TooManySockets(
                f"your token has {self.limits.per_holder} sockets open, the most that one may; close some first"
            )
        if self._tenants[tenant] >= self.limits.per_tenant:
            self._count_refusal("tenant")
            raise TooManySockets(
                f"the tenant has {self.limits.per_tenant} sockets open, the most that one may; close some first"
            )
        if self.open >= self.limits.in_all:
            self._count_refusal("all")
            raise Overloaded("too many open sockets; try again later")


def _less(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


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
