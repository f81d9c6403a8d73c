"""The running simulation: one state, moved to now before anybody sees or changes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ecpmon.errors import EcpError
from ecpmon.simulator.clocks import Clock, ManualClock, WallClock, wall_micros
from ecpmon.simulator.model.claims import with_storage_class
from ecpmon.simulator.model.default_roles import with_default_roles
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import SECOND, Micros
from ecpmon.simulator.snapshot import FORMAT, SnapshotStore

log = logging.getLogger("ecpmon.simulator")

T = TypeVar("T")
Save = Callable[[Micros, ClusterState], None]
TICK_SECONDS = 1.0
SNAPSHOT_TICKS = 30
# Bytes of journal after which the ticker writes a new snapshot: before a command would have to.
TIDY_JOURNAL = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`seed` and `nodes` count for a new state folder only; an existing one keeps its own."""

    seed: int = 1
    speed: float = 1.0
    manual_clock: bool = False
    nodes: int = 4


class Engine:
    """Serialises readers and commands: nobody sees a change that is not on disk yet."""

    def __init__(self, state: ClusterState, clock: Clock, store: SnapshotStore) -> None:
        self._state = state
        self.clock = clock
        self._store = store
        self._lock = asyncio.Lock()
        # Called with every new state, also when only time has moved; must not wait and must not fail.
        self.on_change: Callable[[ClusterState], None] = lambda _: None

    @property
    def current(self) -> ClusterState:
        """The last state that anybody saw; time may have passed since."""
        return self._state

    async def view(self) -> ClusterState:
        """The state at the current simulated instant."""
        async with self._lock:
            return self._advance()

    async def command(self, change: Callable[[ClusterState], tuple[ClusterState, T]]) -> T:
        """Apply `change` at the current instant; the new state is on disk when this returns.

        Errors of `change` pass through and change nothing; StateNotSaved likewise.
        """
        async with self._lock:
            current = self._advance()
            changed, answer = change(current)
            if changed is not current:
                await self._save(self._store.save, changed)
                self._state = changed
                self.on_change(changed)
            return answer

    async def run(self) -> None:
        """Keep time moving and what is on disk fresh until cancelled."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            ticks += 1
            try:
                async with self._lock:
                    self._advance()
                    if ticks % SNAPSHOT_TICKS == 0:
                        await self._quietly(partial(self._store.save, max_journal=TIDY_JOURNAL))
            except Exception:
                # Readers move time as well and get the error; the ticker has nobody else to tell.
                log.exception("the simulation could not move on")

    async def close(self) -> None:
        """A last snapshot, and the state folder is free."""
        async with self._lock:
            self._advance()
            await self._quietly(self._store.save_whole)
        self._store.close()

    def _advance(self) -> ClusterState:
        target = self.clock.target(self._state.now)
        if target > self._state.now:
            self._state = step(self._state, target - self._state.now)
            self.on_change(self._state)
        return self._state

    async def _save(self, save: Save, state: ClusterState) -> None:
        # The state is a value: a thread may write it while the loop answers /health.
        saving = asyncio.create_task(asyncio.to_thread(save, wall_micros(), state))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            # A thread cannot be cancelled, and the next save must come after this one.
            await asyncio.wait([saving])
            raise

    async def _quietly(self, save: Save) -> None:
        try:
            await self._save(save, self._state)
        except EcpError as error:
            log.warning("%s", error.message)


def open_engine(store: SnapshotStore, options: EngineOptions) -> Engine:
    """Resume from the last snapshot, fast-forwarded to now, or begin with an empty cluster."""
    wall = wall_micros()
    snapshot = store.load()
    if snapshot is None:
        state = with_default_roles(new_state(options.seed, _start(wall, options), nodes=options.nodes))
        clock = _clock(options, state.now, wall)
        store.save(wall, state)
        return Engine(state, clock, store)
    state = snapshot.state if snapshot.format == FORMAT else with_storage_class(snapshot.state)
    if state.seed != options.seed:
        log.warning("the state folder was made with seed %s; it keeps it", state.seed)
    clock = _clock(options, state.now, snapshot.wall)
    # What a cluster of an earlier version lacks is made anew at every start, until something else is saved.
    state = with_default_roles(step(state, clock.target(state.now) - state.now))
    engine = Engine(state, clock, store)
    log.info("resumed %s tenants", len(state.tenants))
    return engine


def _start(wall: Micros, options: EngineOptions) -> Micros:
    """A manual clock starts at a full second, which is easier to read and to type."""
    return wall // SECOND * SECOND if options.manual_clock else wall


def _clock(options: EngineOptions, simulated: Micros, wall: Micros) -> Clock:
    return ManualClock() if options.manual_clock else WallClock(simulated, wall, options.speed)
