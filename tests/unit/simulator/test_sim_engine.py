"""The engine around the model: clocks, the disk, scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from sim_cluster import T0, fail, later, spec

from ecpmon.simulator import clocks
from ecpmon.simulator.clocks import ManualClock, WallClock
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.model.commands import put_tenant
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.schemas import parse_moment
from ecpmon.simulator.snapshot import Snapshot, SnapshotStore, StateNotSaved, StateUnusable
from tests.cost import at_most


def test_the_wall_clock_runs_at_its_speed_and_never_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock(simulated_start=1000, wall_start=50 * SECOND, speed=60)
    monkeypatch.setattr(clocks, "wall_micros", lambda: 52 * SECOND)
    assert clock.target(0) == 1000 + 120 * SECOND
    monkeypatch.setattr(clocks, "wall_micros", lambda: 10 * SECOND)
    assert clock.target(1000 + 120 * SECOND) == 1000 + 120 * SECOND
    assert ManualClock().target(5) == 5


def _deploy(state: ClusterState) -> tuple[ClusterState, bool]:
    return put_tenant(state, "acme", [spec()]), True


async def test_a_command_that_cannot_be_saved_is_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_engine(SnapshotStore(tmp_path), EngineOptions(manual_clock=True)).close()
    # The first command of a resumed process writes a whole snapshot.
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(manual_clock=True))

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        with pytest.raises(StateNotSaved, match="No space left"):
            await engine.command(_deploy)
    assert not (await engine.view()).tenants
    assert await engine.command(_deploy)
    await engine.close()
    resumed = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=99, manual_clock=True))
    assert list((await resumed.view()).tenants) == ["acme"]
    await resumed.close()


def test_a_state_folder_belongs_to_one_process(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    with pytest.raises(StateUnusable, match="another simulator"):
        SnapshotStore(tmp_path)
    store.close()
    SnapshotStore(tmp_path).close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 7}', '{"format": 1, "wall": 1, "state": {}}'])
def test_a_damaged_snapshot_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "simulator.json").write_text(content)
    store = SnapshotStore(tmp_path)
    with pytest.raises(StateUnusable, match="move"):
        open_engine(store, EngineOptions())
    assert (tmp_path / "simulator.json").read_text() == content
    store.close()


MOMENTS = {
    "Zulu": ("2026-01-20T14:30:00Z", 1_768_919_400 * SECOND),
    "with an offset": ("2026-01-20T23:30:00+09:00", 1_768_919_400 * SECOND),
    "with an offset that a query has spoiled": ("2026-01-20T23:30:00 09:00", 1_768_919_400 * SECOND),
    "naive means UTC": ("2026-01-20T14:30:00.000001", 1_768_919_400 * SECOND + 1),
}


@pytest.mark.parametrize("sentence", MOMENTS)
def test_moments(sentence: str) -> None:
    text, expected = MOMENTS[sentence]
    assert parse_moment(text) == expected


def test_three_thousand_pods_are_little_work() -> None:
    state = new_state(1, T0, nodes=40)
    for number in range(200):
        state = put_tenant(state, f"t{number}", [spec(f"svc{i}", 3) for i in range(5)])
    state = later(state, 60)
    assert len(state.pods) == 3000
    assert all(t.ready for t in state.tenants.values())
    for number in range(0, 200, 2):
        state = fail(state, "pod_crash", 600, 0.5, tenant=f"t{number}")
    with at_most(1000):  # 300 s of real time; measured 0.3 s
        for _ in range(300):
            state = later(state, 1)


def test_a_cluster_of_before_there_were_disks_has_them_now(tmp_path: Path) -> None:
    state = new_state(5, T0)
    without = {path: d for path, d in state.objects[""].items() if not path.startswith("storageclasses")}
    older = replace(state, objects={**state.objects, "": without})
    (tmp_path / "simulator.json").write_bytes(orjson.dumps(Snapshot(3, 5, older, "base")))
    store = SnapshotStore(tmp_path)
    engine = open_engine(store, EngineOptions(seed=5, manual_clock=True))
    assert "storageclasses.storage.k8s.io/standard" in engine.current.objects[""]
    store.save(6, engine.current)
    store.close()
    again = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=5, manual_clock=True))
    assert again.current == engine.current
