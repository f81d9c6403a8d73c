"""The journal on disk: torn, damaged, of another snapshot, and on a disk that is full."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from cluster_kube import cluster, put
from sim_cluster import fail, later, running, spec

from ecpmon.simulator import journal_file, snapshot
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.model.commands import put_tenant
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.snapshot import SnapshotStore, StateNotSaved, StateUnusable

WALL = 1_790_000_000_000_000


def _states() -> list[ClusterState]:
    states = [running()]
    states.append(fail(states[-1], "pod_crash", 600))
    states.append(put_tenant(states[-1], "other", [spec(replicas=2)]))
    states.append(put(states[-1], "configmaps", "one", {"data": {"a": "b"}}, "default"))
    states.append(later(states[-1], 40))
    return states


def _saved(folder: Path, states: list[ClusterState]) -> None:
    store = SnapshotStore(folder)
    for number, state in enumerate(states):
        store.save(WALL + number, state)
    store.close()


def _loaded(folder: Path) -> snapshot.Snapshot:
    store = SnapshotStore(folder)
    try:
        found = store.load()
        assert found is not None
        return found
    finally:
        store.close()


def _as_killed(folder: Path) -> ClusterState:
    """What a restart would find while the engine still runs: only what its commands have left."""
    (copy := folder / "copy").mkdir()
    for name in ("simulator.json", "simulator.journal"):
        (copy / name).write_bytes((folder / name).read_bytes())
    return _loaded(copy).state


@contextmanager
def _disk_with(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: the kernel takes what fits and refuses the rest."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _lines(folder: Path) -> list[bytes]:
    return (folder / "simulator.journal").read_bytes().splitlines(keepends=True)


def test_what_was_saved_is_loaded_byte_for_byte(tmp_path: Path) -> None:
    states = _states()
    _saved(tmp_path, states)
    found = _loaded(tmp_path)
    assert orjson.dumps(found.state) == orjson.dumps(states[-1])
    assert found.state == states[-1]
    assert found.wall == WALL + len(states) - 1
    assert len(_lines(tmp_path)) == len(states)  # the header, and one for each but the first


def test_a_torn_last_line_was_never_acknowledged(tmp_path: Path) -> None:
    states = _states()
    _saved(tmp_path, states)
    whole, last = (tmp_path / "simulator.journal").read_bytes(), len(_lines(tmp_path)[-1])
    for torn in (1, 2, last // 2, last - 9, last - 1, last):
        (tmp_path / "simulator.journal").write_bytes(whole[:-torn])
        assert _loaded(tmp_path).state == states[-2]
    (tmp_path / "simulator.journal").write_bytes(whole[:-last] + bytes(4096))  # as a power cut may leave it
    assert _loaded(tmp_path).state == states[-2]
    for torn in range(len(_lines(tmp_path)[0])):
        (tmp_path / "simulator.journal").write_bytes(whole[:torn])
        assert _loaded(tmp_path).state == states[0]


@pytest.mark.parametrize("number", range(5))
def test_damage_is_not_passed_over(tmp_path: Path, number: int) -> None:
    """A changed byte in any whole line, the header and the last one included, and a line that is missing."""
    _saved(tmp_path, _states())
    lines = _lines(tmp_path)
    middle = len(lines[number]) // 2
    changed = lines[number][:middle] + bytes([lines[number][middle] ^ 1]) + lines[number][middle + 1 :]
    damaged = [[*lines[:number], changed, *lines[number + 1 :]]]
    if number < 4:
        damaged.append(lines[:number] + lines[number + 1 :])
    for content in damaged:
        (tmp_path / "simulator.journal").write_bytes(b"".join(content))
        with pytest.raises(StateUnusable, match=r"simulator\.journal is damaged; move"):
            _loaded(tmp_path)
        assert (tmp_path / "simulator.journal").read_bytes() == b"".join(content)


def test_a_journal_of_another_snapshot_counts_for_nothing(tmp_path: Path) -> None:
    states = _states()
    _saved(tmp_path / "one", states)
    _saved(tmp_path / "two", states[2:3])
    (tmp_path / "one" / "simulator.journal").rename(tmp_path / "two" / "simulator.journal")
    assert _loaded(tmp_path / "two").state == states[2]
    _saved(tmp_path / "two", states[3:])
    assert _loaded(tmp_path / "two").state == states[-1]


def test_the_format_before_the_journal_is_read(tmp_path: Path) -> None:
    state = running()
    old = {"format": 2, "wall": WALL, "state": state}
    (tmp_path / "simulator.json").write_bytes(orjson.dumps(old))
    assert _loaded(tmp_path).state == state
    after = fail(state, "full_outage", 60)
    _saved(tmp_path, [state, after])
    assert _loaded(tmp_path).state == after


def test_a_full_disk_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    states = _states()
    store = SnapshotStore(tmp_path)
    store.save(WALL, states[0])
    store.save(WALL, states[1])
    size = (tmp_path / "simulator.journal").stat().st_size
    for room in (0, 1, 100):
        with _disk_with(size + room), pytest.raises(StateNotSaved, match=r"simulator\.j"):
            store.save(WALL, states[2])
        assert (tmp_path / "simulator.journal").stat().st_size == size
    store.close()
    assert _loaded(tmp_path).state == states[1]


def test_after_a_refusal_a_new_snapshot_is_written(tmp_path: Path) -> None:
    states = _states()
    store = SnapshotStore(tmp_path)
    store.save(WALL, states[0])
    store.save(WALL, states[1])
    before = (tmp_path / "simulator.json").read_bytes()
    with _disk_with((tmp_path / "simulator.journal").stat().st_size + 10), pytest.raises(StateNotSaved):
        store.save(WALL, states[2])
    store.save(WALL, states[3])
    assert (tmp_path / "simulator.json").read_bytes() != before
    store.save(WALL, states[4])
    assert len(_lines(tmp_path)) == 2
    store.close()
    assert _loaded(tmp_path).state == states[4]


def test_a_long_journal_ends_in_a_new_snapshot(tmp_path: Path) -> None:
    states = _states()
    store = SnapshotStore(tmp_path)
    for state in states[:3]:
        store.save(WALL, state, max_journal=10)
    whole = (tmp_path / "simulator.json").read_bytes()
    assert orjson.loads(whole)["state"] == orjson.loads(orjson.dumps(states[2]))
    store.save(WALL, states[3], max_journal=10)
    assert (tmp_path / "simulator.json").read_bytes() == whole
    assert len(_lines(tmp_path)) == 2
    store.close()
    assert _loaded(tmp_path).state == states[3]


async def test_a_command_on_a_full_disk_is_not_accepted(tmp_path: Path) -> None:
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(manual_clock=True))
    for name in ("first", "second"):
        await engine.command(lambda state, name=name: (put_tenant(state, name, [spec()]), None))
    size = (tmp_path / "simulator.journal").stat().st_size
    with _disk_with(size + 50), pytest.raises(StateNotSaved, match="File too large"):
        await engine.command(lambda state: (put_tenant(state, "third", [spec()]), None))
    assert list((await engine.view()).tenants) == ["first", "second"]
    await engine.command(lambda state: (put_tenant(state, "fourth", [spec()]), None))
    left = _as_killed(tmp_path)
    assert list(left.tenants) == ["first", "second", "fourth"]
    assert left == await engine.view()
    await engine.close()


async def test_a_cancelled_command_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread cannot be cancelled: whatever is saved next must come after it."""
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(manual_clock=True))
    await engine.command(lambda state: (put_tenant(state, "first", [spec()]), None))
    started, sync = threading.Event(), os.fsync

    def slow(handle: int) -> None:
        started.set()
        time.sleep(0.2)
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(journal_file.os, "fsync", slow)
        cancelled = asyncio.create_task(
            engine.command(lambda state: (put_tenant(state, "second", [spec()]), None))
        )
        await asyncio.to_thread(started.wait)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert len(_lines(tmp_path)) == 3
    await engine.command(lambda state: (put_tenant(state, "third", [spec()]), None))
    assert len(_lines(tmp_path)) == 4
    left = _as_killed(tmp_path)
    assert list(left.tenants) == ["first", "third"]
    assert left == await engine.view()
    await engine.close()


def test_an_empty_cluster_has_no_journal(tmp_path: Path) -> None:
    _saved(tmp_path, [cluster()])
    assert not (tmp_path / "simulator.journal").exists()
