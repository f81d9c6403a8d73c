"""What one caller or tenant may use of what all share: requests, bytes and samples per second, memory, turns.

Everything here is per process and in memory; nothing raises for anybody but the one whose share is used up.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter, OrderedDict, deque
from datetime import datetime
from typing import Final

from aiohttp import web

from ecpmon.api.fairness import LoopTurns
from ecpmon.api.sessions import Session
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
# How long a refusal for lack of a share waits: who comes again and again at once would cost others as much by his
# refusals as by what is refused, so that a connection is refused once a second at most.
REFUSAL_SECONDS = 1.0


async def hold_back() -> None:
    """Before a refusal for lack of a share is answered."""
    await asyncio.sleep(REFUSAL_SECONDS)


class Buckets:
    """Token buckets by key. Who still has something may spend more than that, and is refused until it is made up.

    So one request may be larger than the bucket, while the rate holds over time. With a `ledger` a bucket is one for
    all processes of the machine: what the others took is missing here as soon as one looks, so that together they
    spend no more than the bucket, what it gains, and a request each.
    """

    def __init__(self, what: str, rate: float, burst: float, ledger: Ledger | None = None) -> None:
        self._what = what
        self._rate = rate
        self._burst = burst
        self._ledger = ledger
        # The level, when it was so, and what the others had taken by then.
        self._levels: OrderedDict[str, tuple[float, datetime, float]] = OrderedDict()

    def _level(self, key: str, now: datetime) -> float:
        return self._look(key, now)[0]

    def _look(self, key: str, now: datetime) -> tuple[float, float]:
        """The level, and what the others have taken in all."""
        taken = self._ledger.total_of_others(self._shared(key)) if self._ledger else 0.0
        known = self._levels.get(key)
        if known is None:
            return self._burst - self._owed(key, now), taken
        level, at, taken_before = known
        # A clock that steps back must neither fill nor empty a bucket.
        gained = max(0.0, (now - at).total_seconds()) * self._rate
        return min(self._burst, level + gained - (taken - taken_before)), taken

    def _shared(self, key: str) -> str:
        return f"{self._what} {key}"

    def _owed(self, key: str, now: datetime) -> float:
        """What the processes of the machine have taken of a bucket that is new here, and was not made up yet."""
        if self._ledger is None:
            return 0.0
        own, shared = self._ledger.own(self._shared(key)), self._ledger.others(self._shared(key))
        entries = [*shared, *([own] if own else [])]
        since = now.timestamp()
        return max((e.owed - max(0.0, since - e.at) * self._rate for e in entries), default=0.0)

    def has_some(self, key: str, now: datetime) -> bool:
        return self._level(key, now) >= 1

    def check(self, key: str, now: datetime) -> None:
        """Raises RateLimited while less than one is left."""
        level = self._level(key, now)
        if level < 1:
            error = RateLimited(f"more than {self._rate:g} {self._what} per second; slow down")
            error.retry_after = max(1, math.ceil((1 - level) / self._rate))
            raise error

    def charge(self, key: str, amount: float, now: datetime) -> None:
        """Take `amount`, below nothing if need be."""
        level, taken = self._look(key, now)
        self._levels[key] = level - amount, now, taken
        self._levels.move_to_end(key)
        if self._ledger:
            self._ledger.add(self._shared(key), amount, self._burst - level + amount, now.timestamp())
        if len(self._levels) > _MAX_KEYS:
            self._levels.popitem(last=False)

    def wait(self, key: str, now: datetime) -> float:
        """One of them, for who will wait and is not refused: the seconds until it has been made up."""
        self.charge(key, 1, now)
        return max(0.0, -self._level(key, now) / self._rate)

    def take(self, key: str, now: datetime) -> None:
        """One of them. Raises RateLimited; what is refused costs nothing more."""
        self.check(key, now)
        self.charge(key, 1, now)


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
                f"more than {self._share} bytes of this tenant's bodies are under way; wait for the answers"
            )
        if self.held + amount > self._total:
            raise Overloaded("too many large bodies are under way; try again shortly")
        self._held[key] = mine + amount
        self.held += amount

    def give(self, key: str, amount: int) -> None:
        self.held -= amount
        left = self._held.get(key, 0) - amount
        if left > 0:
            self._held[key] = left
        else:
            self._held.pop(key, None)


class Turns:
    """A few at a time in all and per key; the keys that wait are served in turn, however many wait behind one key."""

    def __init__(self, what: str, slots: int, per_key: int, waiting_per_key: int, patience: float) -> None:
        self._what = what
        self._slots = slots
        self._per_key = per_key
        self._most = waiting_per_key
        self._patience = patience
        self._busy: Counter[str] = Counter()
        self._used = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def turn(self, key: str) -> Turn:
        """`async with turns.turn(key):` raises RateLimited (too many wait behind this key) or Overloaded (no turn in
        time)."""
        return Turn(self, key)

    async def enter(self, key: str) -> None:
        """Raises as `turn` does. `leave` belongs to it."""
        if self._waiting or not self._free(key):
            await self._wait(key)
        else:
            self._take(key)

    def _free(self, key: str) -> bool:
        return self._used < self._slots and self._busy[key] < self._per_key

    def _take(self, key: str) -> None:
        self._busy[key] += 1
        self._used += 1

    def leave(self, key: str) -> None:
        self._used -= 1
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
        if self._waiting:
            self._next()

    async def _wait(self, key: str) -> None:
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= self._most:
            raise RateLimited(f"too many {self._what} of yours are waiting; wait for the answers")
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        self._next()
        try:
            async with asyncio.timeout(self._patience):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():
                self.leave(key)  # the turn came as we left
            if isinstance(error, TimeoutError):
                raise Overloaded(f"too many {self._what} are waiting; try again shortly") from None
            raise

    def _next(self) -> None:
        """Give what is free to the keys that wait, one turn each, then round again."""
        given = True
        while given:
            given = False
            for key in list(self._waiting):
                queue = self._waiting[key]
                while queue and queue[0].done():
                    queue.popleft()
                if not queue:
                    del self._waiting[key]
                elif self._free(key):
                    self._take(key)
                    queue.popleft().set_result(None)
                    self._waiting.move_to_end(key)
                    given = True


class Turn:
    """One turn, from its beginning to its end."""

    __slots__ = ("_key", "_turns")

    def __init__(self, turns: Turns, key: str) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        await self._turns.enter(self._key)

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self._key)


class Limits:
    """All of them, of one process. Keys: callers by token, tenants by mode and number, addresses."""

    def __init__(self, settings: Settings, ledger: Ledger | None = None) -> None:
        """`ledger`: what is counted per second is counted for all processes of the machine."""
        self.requests = Buckets("requests", REQUESTS_PER_SECOND, REQUEST_BURST, ledger)
        self.bad_tokens = Buckets("unknown tokens", BAD_TOKENS_PER_SECOND, BAD_TOKEN_BURST, ledger)
        self.good_tokens = GoodTokens()
        samples, body_bytes = settings.max_samples_per_second, settings.max_body_bytes_per_second
        self.samples = Buckets("samples", samples, samples * BURST_SECONDS, ledger)
        self.body_bytes = Buckets("bytes", body_bytes, body_bytes * BURST_SECONDS, ledger)
        alerts = settings.max_alerts_per_second
        self.alerts = Buckets("alerts", alerts, alerts * BURST_SECONDS, ledger)
        self.messages = (
            _messages("messages", settings.max_sockets_per_token, ledger),
            _messages("messages about a tenant", settings.max_sockets_per_tenant, ledger),
        )
        self.memory = Memory(settings.max_bytes_in_flight)
        self.loop = LoopTurns()
        self.pushes = Turns("pushes", 1_024, PUSHES_AT_ONCE, 1_024, PATIENCE)
        self.elsewhere = Turns("requests to the simulator", 32, QUESTIONS_AT_ONCE, 256, PATIENCE)
        self.questions = Turns("requests", ALL_QUESTIONS_AT_ONCE, QUESTIONS_AT_ONCE, 1_024, PATIENCE)
        self.long = Turns("long computations", LONG_AT_ONCE, 1, 16, PATIENCE)
        self.large = Turns("large bodies", LARGE_AT_ONCE, 1, 16, PATIENCE)

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
