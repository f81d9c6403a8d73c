"""Group commit: batches that wait together are committed together, each answered on its own.

What only goes on is one short statement (`storage.steady`); what does not (new series, changes of state, late data,
much at once) takes a long commit, for which nobody waits who has no part in it. So there are three lanes, each with a
connection of its own.

States of a batch:

    waiting ── taken ──► STEADY: in one statement ── all is as remembered ───────────────────────────► committed
                              │
                              └─ it is not ─► set apart ─► LIGHT: with the small ones of others ─────► committed
                                                  └──────► HEAVY: with others of its sender only ────► committed

and from each of them: failed, which is told to it.

Formula: T(b) are the tenants of a batch; the held ones are those of all that is set apart and not answered. A batch is
taken while T(b) and the held ones have nothing in common, and nothing that its sender sent before waits. Of what was
taken together all batches of a tenant go the same way, as do all of the tenants that share a batch with it.

Invariants:

1. What a sender says of a tenant is committed in the order in which it came, whatever lanes it takes: behind what is
   set apart its tenant waits, and is then tried in the steady lane again.
2. No tenant is in two lanes at a time. So no lane waits for what another has locked.
3. A result means committed. What fails in one lane fails its own batches, and each lane goes on whatever becomes of
   the others. Who is not answered when the writer ends is told that the outcome is not known.
4. Of one sender there wait MAX_WAITING_PER_SENDER at most, of all MAX_WAITING, set apart or not. Into a commit of
   several comes no more of one than its share; what is heavy is by turns of the senders.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter
from typing import Protocol

import structlog

from ecpmon.errors import DatabaseUnavailable, EcpError, NoLongerLeader
from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import leading
from ecpmon.storage.lanes import Lane
from ecpmon.storage.queues import SenderQueues, Share, Waiting, all_with
from ecpmon.tasks import end

_log = structlog.get_logger(__name__)

# Sizes as `cost_of` counts them. Of a statement of the steady lane, which looks at each frame, and of a long commit.
MAX_SAMPLES_AT_ONCE = 4_000
MAX_SAMPLES_PER_COMMIT = 10_000
# What a sender who is alone may commit in one piece.
ALONE_SAMPLES_PER_COMMIT = 40_000
# A commit begins when so many batches wait, when none has come for some turns of the loop, or after this time.
GATHERED = 64
QUIET_TURNS = 2
GATHER_SECONDS = 0.003
# A database that answers, but makes no headway, must not hold callers and the writer for ever.
ANSWER_SECONDS = 10.0
COMMIT_SECONDS = 30.0

OnCommit = Callable[[Sequence[IngestResult]], None]


class Committing(Protocol):
    """What commits (`storage.ingest.IngestStore`)."""

    async def commit_steadily(self, batches: list[Batch]) -> Sequence[IngestResult | EcpError | None]:
        """What goes on, or DatabaseUnavailable; None: nothing was stored of it, it takes a long commit, as do all
        batches of its tenants."""
        ...

    async def commit_long(
        self, batches: list[Batch], claims: Collection[Claim], lane: Lane
    ) -> list[IngestResult]:
        """All batches in one transaction."""
        ...

    def is_heavy(self, batches: Sequence[Batch]) -> bool:
        """Whether a commit of these is long for itself alone."""
        ...


class Patience:
    """Ends the waiting for whatever has not been answered for ANSWER_SECONDS; one timer for all of them."""

    def __init__(self) -> None:
        # In the order of their ends, as all wait equally long.
        self._watched: deque[tuple[float, asyncio.Future[IngestResult]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[IngestResult]) -> None:
        self._forget_answered()
        self._watched.append((loop.time() + ANSWER_SECONDS, future))
        if self._timer is None:
            self._timer = loop.call_at(self._watched[0][0], self._look, loop)

    def _forget_answered(self) -> None:
        while self._watched and self._watched[0][1].done():
            self._watched.popleft()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._forget_answered()
        while self._watched and self._watched[0][0] <= loop.time():
            future = self._watched.popleft()[1]
            if not future.done():
                # It may still be committed; sending it again changes nothing.
                text = "the database is too slow to answer; send it again shortly"
                future.set_exception(DatabaseUnavailable(text))
        self._forget_answered()
        if self._watched:
            self._timer = loop.call_at(self._watched[0][0], self._look, loop)


class _LongLane:
    """What is set apart for one of the long lanes. `over` is called with whatever it has answered."""

    def __init__(
        self, lane: Lane, store: Committing, on_commit: OnCommit, over: Callable[[list[Waiting]], None]
    ) -> None:
        self._lane, self._store, self._on_commit, self._over = lane, store, on_commit, over
        self._waiting = SenderQueues()
        self._share = Share()
        self._wake = asyncio.Event()

    def put(self, waiting: Sequence[Waiting]) -> None:
        for each in waiting:
            self._waiting.append(each)
        if waiting:
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group, began = self._taken(), perf_counter()
                try:
                    await self._commit(group)
                finally:
                    self._over(group)
                self._share.took(perf_counter() - began, sum(each.size for each in group))

    def _taken(self) -> list[Waiting]:
        if self._lane is Lane.HEAVY:
            return self._waiting.take_of_one(self._share.samples)
        return self._waiting.take(MAX_SAMPLES_PER_COMMIT, self._share.samples)

    async def _commit(self, group: list[Waiting]) -> None:
        batches = [each.batch for each in group]
        claims = {each.claim for each in group if each.claim}
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                results = await self._store.commit_long(batches, claims, self._lane)
        except NoLongerLeader as error:
            _fail([each for each in group if each.claim], error)
            if others := [each for each in group if not each.claim]:
                await self._commit(others)
        except Exception as error:  # noqa: BLE001 - a bug here must reach its caller, not stop the writer
            if not _fails_all(group, error):
                await self._apart(group, error)
        else:
            _answer(group, results, self._on_commit)

    async def _apart(self, group: list[Waiting], error: Exception) -> None:
        """One bad batch must not take its neighbours down with it."""
        if len(group) == 1:
            _fail(group, error)
            return
        for single in group:
            await self._commit([single])


class GroupWriter:
    """`ports.SampleWriter`. Of each lane one commit at a time; whatever arrives meanwhile goes into the next one.

    `on_commit` is called after every commit, with the results of its batches in their order.
    """

    def __init__(self, store: Committing, on_commit: OnCommit) -> None:
        self._store = store
        self._on_commit = on_commit
        self._waiting = SenderQueues()
        self._patience = Patience()
        self._share = Share()
        self._wake = asyncio.Event()
        self._light, self._heavy = (
            _LongLane(lane, store, on_commit, self._released) for lane in (Lane.LIGHT, Lane.HEAVY)
        )
        # Taken and not answered, whichever lane they are in.
        self._under_way: dict[Waiting, None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def depth(self) -> int:
        """Batches waiting to be committed."""
        return len(self._waiting)

    @property
    def part(self) -> int:
        """`ports.SampleWriter.part`."""
        crowded = self._waiting.crowded(asyncio.get_running_loop().time())
        return self._share.samples if crowded else ALONE_SAMPLES_PER_COMMIT

    async def __aenter__(self) -> GroupWriter:
        lanes = {"steady": self._run, "light": self._light.run, "heavy": self._heavy.run}
        self._tasks = [asyncio.create_task(run(), name=f"{lane}-writer") for lane, run in lanes.items()]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, then stop."""
        while (last := self._last()) and not any(task.done() for task in self._tasks):
            await asyncio.wait([last.future], timeout=5)
            self._forget([each for each in self._under_way if each.future.done()])
        for task in self._tasks:
            await end(task)
        unanswered = [*self._under_way, *self._waiting.take_all()]
        _fail(unanswered, DatabaseUnavailable("the service is ending; send it again shortly"))

    def _last(self) -> Waiting | None:
        return self._waiting.last() if self._waiting else next(reversed(self._under_way), None)

    async def write(self, batch: Batch) -> IngestResult:
        """Raises Overloaded (nothing was stored), DatabaseUnavailable (send it again), DatabaseRefused.

        In a leader's name (`ports.leading`) it is stored only while that term lasts, whatever it is stored together
        with; else raises NoLongerLeader.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[IngestResult] = loop.create_future()
        self._waiting.put(Waiting(batch, future, leading.get()), loop.time())
        self._patience.watch(loop, future)
        self._wake.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting.free:
                await self._gather()
                group, began = self._waiting.take(MAX_SAMPLES_AT_ONCE, self.part), perf_counter()
                if not group:
                    break  # whoever waits is held
                self._under_way.update(dict.fromkeys(group))
                apart = await self._commit(group)
                if len(apart) < len(group):
                    self._share.took(perf_counter() - began, sum(each.size for each in group))
                self._set_apart(apart)
                self._forget(set(group).difference(apart))

    async def _gather(self) -> None:
        """Let arrive what is on its way, as long as anything does: a commit costs about the same for one batch as for
        many. Who sends alone waits for `QUIET_TURNS` of a loop that has nothing else to do."""
        until, known, quiet = perf_counter() + GATHER_SECONDS, 0, 0
        while quiet < QUIET_TURNS and self._waiting.free < GATHERED and perf_counter() < until:
            quiet = quiet + 1 if len(self._waiting) == known else 0
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _commit(self, group: list[Waiting]) -> list[Waiting]:
        """What only goes on; the others, of which nothing was stored."""
        led = all_with(
            (tenant for each in group if each.claim for tenant in each.tenants),
            [each.tenants for each in group],
        )
        tried = [each for each in group if not each.claim and not each.meets(led)]
        if not tried:
            return group
        results: Sequence[IngestResult | EcpError | None] = [None] * len(tried)
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                results = await self._store.commit_steadily([each.batch for each in tried])
        except Exception as error:  # noqa: BLE001 - as in the long lanes, which find out whose fault it is
            if _fails_all(tried, error):
                return [each for each in group if each not in tried]
        return self._told(group, dict(zip(tried, results, strict=True)))

    def _told(
        self, group: list[Waiting], results: Mapping[Waiting, IngestResult | EcpError | None]
    ) -> list[Waiting]:
        """Those of a group that have no answer yet."""
        done = {each: result for each, result in results.items() if isinstance(result, IngestResult)}
        if done:
            _answer(list(done), list(done.values()), self._on_commit)
        for each, result in results.items():
            if isinstance(result, EcpError):
                _fail([each], result)
        return [each for each in group if results.get(each) is None]

    def _set_apart(self, group: list[Waiting]) -> None:
        """To the long lanes; until they have answered, nothing more of these tenants is taken."""
        by_sender: dict[str, list[Waiting]] = {}
        for each in group:
            by_sender.setdefault(each.sender, []).append(each)
        heavy = [own for own in by_sender.values() if self._store.is_heavy([each.batch for each in own])]
        whose = all_with(
            (tenant for own in heavy for each in own for tenant in each.tenants),
            [each.tenants for each in group],
        )
        self._waiting.hold(group)
        self._heavy.put([each for each in group if each.meets(whose)])
        self._light.put([each for each in group if not each.meets(whose)])

    def _released(self, answered: list[Waiting]) -> None:
        self._waiting.release(answered)
        self._forget(answered)
        self._wake.set()

    def _forget(self, answered: Collection[Waiting]) -> None:
        for each in answered:
            self._under_way.pop(each, None)


def _answer(group: Sequence[Waiting], results: Sequence[IngestResult], on_commit: OnCommit) -> None:
    for each, result in zip(group, results, strict=True):
        if not each.future.done():
            each.future.set_result(result)
    try:
        on_commit(results)
    except Exception:  # noqa: BLE001 - who listens must not stop the writer, it has committed
        _log.exception("listener_failed")


def _fails_all(group: Sequence[Waiting], error: Exception) -> bool:
    """Tell all of them, if it is no batch's own fault."""
    if isinstance(error, TimeoutError):
        error = DatabaseUnavailable("the database hangs; send it again shortly")
    if not isinstance(error, EcpError):
        _log.error("commit_failed", batches=len(group), exc_info=error)
    if isinstance(error, DatabaseUnavailable):
        _fail(group, error)
        return True
    return False


def _fail(group: Sequence[Waiting], error: BaseException) -> None:
    for each in group:
        if not each.future.done():
            each.future.set_exception(error)
