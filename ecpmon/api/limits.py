"""What one caller or tenant may use of what all share: requests, bytes and samples per second, memory, turns.

Everything here is per process and in memory; nothing raises for anybody but the one whose share is used up.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from aiohttp import web

from ecpmon.api.buckets import Buckets
from ecpmon.api.fairness import LoopTurns
from ecpmon.api.sessions import Session
from ecpmon.api.turns import Turns
from ecpmon.chance import CHANCE
from ecpmon.errors import Overloaded, RateLimited
from ecpmon.ledger import Ledger
from ecpmon.settings import Settings

REQUESTS_PER_SECOND: Final = 200.0
REQUEST_BURST: Final = 1_000.0
# Unknown tokens from one address: a person mistypes, a machine guesses.
BAD_TOKENS_PER_SECOND: Final = 5.0
BAD_TOKEN_BURST: Final = 50.0
# A bucket holds what arrives in this many seconds.
BURST_SECONDS: Final = 4.0
# A tenant may fill this share of the memory for bodies.
TENANT_SHARE: Final = 4
LARGE_BODY: Final = 256 * 1024
LARGE_AT_ONCE: Final = 2
# Statements, backtests and lists of outages that are read and computed at once; one of a tenant.
LONG_AT_ONCE: Final = 4
# Requests of one tenant that are worked on at once; the others wait, so that its neighbours' are reached.
PUSHES_AT_ONCE: Final = 64
# Other requests hold connections to the database, of which there are 16; some are left for pushes and jobs.
QUESTIONS_AT_ONCE: Final = 4
ALL_QUESTIONS_AT_ONCE: Final = 10
PATIENCE: Final = 10.0
# What clients may say into their sockets: so much for every socket that one may have open, and no less than that.
MESSAGES_PER_SOCKET: Final = 2.0
MESSAGES_AT_ONCE: Final = 20.0
# A used-up allowance is whole again after this long.
MESSAGES_SECONDS: Final = 10.0
_MAX_KEYS: Final = 10_000
_IN_FLIGHT: Final = {"limit": "bytes_in_flight"}
# How long a refusal for lack of a share waits: who comes again and again at once would cost others as much by his
# refusals as by what is refused, so that a connection is refused once a second at most. Past so many of one sender each
# second the next waits longer, up to so many times.
REFUSAL_SECONDS = 1.0
REFUSED_PER_SECOND: Final = 50
LONGEST_REFUSAL: Final = 5.0


rest = asyncio.sleep


class Refusals:
    """Of those that wait to be told that they have no share left, by sender."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Refusals that are still to be answered."""
        return self._waiting.total()

    async def hold_back(self, key: str) -> None:
        """Before a refusal of `key` is answered. Not equally long for all: hundreds that are refused together
        would come again together."""
        self._waiting[key] += 1
        try:
            longer = min(LONGEST_REFUSAL, max(1.0, self._waiting[key] / REFUSED_PER_SECOND))
            await rest(REFUSAL_SECONDS * longer * (1 + CHANCE.random() / 2))
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]


class GoodTokens:
    """Digests of tokens that were good the last time, and whom their requests count for.

    So guesses from their address do not shut them out, and who asks too often is told without a query.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[str, str]] = OrderedDict()

    def key_of(self, token: str) -> str | None:
        seen = self._seen.get(_digest(token))
        return None if seen is None else seen[0]

    def group_of(self, token: str) -> str | None:
        """Whom turns are given to: all tokens for the same tenants together."""
        seen = self._seen.get(_digest(token))
        return None if seen is None else seen[1]

    def remember(self, token: str, key: str, group: str) -> None:
        digest = _digest(token)
        self._seen[digest] = key, group
        self._seen.move_to_end(digest)
        if len(self._seen) > _MAX_KEYS:
            self._seen.popitem(last=False)

    def forget(self, token: str) -> None:
        self._seen.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Memory:
    """Bytes of bodies that are held at once, in all and per tenant."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._share = total // TENANT_SHARE
        self._held: dict[str, int] = {}
        self.held = 0

    def take(self, key: str, amount: int) -> None:
        """Raises RateLimited (the tenant's own share) or Overloaded (everybody's together)."""
        mine = self._held.get(key, 0)
        if mine and mine + amount > self._share:
            raise RateLimited(
                f"more than {self._share} bytes of this tenant's bodies are under way; wait for the answers",
                details=_IN_FLIGHT,
            )
        if self.held + amount > self._total:
            raise Overloaded("too many large bodies are under way; try again shortly", details=_IN_FLIGHT)
        self._held[key] = mine + amount
        self.held += amount

    def give(self, key: str, amount: int) -> None:
        self.held -= amount
        left = self._held.get(key, 0) - amount
        if left > 0:
            self._held[key] = left
        else:
            self._held.pop(key, None)


