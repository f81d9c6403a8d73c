"""Group commit: batches that wait together are committed together, each answered on its own."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import perf_counter

import structlog

from ecpmon.errors import DatabaseUnavailable, EcpError, NoLongerLeader, Overloaded
from ecpmon.model.ingest import Batch, IngestResult, cost_of
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import leading
from ecpmon.storage.ingest import IngestStore
from ecpmon.tasks import end

_log = structlog.get_logger(__name__)

# Sizes as `cost_of` counts them.
MAX_SAMPLES_PER_COMMIT = 10_000
# Of one sender's, while others send as well: as much as is committed in FAIR_SECONDS, within these bounds, or in so
# many times what the shortest commit takes, when that is longer.
FAIR_SAMPLES_PER_COMMIT = 1_500
LEAST_SAMPLES_PER_COMMIT = 100
FAIR_SECONDS = 0.006
FAIR_TIMES = 3.0
# The shortest commit is forgotten by so much with every one that is longer.
_FORGOTTEN = 1.02
# What a sender who is alone may commit in one piece.
ALONE_SAMPLES_PER_COMMIT = 40_000
# A commit begins when so many batches wait, when none has come for some turns of the loop, or after this time.
GATHERED = 64
QUIET_TURNS = 2
GATHER_SECONDS = 0.003
# Seconds for which who has sent is not forgotten.
LATELY = 1.0
MAX_WAITING = 5_000
# One sender may not take the places of all.
MAX_WAITING_PER_SENDER = 1_000
# A database that answers, but makes no headway, must not hold callers and the writer for ever.
ANSWER_SECONDS = 10.0
COMMIT_SECONDS = 30.0


# The claim of the leader that a batch is from; None: not a leader's, such as a push.
Waiting = tuple[Batch, asyncio.Future[IngestResult], Claim | None]


class SenderQueues:
    """Batches that wait, by sender (a tenant, or a collector).

    - Of each sender the batches leave in the order in which they came.
    - Into a commit comes next whoever has the least in it: small batches are not kept waiting by another's large ones.
    - While others send, one sender's part of a commit is bounded too, so that the others wait for a short commit only.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Waiting]] = OrderedDict()
        self._length = 0
        # The last sender, and the last one before that was another; and when.
        self._last = ("", -math.inf)
        self._other = ("", -math.inf)

    def __len__(self) -> int:
        return self._length

    def put(self, waiting: Waiting, now: float = 0.0) -> None:
        """`now` in seconds of any clock. Raises Overloaded."""
        sender = _sender(waiting[0])
        if self._length >= MAX_WAITING or len(self._queues.get(sender, ())) >= MAX_WAITING_PER_SENDER:
            raise Overloaded("too many writes are waiting; try again shortly", details={"limit": "writes"})
        self._queues.setdefault(sender, deque()).append(waiting)
        self._length += 1
        if self._last[0] != sender:
            self._other = self._last
        self._last = sender, now

    def crowded(self, now: float) -> bool:
        """Whether more than one has sent something lately."""
        return now - self._other[1] < LATELY

    def last(self) -> Waiting:
        return next(reversed(self._queues.values()))[-1]

    def take(self, samples: int, each: int) -> list[Waiting]:
        """At least one batch, then more while they hold no more than `samples` together, nor one sender's than `each`.

        A sender's first batch is taken whatever its size, while there is room.
        """
        taken: list[Waiting] = []
        spent = [(0, turn, sender) for turn, sender in enumerate(self._queues)]  # a heap, as it is sorted
        while spent:
            mine, turn, sender = heapq.heappop(spent)
            queue = self._queues[sender]
            size = _size(queue[0][0])
            if taken and size > samples:
                break
            if mine and mine + size > each:
                continue
            samples -= size
            taken.append(queue.popleft())
            self._length -= 1
            self._queues.move_to_end(sender)
            if queue:
                heapq.heappush(spent, (mine + size, turn, sender))
            else:
                del self._queues[sender]
        return taken


def _size(batch: Batch) -> int:
    """What a batch costs to commit, in samples."""
    return 1 + sum(map(cost_of, batch.frames))


def _sender(batch: Batch) -> str:
    if len(batch.frames) == 1:
        return batch.frames[0].tenant_id
    names = {f.tenant_id for f in batch.frames}
    return names.pop() if len(names) == 1 else ""


