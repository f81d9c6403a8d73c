"""Group commit: batches that wait together are committed together, each answered on its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from ecpmon.errors import DatabaseUnavailable, EcpError, Overloaded
from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.storage.ingest import IngestStore

_log = structlog.get_logger(__name__)

MAX_FRAMES_PER_COMMIT = 20_000
MAX_WAITING = 5_000
# A database that answers, but makes no headway, must not hold callers and the writer for ever.
ANSWER_SECONDS = 10.0
COMMIT_SECONDS = 30.0


class GroupWriter:
    """`ports.SampleWriter`. One commit at a time; whatever arrives meanwhile goes into the next one.

    `on_commit` is called with every result, in commit order, after the commit.
    """

    def __init__(self, store: IngestStore, on_commit: Callable[[IngestResult], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._waiting: list[tuple[Batch, asyncio.Future[IngestResult]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Batches waiting to be committed."""
        return len(self._waiting)

    async def __aenter__(self) -> GroupWriter:
        self._task = asyncio.create_task(self._run(), name="group-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, then stop."""
        while self._waiting and self._task and not self._task.done():
            await asyncio.wait([self._waiting[-1][1]], timeout=5)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def write(self, batch: Batch) -> IngestResult:
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("too many writes are waiting; try again shortly")
        future: asyncio.Future[IngestResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        self._wake.set()
        try:
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            # It may still be committed; sending it again changes nothing.
            raise DatabaseUnavailable("the database is too slow to answer; send it again shortly") from None

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit(self._take())

    def _take(self) -> list[tuple[Batch, asyncio.Future[IngestResult]]]:
        taken, frames = 0, 0
        for batch, _ in self._waiting:
            frames += len(batch.frames)
            taken += 1
            if frames >= MAX_FRAMES_PER_COMMIT:
                break
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _commit(self, group: list[tuple[Batch, asyncio.Future[IngestResult]]]) -> None:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                results = await self._store.commit([batch for batch, _ in group])
        except TimeoutError:
            _fail(group, DatabaseUnavailable("the database hangs; send it again shortly"))
        except DatabaseUnavailable as error:
            _fail(group, error)
        except EcpError as error:
            await self._apart(group, error)
        except Exception as error:  # noqa: BLE001 - a bug here must reach its caller, not stop the writer
            _log.exception("commit_failed", batches=len(group))
            await self._apart(group, error)
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
                self._on_commit(result)

    async def _apart(self, group: list[tuple[Batch, asyncio.Future[IngestResult]]], error: Exception) -> None:
        """One bad batch must not take its neighbours down with it."""
        if len(group) == 1:
            _fail(group, error)
            return
        for single in group:
            await self._commit([single])


def _fail(group: list[tuple[Batch, asyncio.Future[IngestResult]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