class Limits:
    """All of them, of one process. Keys: callers by token, tenants by mode and number, addresses."""

    def __init__(self, settings: Settings, ledger: Ledger | None = None) -> None:
        """`ledger`: what is counted per second is counted for all processes of the machine."""
        self.requests = Buckets("requests", REQUESTS_PER_SECOND, REQUEST_BURST, ledger)
        self.bad_tokens = Buckets("unknown tokens", BAD_TOKENS_PER_SECOND, BAD_TOKEN_BURST, ledger)
        self.good_tokens = GoodTokens()
        samples, body_bytes = settings.max_samples_per_second, settings.max_body_bytes_per_second
        self.samples = Buckets("samples", samples, samples * BURST_SECONDS, ledger, unit="samples")
        self.body_bytes = Buckets(
            "bytes", body_bytes, body_bytes * BURST_SECONDS, ledger, unit="content-bytes"
        )
        alerts = settings.max_alerts_per_second
        self.alerts = Buckets("alerts", alerts, alerts * BURST_SECONDS, ledger, unit="alerts")
        self.messages = (
            _messages("messages", settings.max_sockets_per_token, ledger),
            _messages("messages about a tenant", settings.max_sockets_per_tenant, ledger),
        )
        self.memory = Memory(settings.max_bytes_in_flight)
        self.loop = LoopTurns()
        self.refusals = Refusals()
        self.pushes = Turns("pushes", 1_024, PUSHES_AT_ONCE, 1_024, PATIENCE)
        self.elsewhere = Turns("requests to the simulator", 32, QUESTIONS_AT_ONCE, 256, PATIENCE)
        self.questions = Turns("requests", ALL_QUESTIONS_AT_ONCE, QUESTIONS_AT_ONCE, 1_024, PATIENCE)
        self.long = Turns("long computations", LONG_AT_ONCE, 1, 16, PATIENCE)
        self.large = Turns("large bodies", LARGE_AT_ONCE, 1, 16, PATIENCE)

    def check_body(self, shares: Iterable[str], now: datetime) -> None:
        """Raises RateLimited when one of the shares has nothing left for bytes of a body."""
        for share in shares:
            self.body_bytes.check(share, now)

    def charge_body(self, shares: Iterable[str], size: int, now: datetime) -> None:
        for share in shares:
            self.body_bytes.charge(share, size, now)

    def check_push(self, shares: Iterable[str], now: datetime) -> None:
        """The same for bytes and samples."""
        for share in shares:
            self.body_bytes.check(share, now)
            self.samples.check(share, now)

    def message(self, session: Session, now: datetime) -> float:
        """A client said something into a socket: the seconds until that may be looked at.

        Counted for whom the socket is, not for the socket: opening another one gives nothing new.
        """
        whose = (session.holder, f"{session.database} {session.tenant}")
        return max(buckets.wait(key, now) for buckets, key in zip(self.messages, whose, strict=True))

    def holding(self, key: str) -> Held:
        """`with limits.holding(key) as held:` memory for one request, given back at its end."""
        return Held(self.memory, key)


def _messages(what: str, sockets: int, ledger: Ledger | None) -> Buckets:
    burst = max(MESSAGES_AT_ONCE, sockets * MESSAGES_PER_SOCKET)
    return Buckets(what, burst / MESSAGES_SECONDS, burst, ledger)


class Held:
    """What one request holds of the memory for bodies."""

    def __init__(self, memory: Memory, key: str) -> None:
        self._memory = memory
        self._key = key
        self._amount = 0

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def grow(self, amount: int) -> None:
        self._memory.take(self._key, amount)
        self._amount += amount

    def release(self) -> None:
        if self._amount:
            self._memory.give(self._key, self._amount)
        self._amount = 0


LIMITS: Final = web.AppKey("limits", Limits)
# Who a request's bytes and samples are counted for: the caller, and the tenant it is about.
SHARES: Final = web.RequestKey("shares", tuple[str, ...])
HELD: Final = web.RequestKey("held", Held)
# Who the request itself is counted for; pushes are not.
COUNTED: Final = web.RequestKey("counted", str)