class Share:
    """How much of one sender's goes into a commit while others send as well.

    Samples do not all cost the same: what changes a timeline costs fifty times what is only stored. So the share
    begins small, falls by half when a commit took too long, and grows by a tenth when one of about its size did not.
    """

    def __init__(self) -> None:
        self.samples = FAIR_SAMPLES_PER_COMMIT // 5
        self._shortest = math.inf

    def took(self, seconds: float, size: int) -> None:
        """A commit of so much, as `cost_of` counts it."""
        self._shortest = min(seconds, self._shortest * _FORGOTTEN)
        wanted = self.samples
        if seconds > max(FAIR_SECONDS, FAIR_TIMES * self._shortest):
            wanted //= 2
        elif 2 * size > self.samples:
            wanted += wanted // 10
        self.samples = min(FAIR_SAMPLES_PER_COMMIT, max(LEAST_SAMPLES_PER_COMMIT, wanted))


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


class GroupWriter:
    """`ports.SampleWriter`. One commit at a time; whatever arrives meanwhile goes into the next one.

    `on_commit` is called after every commit, with the results of its batches in their order.
    """

    def __init__(self, store: IngestStore, on_commit: Callable[[Sequence[IngestResult]], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._waiting = SenderQueues()
        self._patience = Patience()
        self._share = Share()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Batches waiting to be committed."""
        return len(self._waiting)

    @property
    def _crowded(self) -> bool:
        return self._waiting.crowded(asyncio.get_running_loop().time())

    @property
    def part(self) -> int:
        """`ports.SampleWriter.part`."""
        return self._share.samples if self._crowded else ALONE_SAMPLES_PER_COMMIT

    async def __aenter__(self) -> GroupWriter:
        self._task = asyncio.create_task(self._run(), name="group-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, then stop."""
        while self._waiting and self._task and not self._task.done():
            await asyncio.wait([self._waiting.last()[1]], timeout=5)
        await end(self._task)

    async def write(self, batch: Batch) -> IngestResult:
        """Raises Overloaded (nothing was stored), DatabaseUnavailable (send it again), DatabaseRefused.

        In a leader's name (`ports.leading`) it is stored only while that term lasts, whatever it is stored together
        with; else raises NoLongerLeader.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[IngestResult] = loop.create_future()
        self._waiting.put((batch, future, leading.get()), loop.time())
        self._patience.watch(loop, future)
        self._wake.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._gather()
                group, began = self._waiting.take(MAX_SAMPLES_PER_COMMIT, self.part), perf_counter()
                await self._commit(group)
                self._share.took(perf_counter() - began, sum(_size(batch) for batch, _, _ in group))

    async def _gather(self) -> None:
        """Let arrive what is on its way, as long as anything does: a commit costs about the same for one batch as for
        many. Who sends alone waits for `QUIET_TURNS` of a loop that has nothing else to do."""
        until, known, quiet = perf_counter() + GATHER_SECONDS, 0, 0
        while quiet < QUIET_TURNS and len(self._waiting) < GATHERED and perf_counter() < until:
            quiet = quiet + 1 if len(self._waiting) == known else 0
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _commit(self, group: list[Waiting]) -> None:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                results = await self._store.commit([w[0] for w in group], _claims(group))
        except TimeoutError:
            _fail(group, DatabaseUnavailable("the database hangs; send it again shortly"))
        except DatabaseUnavailable as error:
            _fail(group, error)
        except NoLongerLeader as error:
            _fail([w for w in group if w[2]], error)
            if others := [w for w in group if not w[2]]:
                await self._commit(others)
        except EcpError as error:
            await self._apart(group, error)
        except Exception as error:  # noqa: BLE001 - a bug here must reach its caller, not stop the writer
            _log.exception("commit_failed", batches=len(group))
            await self._apart(group, error)
        else:
            for (_, future, _), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
            self._tell(results)

    def _tell(self, results: Sequence[IngestResult]) -> None:
        try:
            self._on_commit(results)
        except Exception:  # noqa: BLE001 - who listens must not stop the writer, it has committed
            _log.exception("listener_failed")

    async def _apart(self, group: list[Waiting], error: Exception) -> None:
        """One bad batch must not take its neighbours down with it."""
        if len(group) == 1:
            _fail(group, error)
            return
        for single in group:
            await self._commit([single])


def _fail(group: list[Waiting], error: Exception) -> None:
    for _, future, _ in group:
        if not future.done():
            future.set_exception(error)


def _claims(group: list[Waiting]) -> set[Claim]:
    return {claim for _, _, claim in group if claim}
