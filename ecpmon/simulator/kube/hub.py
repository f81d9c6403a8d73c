"""One log of changes for all watchers: every new state is compared with the one before exactly once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ecpmon.simulator.kube.status import ApiError, Document, expired, too_large_version
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState

LOG_LENGTH: Final = 20_000
SNAPSHOTS: Final = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A change, and the object before it: a selector that it left behind must hear of a deletion."""

    change: cluster.Change
    before: Document | None
    revision: int


class Hub:
    """The recent changes and a few recent states.

    A watcher holds a position in the log instead of a queue of its own: memory is bounded for all of them
    together, and one that falls behind the log's length is told to list again.
    """

    def __init__(self, state: ClusterState, *, length: int = LOG_LENGTH) -> None:
        self.state = state
        self.closed = False
        self._log: deque[Entry] = deque(maxlen=length)
        self._position = 0  # of the log's end, counted since the start
        self._known_from = state.revision
        self._news = asyncio.Event()
        self._snapshots: OrderedDict[int, ClusterState] = OrderedDict()

    def publish(self, state: ClusterState) -> None:
        """The cluster is now `state`. Cheap while nothing but time has moved."""
        before, self.state = self.state, state
        if before.revision == state.revision:
            return
        for change in cluster.changes(before, state):
            if len(self._log) == self._log.maxlen:
                self._known_from = self._log[0].revision
            previous = cluster.get(before, change.key)
            revision = int(change.document["metadata"]["resourceVersion"])
            self._log.append(Entry(change, previous, revision))
            self._position += 1
        self._wake()

    def close(self) -> None:
        """End all watches."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def news(self, seconds: float) -> None:
        """Return when something was published, the hub was closed, or `seconds` have passed."""
        waited = self._news
        try:
            async with asyncio.timeout(seconds):
                await waited.wait()
        except TimeoutError:
            return

    @property
    def position(self) -> int:
        """Where a watcher of everything from now on begins."""
        return self._position

    def position_after(self, revision: int) -> int:
        """Where a watcher begins who knows `revision`.

        ApiError 410 when changes since then are forgotten, 504 when `revision` lies in the future.
        """
        if revision > self.state.revision:
            raise too_large_version(revision, self.state.revision)
        if revision < self._known_from:
            raise expired(f"too old resource version: {revision} ({self._known_from})")
        older = 0
        for entry in reversed(self._log):
            if entry.revision <= revision:
                break
            older += 1
        return self._position - older

    def since(self, position: int) -> tuple[list[Entry], int]:
        """The entries from `position` on, and the position after them; ApiError 410 when some are gone."""
        first = self._position - len(self._log)
        if position < first:
            raise expired("too old resource version: the watch fell behind; list again")
        return list(islice(self._log, position - first, None)), self._position

    def remember(self, state: ClusterState) -> None:
        """Keep `state` for the further pages of a list that was made from it."""
        self._snapshots[state.revision] = state
        self._snapshots.move_to_end(state.revision)
        while len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def recall(self, revision: int) -> ClusterState:
        """The state of that revision; ApiError 410 when it is no longer kept."""
        found = self.state if revision == self.state.revision else self._snapshots.get(revision)
        if found is None:
            raise _page_expired()
        return found


def _page_expired() -> ApiError:
    return expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter."
    )
