"""Which process of a machine begins when."""

from __future__ import annotations

from pathlib import Path

from ecpmon.local.machine import specs
from ecpmon.settings import Settings


def test_fronts_begin_at_once_and_the_worker_when_they_have_had_the_processors(tmp_path: Path) -> None:
    made = specs(Settings(fronts=2), tmp_path, lambda _: None)
    assert [spec.name for spec in made] == ["front-1", "front-2", "worker"]
    *fronts, worker = made
    assert [spec.after_seconds for spec in fronts] == [0, 0]
    assert 0 < worker.after_seconds <= 0.5
