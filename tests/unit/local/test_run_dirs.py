"""The folder of one `ecpmon serve` goes with it, and with the next one when it was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ecpmon.local.run_dirs import run_dir

HOLDER = """
import sys
from ecpmon.local.run_dirs import run_dir
with run_dir() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_nobody_else_s_and_goes_at_the_end(folder: Path) -> None:
    with run_dir() as made:
        assert made.parent == folder
        assert made.stat().st_mode & 0o777 == 0o700
    assert not list(folder.iterdir())


def test_what_a_killed_one_left_is_taken_away_and_what_another_holds_is_not(folder: Path) -> None:
    other = folder / "ecpmon-notes"
    other.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        with run_dir():
            assert held.is_dir()
        holder.kill()
        holder.wait()
    assert held.is_dir()
    with run_dir() as made:
        assert {path for path in folder.iterdir() if path.is_dir()} == {made, other}
